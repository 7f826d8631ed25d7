"""Fluctuations of the wind too slow for turbulence and too small for the met cube, as an option.

A Langevin process per particle and component (Maryon 1998; as in Stohl et al. 2005, Atmos. Chem. Phys. 5,
2461, on mesoscale velocity fluctuations): its sd is a factor times that of the grid's wind around the
particle, its time scale half the interval between met times.
"""

import math

import numpy as np
from numpy.typing import NDArray

from transport.kernels.block import (
    COLUMN,
    DRAWN,
    DT,
    LEVEL,
    MEANDER_X,
    MEANDER_Y,
    NUMBER,
    ROW,
    SEED,
)
from transport.kernels.elementary import exp, inlined
from transport.kernels.field import Fields, U, V
from transport.kernels.random import normals
from transport.kernels.vector import WIDTH

STREAM = 1
"""Counter word of these random numbers: with the option off or on, the turbulence draws the same ones."""

_POINTS = 16


@inlined
def grid_sd(fields: Fields, i: int, j: int, first: int) -> float:
    """Return the sd of one wind component over the 16 points around a particle (m s-1).

    Four corners from (i, j) on, the levels below and above, the met times before and after; `first` is the
    number of the component at the level below among those of a grid point.
    """
    total = squares = 0.0
    for cube in (fields.cube_0, fields.cube_1):
        for row in (j, j + 1):
            for column in (i, i + 1):
                for n in (first, first + 4):
                    value = float(cube[row, column, n])
                    total += value
                    squares += value * value
    return math.sqrt(max(squares - total * total / _POINTS, 0.0) / _POINTS)


@inlined
def meander(
    s: NDArray[np.float64],
    q: NDArray[np.int64],
    fields: Fields,
    live: int,
    how: tuple[float, float],
    air: NDArray[np.float64],
) -> None:
    """Renew the fluctuation of every particle and add it to the wind at both levels around it.

    MEANDER_X and MEANDER_Y hold the fluctuation over its sd.

    how : sd over that of the grid's wind; time scale, s
    """
    factor, time = how
    for n in range(live):
        i, j, first = q[COLUMN + n], q[ROW + n], 4 * q[LEVEL + n]
        east, north, _ = normals(q[SEED + n], q[NUMBER + n], q[DRAWN + n], STREAM)
        memory = exp(-s[DT + n] / time)
        kick = math.sqrt(1.0 - memory * memory)
        s[MEANDER_X + n] = s[MEANDER_X + n] * memory + kick * east
        s[MEANDER_Y + n] = s[MEANDER_Y + n] * memory + kick * north
        more_u = factor * grid_sd(fields, i, j, first + U) * s[MEANDER_X + n]
        more_v = factor * grid_sd(fields, i, j, first + V) * s[MEANDER_Y + n]
        for level in (WIDTH * n, WIDTH * n + 4):
            air[level + U] += more_u
            air[level + V] += more_v
