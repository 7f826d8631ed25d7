"""Over many small worlds the stated interval of the city total holds the truth as often as it says.

The whole way is walked for each seed: weather, two independent sets of particles (one carries the truth,
one is what the analyst has), a background that is wrong as stated, errors drawn from the full error model.
The truth is drawn by the world's own dense Cholesky, not by the inversion's covariance code.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

from inversion.problem import PriorError, assemble
from inversion.solver import solve
from metroflux.uncertainty import ErrorModel, Random, attach
from metroflux.worlds import CitySettings, World, build
from metroflux.worlds.emissions import SECTORS
from metroflux.worlds.network import BACKGROUND_DAY_SD
from observations.background import BackgroundError, from_edge_field
from observations.selection import Selection, select
from transport.footprints import FootprintSettings, compute_footprints
from transport.jacobian import SurfaceOperator, build_jacobian
from transport.receptors import ReceptorSettings, make_receptors

SEEDS = range(50)
ERRORS = {s.name: PriorError(s.length, s.duration) for s in SECTORS}
TRANSPORT_SD = 0.5e-6
"""Stated for the Monte-Carlo noise of two sets of 100 particles, mol mol-1."""


@dataclass(frozen=True)
class Walk:
    """One seed: standardised error of the domain total, and how much the data said of it."""

    z: float
    reduction: float


def small_world(seed: int) -> World:
    return build(
        CitySettings(seed=seed, cells=16, cell_size=2500.0, days=1, flux_hours=6, towers=3, truth="drawn")
    )


def traced(world: World, observations: xr.Dataset, seed: int) -> xr.Dataset:
    receptors = make_receptors(observations, world.met, ReceptorSettings(particles=100, hours=5, seed=seed))
    return compute_footprints(world.met, receptors, world.grid, FootprintSettings())


def walk(seed: int) -> Walk:
    world = small_world(seed)
    selected, _ = select(world.observations, Selection(hours=(12.0, 16.0), zone="+01:00"))
    transport = [Random("transport", np.full(selected.sizes["obs"], TRANSPORT_SD))]
    known, true = (traced(world, selected, 100 + seed * 2 + i) for i in (0, 1))
    edges = np.append(world.prior.flux_time.values, world.prior.flux_time_bounds.values[-1, 1])
    H_true = SurfaceOperator.of(build_jacobian(true, edges))
    air = from_edge_field(selected, true, world.true_background_field, BackgroundError())
    rng = np.random.default_rng(1000 + seed)
    values = H_true.forward(world.truth.flux.sum("sector").values.ravel()) + air.background.values
    values += ErrorModel.from_datasets(selected).sample(rng)
    observed = attach(selected.assign(mole_fraction=selected.mole_fraction.copy(data=values)), transport, [])
    background = from_edge_field(
        selected, known, world.background_field, BackgroundError(shared=BACKGROUND_DAY_SD, by=("day",))
    )
    problem = assemble(observed, background, build_jacobian(known, edges), world.prior, ERRORS)
    areas = world.grid.cell_area.ravel()[None]
    times = np.full((1, edges.size - 1), 1.0 / (edges.size - 1))
    total = solve(problem).totals(areas, times)
    truth = float(areas[0] @ world.truth.flux.sum("sector").mean("flux_time").values.ravel())
    error = total.posterior[0, -1, 0] - truth
    variance = total.posterior_variance[0, -1, 0]
    return Walk(error / np.sqrt(variance), 1.0 - variance / total.prior_variance[0, -1, 0])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_interval_of_the_domain_total_covers_the_truth():
    walks = [walk(seed) for seed in SEEDS]
    z = np.array([w.z for w in walks])
    assert np.sum(np.abs(z) < 1.96) >= 44
    assert 0.6 <= np.mean(z**2) <= 1.5
    # the data must have had a say, or coverage would only be that of the prior
    assert np.mean([w.reduction for w in walks]) > 0.25
