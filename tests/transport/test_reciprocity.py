"""Forward concentration at a receptor equals the backward footprint times the source, in sheared worlds.

The worlds are steady: what a puff leaves behind over all time is the steady concentration of a constant
source. Both sides are counted independently: forward by snapshots of where particles are, backward by the
kernel's footprint. Standard errors are counted over ten independent parts of the particles of each side.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from metroflux.constants import M_AIR, VON_KARMAN
from metroflux.grid import Grid
from transport.elevated import source_footprints
from transport.footprints import FootprintSettings, compute_footprints
from transport.kernels.field import stability
from transport.kernels.state import Target
from transport.particles import HOUR, Flight, MetTimes, fly, make_particles

# u*, 1/L, mixing height; roughness is 0.1 m
WORLDS = {
    "convective": (0.35, -1 / 40, 1200.0),
    "neutral": (0.4, 0.0, 900.0),
    "stable": (0.25, 1 / 60, 250.0),
}
LEVELS = (
    2.0,
    4.0,
    7.0,
    10.0,
    15.0,
    20.0,
    30.0,
    40.0,
    60.0,
    80.0,
    100.0,
    150.0,
    200.0,
    300.0,
    500.0,
    1000.0,
    3000.0,
)
RECEPTORS = {"10 m": (8.0, 12.0), "elevated": (35.0, 65.0)}  # layers of air that the receptor samples, m
SOURCES = {"surface": (0.0, 5.0), "stack": (10.0, 30.0)}
AREA = (-3500.0, -500.0, -1500.0, 1500.0)  # of the source: west, east, south, north, m
AROUND = 500.0  # half width of the receptor's volume, m
PARTS = 10
SECONDS = 3600
FINE = FootprintSettings(early_step=0.1, late_step=0.1, step_growth=0.0)


def sheared(make_met, world):
    """Return met with the wind profile of Monin and Obukhov up to the mixing height, along x."""
    ustar, inverse_l, h = WORLDS[world]
    met = make_met(2, mixing_height=h, ustar=ustar, inverse_obukhov=inverse_l, levels=LEVELS, half_width=40e3)
    z = np.minimum(np.array(LEVELS), h)
    u = (
        ustar
        / VON_KARMAN
        * (np.log(z / 0.1) - [stability(v * inverse_l) - stability(0.1 * inverse_l) for v in z])
    )
    met["u"] = met.u * 0.0 + u[None, :, None, None].astype(np.float32)
    met["v"] = met.v * 0.0
    return met


@dataclass(frozen=True)
class Value:
    mean: float
    error: float

    @classmethod
    def of(cls, parts):
        """Return the mean of independent parts and its standard error."""
        return cls(float(np.mean(parts)), float(np.std(parts, ddof=1) / np.sqrt(len(parts))))


def spread_out(n, box, layer, seed):
    """Return n places evenly in a box and a layer (density changes by less than 0.5 % in the layers used)."""
    west, east, south, north = box
    low, high = np.array([west, south, layer[0]]), np.array([east, north, layer[1]])
    return low + (high - low) * np.random.default_rng(seed).random((n, 3))


def forward(met, layer, receptor, n, every=20):
    """Return the mole fraction at the receptor of 1 mol m-2 s-1 into a layer of the source's area."""
    times, zero, number = MetTimes(met), np.zeros(n, np.int64), np.arange(n)
    p = make_particles(spread_out(n, AREA, layer, 1), np.ones(n), zero, zero + 17, number)
    target = Target(np.zeros((1, 9, 1, 1)), np.zeros(1), np.zeros(1, np.int64), np.full(2, 1e7), np.ones(2))
    start, seen = int(times.time[0]), np.zeros(n)
    for a, b in pairwise(start + np.arange(0, SECONDS + 1, every) * 10**9):
        flight = Flight(p, zero + a, zero + b, zero, np.array([start + 3 * HOUR]))
        fly(flight, times, target, FINE.rules(), sign=1)
        here = (np.abs(p.x) < AROUND) & (np.abs(p.y) < AROUND) & (p.z >= receptor[0]) & (p.z < receptor[1])
        seen += every * here
    area = (AREA[1] - AREA[0]) * (AREA[3] - AREA[2])
    rho = np.interp(np.mean(receptor), met.level, met.rho[0, :, 0, 0])
    air = rho / M_AIR * (2 * AROUND) ** 2 * (receptor[1] - receptor[0])
    return Value.of(area / air * seen.reshape(PARTS, -1).mean(axis=1))


def volume_receptors(make_points, receptor, particles):
    """Return receptors, each a cloud of points all over the receptor's volume."""
    box = (-AROUND, AROUND, -AROUND, AROUND)
    place = spread_out(PARTS * 400, box, receptor, 2).reshape(PARTS, 400, 3)
    points = make_points(
        tuple(np.arange(10.0, 10.0 + PARTS)), hours=SECONDS / 3600, end=2.0, particles=particles
    )
    even = {"weight": np.full((PARTS, 400), 1 / 400)}
    even |= {name: place[..., k] for k, name in enumerate(("x", "y", "height"))}
    units = {"weight": "1", "x": "m", "y": "m", "height": "m"}
    return points.drop_vars(list(even)).assign(
        {name: (("receptor", "point"), v, {"units": units[name]}) for name, v in even.items()}
    )


def area_grid(wide_grid):
    """Return a grid of one cell: the source's area."""
    west, east, south, north = AREA
    return Grid(wide_grid.crs, west, south, east - west, north - south, 1, 1)


def backward(footprints):
    """Return the mole fraction of 1 mol m-2 s-1 from footprints, one receptor for each part."""
    return Value.of(
        footprints.foot.sum([d for d in footprints.foot.dims if d != "receptor"], dtype=float).values
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "source"), [("10 m", "surface"), ("elevated", "surface"), ("elevated", "stack")]
)
@pytest.mark.parametrize("world", WORLDS)
def test_forward_concentration_is_the_backward_footprint_times_the_source(
    make_met, make_points, make_sources, wide_grid, world, height, source
):
    met, receptor, layer = sheared(make_met, world), RECEPTORS[height], SOURCES[source]
    receptors, grid = volume_receptors(make_points, receptor, 2000), area_grid(wide_grid)
    sources = make_sources([-2000.0], [0.0], [layer[0]], [layer[1]])
    ahead = forward(met, layer, receptor, 20_000)
    behind = backward(source_footprints(met, receptors, sources, grid, FINE))
    error = np.hypot(ahead.error, behind.error)
    assert error < 0.06 * ahead.mean  # the claim has teeth
    assert abs(behind.mean - ahead.mean) < 3 * error
    if source == "surface":  # the footprint as users get it: its layer and its steps are good to 5 %
        default = backward(compute_footprints(met, receptors, grid, FootprintSettings()))
        error = np.hypot(ahead.error, default.error)
        assert abs(default.mean - ahead.mean) < 0.05 * ahead.mean + 3 * error
