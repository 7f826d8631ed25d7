"""Drift between two calibrations: a random walk tied to both, as a few shared causes and a small rest.

The covariance of a walk tied at one or both ends is a sum over sines (Loeve 1978, section 37.5; for the
bridge min(s, t) - s t = sum over m of 2 sin(m pi s) sin(m pi t) / (m pi)^2; for the free end m - 1/2).
"""

import numpy as np
import numpy.typing as npt

from metroflux.time import Times
from metroflux.uncertainty import Shared

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MODES = 3
"""Sines kept as shared causes. Of a tied walk, the sd of the mean over a quarter of the interval or more is
then within 5 % of the exact one (8 % with a free end), that of the difference of its halves within 4 %."""


def walk(share: Floats, free: Bools) -> tuple[Floats, Floats]:
    """Return the sines of a walk of variance one per interval, and the sd of the rest.

    The rest is what the sines lack of the exact variance; it counts as independent.

    Parameters
    ----------
    share : of the interval gone since the end to which the walk is tied, 0 to 1, shape (n,)
    free : whether the other end is free

    Returns
    -------
    columns : shape (n, MODES)
    rest : shape (n,)
    """
    m = np.pi * (np.arange(1, MODES + 1) - 0.5 * free[:, None])
    columns = np.sqrt(2.0) * np.sin(m * share[:, None]) / m
    exact = np.where(free, share, share * (1.0 - share))
    return columns, np.sqrt(np.maximum(exact - np.sum(columns**2, axis=1), 0.0))  # rounding near 0


def drift(times: Times, nodes: Times, sd: float, analyser: str) -> tuple[list[Shared], Floats]:
    """Return the drift of an analyser: shared causes of each interval, and the sd of the rest.

    Parameters
    ----------
    nodes : begin of the log, calibrations, end of the log
    sd : growth of the random walk, mol mol-1 per square root of a day
    """
    day = np.timedelta64(86400, "s")
    number = np.clip(np.searchsorted(nodes, times), 1, nodes.size - 1)
    length, since = (nodes[number] - nodes[number - 1]) / day, (times - nodes[number - 1]) / day
    first = number == 1
    tied = np.where(first, length - since, since)
    share = np.divide(tied, length, out=np.zeros(times.size), where=length > 0)
    columns, rest = walk(share, first | (number == nodes.size - 1))
    scale = sd * np.sqrt(length)
    found = []
    for i in np.unique(number):
        name, inside = f"drift:{analyser}:{str(nodes[i])[:19]}", number == i
        found += [
            Shared(f"{name}:{m + 1}", "drift", np.where(inside, scale * column, 0.0), "runs of the standards")
            for m, column in enumerate(columns.T)
        ]
    return found, scale * rest
