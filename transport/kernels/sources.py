"""Time that particles spend around elevated sources: in a source's grid cell, between two heights."""

import numpy as np
from numpy.typing import NDArray

from transport.kernels import block as b
from transport.kernels.block import LANES, QUANTUM
from transport.kernels.elementary import inlined
from transport.kernels.state import Particles, Target


@inlined
def note_height(s: NDArray[np.float64]) -> None:
    """Keep the height of the middle of the step: the second half of it moves on."""
    for n in range(LANES):
        s[b.MIDDLE + n] = s[b.Z + n]


@inlined
def deposit_at_sources(
    p: Particles, target: Target, s: NDArray[np.float64], q: NDArray[np.int64], live: int
) -> None:
    """Add each particle's step to every source whose cell and layer hold its middle."""
    sources = target.sources
    ny, nx = sources.first.shape
    for lane in range(live):
        i, j, z = q[b.CELL_I + lane], q[b.CELL_J + lane], s[b.MIDDLE + lane]
        if not (0 <= i < nx and 0 <= j < ny):
            continue
        k, receptor = sources.first[j, i], p.receptor[q[b.WHO + lane]]
        while k >= 0:
            if sources.bottom[k] <= z < sources.top[k]:
                depth = sources.top[k] - sources.bottom[k]
                amount = s[b.WEIGHT + lane] * s[b.DT + lane] / (depth * s[b.DENSITY + lane])
                sources.foot[receptor, target.lag[receptor], k] += (amount + QUANTUM) - QUANTUM
            k = sources.following[k]
