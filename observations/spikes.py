"""The filter of Hampel: values far from the median of their neighbours, in robust standard deviations.

Hampel (1974, doi:10.1080/01621459.1974.10482962); as a moving window Pearson (2002,
doi:10.1109/87.974338); for spikes at towers El Yazidi et al. (2018, doi:10.5194/amt-11-1599-2018). A spike at
a city tower may be a true plume: what is flagged is for the user to judge, and can be accepted again.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metroflux.errors import ConfigError
from metroflux.time import Times

Floats = npt.NDArray[np.float64]

GAUSSIAN = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation."""


@dataclass(frozen=True)
class SpikeFilter:
    """How a spike is told.

    window : width of the window centred on a datum, s
    threshold : how many robust standard deviations away
    floor : least standard deviation, mol mol-1: the noise of the instrument, which a quiet window of few
        digits may hide
    minimum : data that a window needs; a datum with fewer neighbours is not judged
    """

    window: float
    threshold: float = 5.0
    floor: float = 0.0
    minimum: int = 7


def spikes(times: Times, values: Floats, chosen: SpikeFilter) -> npt.NDArray[np.bool_]:
    """Return which values are spikes; times ascend, both of shape (obs,).

    Raises
    ------
    ConfigError
        If window or threshold are not positive, the floor is negative, or the minimum is below 3.
    """
    if chosen.window <= 0 or chosen.threshold <= 0 or chosen.floor < 0 or chosen.minimum < 3:
        raise ConfigError(
            f"quality: spikes with window {chosen.window:g} s, threshold {chosen.threshold:g}, floor "
            f"{chosen.floor:g}, minimum {chosen.minimum}; expected positive ones and a minimum of 3"
        )
    half = np.timedelta64(round(chosen.window * 5e8), "ns")
    first = np.searchsorted(times, times - half, side="left")
    last = np.searchsorted(times, times + half, side="right")
    out = np.zeros(values.size, dtype=bool)
    for n, (low, high) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        if high - low < chosen.minimum:
            continue
        window = values[low:high]
        middle = np.median(window)
        sd = max(GAUSSIAN * float(np.median(np.abs(window - middle))), chosen.floor)
        out[n] = abs(values[n] - middle) > chosen.threshold * sd
    return out
