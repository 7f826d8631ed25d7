"""What the march works on: particles, the window of time, the footprint to add to, the rules of stepping."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ALIVE, WEST, EAST, SOUTH, NORTH, TOP = 0, 1, 2, 3, 4, 5
"""Status of a particle: in the met domain, or the edge over which it was lost."""

EDGES = ("west", "east", "south", "north", "top")


class Particles(NamedTuple):
    """The state of particles; all arrays have shape (particle,) and change in place.

    x, y, z : position, m; z above ground
    psi, chi_x, chi_y : vertical and horizontal turbulent velocity over its sigma
    meander_x, meander_y : fluctuation of the wind over its sd (mesoscale.py)
    age : s since release; spread : sigma_z^2 by Taylor 1921, m2
    status : see ALIVE
    receptor : index in the batch; seed, number, drawn : key and counter of the random numbers
    floor : thinnest footprint layer, m; weight : share of the receptor's footprint times molar mass, kg mol-1
    deposited : footprint given to the flux grid so far, m2 s mol-1
    start, until : s after the window's entry when it starts and stops moving in this window
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    psi: NDArray[np.float64]
    chi_x: NDArray[np.float64]
    chi_y: NDArray[np.float64]
    meander_x: NDArray[np.float64]
    meander_y: NDArray[np.float64]
    age: NDArray[np.float64]
    spread: NDArray[np.float64]
    status: NDArray[np.int64]
    receptor: NDArray[np.int64]
    seed: NDArray[np.int64]
    number: NDArray[np.int64]
    drawn: NDArray[np.int64]
    floor: NDArray[np.float64]
    weight: NDArray[np.float64]
    deposited: NDArray[np.float64]
    start: NDArray[np.float64]
    until: NDArray[np.float64]


class Window(NamedTuple):
    """One stretch of time within one met interval and one clock hour.

    sign : +1 forward, -1 backward in time
    length : s
    late_in, late_out : weight of the later met time where particles enter and leave the window, 0 to 1
    interval : between the two met times, s
    """

    sign: float
    length: float
    late_in: float
    late_out: float
    interval: float


class Sources(NamedTuple):
    """Elevated sources and what particles add to them.

    first : int64[y, x], a source in each cell of the flux grid, -1 for none
    following : int64[source], another source in the same cell, -1 for no further one
    bottom, top : float64[source], layer that a source emits into, m above ground
    foot : float64[receptor, lag, source], m2 s mol-1, updated in place
    """

    first: NDArray[np.int64]
    following: NDArray[np.int64]
    bottom: NDArray[np.float64]
    top: NDArray[np.float64]
    foot: NDArray[np.float64]


NO_SOURCES = Sources(
    np.full((1, 1), -1, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros((1, 1, 0))
)


class Target(NamedTuple):
    """Where footprints are added.

    foot : float64[receptor, lag, y, x], m2 s mol-1, updated in place
    off_grid : float64[receptor], the part that falls beside the flux grid, m2 s mol-1
    lag : int64[receptor], lag of this window
    origin, step : float64[2], outer corner and cell size of the flux grid, (x, y), m
    sources : elevated sources on the same grid
    """

    foot: NDArray[np.float64]
    off_grid: NDArray[np.float64]
    lag: NDArray[np.int64]
    origin: NDArray[np.float64]
    step: NDArray[np.float64]
    sources: Sources = NO_SOURCES


class Rules(NamedTuple):
    """Time step and footprint layer.

    early, late : stride sigma_w dt of a step over `turbulence.length_scale`, of young particles and at most
    growth : time step over age to which a step may grow from `early`, not beyond `late`
    half_layer : 0 for the growing layer, 1 for half the mixing height (as STILT)
    by_hanna : 1 for the turbulence of Hanna (1982), 0 for similarity
    mesoscale : sd of wind fluctuations over that of the grid's wind around a particle; 0 for none
    """

    early: float
    late: float
    growth: float
    half_layer: int
    by_hanna: int = 0
    mesoscale: float = 0.0
