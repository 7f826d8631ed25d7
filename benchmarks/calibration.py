"""What it costs to leave out shared calibration errors: python -m benchmarks.calibration [CELLS].

The network, weather, period and errors of the demo, on CELLS x CELLS cells (30: 4 km). 200 truths are drawn
from the prior and observed with all errors; the interval of the domain total is computed with all errors
known, with the calibration errors left out, and with them taken for independent errors of each datum.
"""

import sys
import time
from dataclasses import dataclass

import numpy as np
import xarray as xr

from inversion.problem import Parameter, PriorError, Problem, assemble
from inversion.simulate import coverage
from metroflux.uncertainty import ErrorModel, Random, attach, components
from metroflux.worlds import CitySettings, build
from metroflux.worlds.emissions import SECTORS
from metroflux.worlds.network import BACKGROUND_DAY_SD, BACKGROUND_RUN_SD
from observations.background import BackgroundError, from_edge_field
from observations.selection import Selection, select
from transport.footprints import FootprintSettings, compute_footprints
from transport.jacobian import build_jacobian
from transport.receptors import ReceptorSettings, make_receptors

DRAWS = 200
SIDE = 120_000.0
"""Side of the demo's city, m."""
CAUSE = "calibration"


@dataclass(frozen=True)
class Setting:
    """One network: how many cells and particles, and the sd of the offset common to all backgrounds."""

    cells: int
    particles: int
    days: int
    offset_sd: float


@dataclass(frozen=True)
class Networks:
    """The problem with all errors, and what an analyst may believe of them instead."""

    problem: Problem
    without: ErrorModel
    independent: ErrorModel


def demo_networks(setting: Setting) -> Networks:
    """Return the demo's problem on a coarser grid."""
    city = CitySettings(seed=1, cells=setting.cells, cell_size=SIDE / setting.cells, days=setting.days)
    world = build(city)
    selected, _ = select(world.observations, Selection(hours=(11.0, 17.0), zone="+01:00"))
    n = selected.sizes["obs"]
    release = ReceptorSettings(particles=setting.particles, hours=12, seed=7)
    receptors = make_receptors(selected, world.met, release)
    footprints = compute_footprints(world.met, receptors, world.grid, FootprintSettings())
    edges = np.append(world.prior.flux_time.values, world.prior.flux_time_bounds.values[-1, 1])
    jacobian = build_jacobian(footprints, edges)
    daily = BackgroundError(shared=BACKGROUND_DAY_SD, by=("day",))
    air = from_edge_field(selected, footprints, world.background_field, daily)
    noise = [Random("transport", np.full(n, 0.5e-6))]
    seen = attach(selected.assign(mole_fraction=selected.mole_fraction.copy(data=air.background)), noise, [])
    errors = {s.name: PriorError(s.length, s.duration) for s in SECTORS}
    offsets = []
    if setting.offset_sd:
        offsets = [Parameter("offset", "background", np.ones(n), setting.offset_sd)]
    problem = assemble(seen, air, jacobian, world.prior, errors, offsets)
    return Networks(problem, *_beliefs(seen, air))


def _beliefs(seen: xr.Dataset, air: xr.Dataset) -> tuple[ErrorModel, ErrorModel]:
    random, shared = components(seen)
    bare = seen.drop_dims(["random", "shared"])
    kept = [s for s in shared if s.cause != CAUSE]
    left_out = attach(bare, random, kept)
    scattered = np.sqrt(sum(s.column**2 for s in shared if s.cause == CAUSE))
    independent = attach(bare, [*random, Random("calibration, taken as random", scattered)], kept)
    return ErrorModel.from_datasets(left_out, air), ErrorModel.from_datasets(independent, air)


def main() -> None:
    """Print a table of coverages."""
    cells = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    three = 3 * np.sqrt(0.95 * 0.05 / DRAWS)
    print(f"{DRAWS} draws, {cells} x {cells} cells; 95 % +- three binomial sd: "
          f"{100 * (0.95 - three):.1f} to {100 * (0.95 + three):.1f} %")  # fmt: skip
    for name, sd in (("offset of the background solved, sd 0.4 ppm", BACKGROUND_RUN_SD), ("no offset", 0.0)):
        start = time.process_time()
        networks = demo_networks(Setting(cells, 200, 5, sd))
        believed = (("all errors", None), ("calibration left out", networks.without),
                    ("calibration taken as random", networks.independent))  # fmt: skip
        for what, errors in believed:
            got = coverage(networks.problem, DRAWS, 2024, errors)
            print(f"{name:42s} {what:28s} {100 * got.inside / DRAWS:5.1f} %   mean z2 {got.mean_square:.2f}")
        print(f"{networks.problem.shape[0]} data, {time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    main()
