"""The transport error of a run: perturbed weather, the prior flux, columns of R."""

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from metroflux import time
from metroflux.grid import Grid
from metroflux.parallel import serial
from metroflux.provenance import Stamp, code_sha256
from metroflux.uncertainty import ErrorModel
from pipelines import stages
from pipelines.config import read_config
from pipelines.engine import Engine, Job
from pipelines.ensemble import settings_of, trace_ensemble
from pipelines.store import Store
from pipelines.watch import Silent
from transport.ensemble import enhancement, shared_columns
from transport.footprints import FootprintSettings, compute_footprints
from transport.perturbation import perturb

ENSEMBLE = """  ensemble:
    members: 4
    seed: 5
    wind: {sd: 0.4, length_km: 1.0e+9, duration_h: 1.0e+9, depth_m: 1.0e+12}
    mixing_height: {relative_sd: 0.0, length_km: 100, duration_h: 6}
"""
METRES = "+proj=tmerc +lat_0=50 +lon_0=10 +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"
START = np.datetime64("2024-06-01T00", "ns")
HOURS = 4
GRID = Grid(METRES, -60e3, -60e3, 10e3, 60e3, 6, 2)


def steady_met(east: float) -> xr.Dataset:
    """Return a column of neutral air everywhere, wind eastward (m s-1)."""
    z, x = np.array([10.0, 50.0, 200.0, 500.0, 1000.0, 3000.0]), np.linspace(-200e3, 200e3, 9)
    cube, flat = (HOURS + 1, z.size, x.size, x.size), (HOURS + 1, x.size, x.size)
    rho = np.broadcast_to((1.2 * np.exp(-z / 8500.0))[None, :, None, None], cube)
    values = {"u": (east, "m s-1"), "v": (0.0, "m s-1"), "w": (0.0, "m s-1"), "rho": (rho, "kg m-3"),
              "t": (285.0, "K"), "q": (0.0, "kg kg-1"), "p": (rho * 287.05 * 285.0, "Pa")}  # fmt: skip
    surface = {"mixing_height": (500.0, "m"), "ustar": (0.4, "m s-1"), "inverse_obukhov": (-0.01, "m-1"),
               "z0": (0.1, "m"), "sensible_heat_flux": (100.0, "W m-2")}  # fmt: skip
    data = {
        name: (("time", "level", "y", "x") if size is cube else ("time", "y", "x"),
               np.broadcast_to(value, size).astype(np.float32), {"units": units})
        for fields, size in ((values, cube), (surface, flat)) for name, (value, units) in fields.items()
    }  # fmt: skip
    data["terrain"] = (("y", "x"), np.zeros((x.size, x.size), np.float32), {"units": "m"})
    return xr.Dataset(data, attrs={"source": "made up"}).assign_coords(
        time=("time", START + np.arange(HOURS + 1) * np.timedelta64(1, "h")),
        level=("level", z, {"units": "m"}), y=("y", x, {"units": "m"}), x=("x", x, {"units": "m"}),
        spatial_ref=((), 0, CRS(METRES).to_cf()),
    )  # fmt: skip


def receptors(particles: int) -> xr.Dataset:
    """Return two receptors of air mixed over 500 m, one hour apart."""
    heights = (np.arange(10) + 0.5) * 50.0
    point = ("receptor", "point")
    data = {
        "x": (point, np.zeros((2, 10)), {"units": "m"}), "y": (point, np.zeros((2, 10)), {"units": "m"}),
        "height": (point, np.stack([heights] * 2), {"units": "m"}),
        "weight": (point, np.full((2, 10), 0.1), {"units": "1"}),
        "duration": ("receptor", np.zeros(2), {"units": "s"}),
        "hours": ("receptor", np.full(2, 3.0), {"units": "h"}),
        "particles": ("receptor", np.full(2, particles)), "seed": ("receptor", np.array([11, 12])),
    }  # fmt: skip
    ends = START + np.array([3, 4]) * np.timedelta64(1, "h")
    return xr.Dataset(data).assign_coords(
        receptor=("receptor", ["a", "b"]), datum_id=("receptor", ["d-a", "d-b"]), time=("receptor", ends)
    )


def prior() -> xr.Dataset:
    """Return a flux that falls off upwind: 2e-6 in the cells 0 to 20 km west, less beyond."""
    edges = START + np.arange(HOURS + 1) * np.timedelta64(1, "h")
    west = np.array([0.2, 0.4, 0.6, 0.8, 2.0, 2.0]) * 1e-6
    values = np.broadcast_to(west, (1, HOURS, *GRID.shape)).copy()
    dims, units = ("sector", "flux_time", "y", "x"), {"units": "mol m-2 s-1"}
    data = {"flux": (dims, values, units), "flux_sd": (dims, values, units)}
    return xr.Dataset(data, coords=GRID.coords().coords).assign_coords(
        sector=("sector", ["all"]), flux_time=("flux_time", edges[:-1]),
        flux_time_bounds=(("flux_time", "bounds"), time.bounds(edges)),
    )  # fmt: skip


