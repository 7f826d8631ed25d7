"""Footprints of NAME and the air at its edges make an inverse problem: Tacolneston."""

import numpy as np
import pytest

from inversion.problem import assemble
from inversion.settings import PriorError
from inversion.solver import solve
from metroflux.grid import Grid
from metroflux.uncertainty import Random
from observations.background import MethodError
from observations.dataset import Columns, build
from priors.build import Inventory, make_prior
from priors.errors import with_sd
from transport.interchange.edges import edge_background, read_edge_field, read_edge_shares
from transport.interchange.lonlat import to_grid
from transport.interchange.paris import read_paris
from transport.jacobian import build_jacobian


def observed(datum_id, start):
    n = start.size
    columns = Columns(
        start, start + np.timedelta64(1, "h"), np.full(n, "TAC"), np.full(n, "co2"), np.full(n, 100.0),
        np.full(n, 52.5), np.full(n, 1.1), np.full(n, 4e-4), np.zeros(n, np.int64), np.ones(n, np.int64),
    )  # fmt: skip
    return build(columns, datum_id, [Random("transport", np.full(n, 2e-6))], [], "not stated", "test")


@pytest.mark.realdata
def test_the_air_at_the_edges_is_the_background_of_a_problem_of_footprint_files(data_dir):
    folder = data_dir / "uk_tacolneston"
    path = folder / "TAC-100magl_UKV_co2_TEST_201407.nc"
    shares, footprints = read_edge_shares(path), read_paris(path, hours=720)
    august = np.datetime64("2014-08-01", "ns")
    field = read_edge_field(folder / "co2_EUROPE_201407.nc", "co2", august, "mol mol-1")
    data = observed(shares.datum_id, shares.time)
    error = MethodError(1e-6, 48.0, traceable_to="CAMS")
    background = edge_background(data, shares, field, error, particles=17_000, least=0.03)

    grid = Grid("EPSG:32631", 250e3, 5_650e3, 50e3, 50e3, 6, 7)
    edges = np.array(["2014-05-01", "2014-07-05"], "datetime64[ns]")
    jacobian = build_jacobian(to_grid(footprints, grid), edges)
    flux = {"land": np.full((1, *grid.shape), 1e-6)}
    prior = with_sd(make_prior(grid.coords(), flux, edges, "co2", Inventory("test")), {"land": 1.0})
    problem = assemble(data, background, jacobian, prior, {"land": PriorError(5e4, 86400.0)})
    assert np.array_equal(problem.background, background.background.values)
    posterior = solve(problem).posterior()
    assert float((posterior.flux_sd / prior.flux_sd).min()) < 0.9