@pytest.fixture
def with_ensemble(config):
    config.write_text(config.read_text().replace("seed: 3}\n", "seed: 3,\n" + _flow(ENSEMBLE) + "}\n"))
    return config


def _flow(text: str) -> str:
    """Return the block as part of a flow mapping."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return "  ensemble: {" + ", ".join(lines[1:]) + "}"


def job(config, folder, particles=2000) -> Job:
    inputs = {"receptors": receptors(particles), "met": steady_met(5.0), "grid": GRID.coords(),
              "prior": prior()}  # fmt: skip
    return Job(
        read_config(config).config, serial, serial, inputs, Stamp("r", "c"), scratch=folder / "scratch"
    )


@pytest.mark.slow
def test_columns_of_a_uniform_wind_error_are_its_finite_difference(with_ensemble, tmp_path):
    # the wind of each member is known; what it does to y is measured apart, with other particles, as the
    # central difference of two steady winds
    done = job(with_ensemble, tmp_path)
    modelled = trace_ensemble(done)["transport_ensemble"]
    settings = settings_of(done.config.transport.ensemble)
    east = np.array([float(perturb(steady_met(5.0), settings, m).u[0, 0, 0, 0]) for m in range(4)])
    many = receptors(8_000)
    slope = np.subtract(*(
        enhancement(compute_footprints(steady_met(u), many, GRID, FootprintSettings()), prior())
        for u in (5.5, 4.5)
    ))  # fmt: skip
    expected = np.abs(slope) * east.std(ddof=1)
    columns = shared_columns(modelled)
    sd = np.sqrt(np.sum(columns**2, axis=1))
    noise = 0.04 * modelled.perturbed.values.mean(axis=0)  # of 2000 particles
    assert np.all(expected > noise)
    assert sd == pytest.approx(expected, abs=float(noise.max()))
    # one wind error for both: their errors are one
    correlation = columns[0] @ columns[1] / (sd[0] * sd[1])
    assert correlation > 0.8
    assert not (tmp_path / "scratch" / "member-0").exists()


def test_members_are_the_same_bits_each_time_and_for_any_batch(with_ensemble, tmp_path):
    first = trace_ensemble(job(with_ensemble, tmp_path, 100))["transport_ensemble"]
    with_ensemble.write_text(with_ensemble.read_text().replace("seed: 3,", "seed: 3, batch: 1,"))
    again = trace_ensemble(job(with_ensemble, tmp_path, 100))["transport_ensemble"]
    xr.testing.assert_identical(first, again)
    assert np.unique(first.perturbed.values[:, 0]).size == 4


def solved(config, folder):
    read = read_config(config)
    engine = Engine(
        read.config, Store(folder, stages.STORED), serial, code_sha256(), Stamp("r", "c"), Silent()
    )
    for stage in stages.plan(read.config):
        engine.execute(stage)
        if stage.name == "totals":
            break
    return engine


@pytest.mark.slow
def test_a_run_with_an_ensemble_has_a_wider_posterior_and_transport_in_its_budget(
    config, with_ensemble, tmp_path
):
    text = with_ensemble.read_text().replace("batch: 1,", "")
    wide = tmp_path / "wide.yaml"
    wide.write_text(
        text.replace("1.0e+9", "100")
        .replace("1.0e+12", "1000")
        .replace("sd: 0.4", "sd: 1.5")
        .replace("members: 4", "members: 2")
    )
    plain = tmp_path / "plain.yaml"
    plain.write_text(text.replace(_flow(ENSEMBLE), "").replace("seed: 3,\n}", "seed: 3}"))
    narrow, broad = (solved(path, tmp_path / path.stem) for path in (plain, wide))
    totals = [e.result("totals").sel(region="domain", sector="total", period="run") for e in (narrow, broad)]
    assert float(totals[1].posterior_sd) > float(totals[0].posterior_sd)
    assert "transport" not in totals[0].cause.values
    assert float(totals[1].budget.sel(cause="transport").sum()) > 0
    errors = ErrorModel.from_datasets(broad.result("observations"))
    assert not any("transport" in cause for cause in errors.causes)  # the data themselves stay as they are
    assert [d.stage for d in broad.done].index("transport ensemble") > 0
