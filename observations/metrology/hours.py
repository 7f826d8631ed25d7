"""Hourly means of air, each with the mean sensitivity to the water coefficients."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metroflux.errors import DataError
from metroflux.time import Times
from observations.metrology.picarro import Wet
from observations.metrology.runs import Ports, settled

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Hours:
    """Means over one UTC hour of one inlet.

    start : of the hour; middle : mean time of the measurements in it
    inlet : m above ground
    response, variance : mean and variance of the dry mole fractions that the analyser reports, mol mol-1 and
        its square
    slopes : derivatives to the water coefficients times their sd, shape (hour, 2), mol mol-1
    count : measurements in the mean
    """

    start: Times
    middle: Times
    inlet: Floats
    response: Floats
    variance: Floats
    slopes: Floats
    count: Ints


def average_hours(wet: Wet, dry: Floats, slopes: Floats, ports: Ports, flush_s: float) -> Hours:
    """Return the mean of each hour and inlet that has a measurement of air.

    Raises
    ------
    DataError
        If no measurement of air is left.
    """
    use, _ = settled(wet, flush_s)
    rows = np.flatnonzero(use & np.isin(wet.port, list(ports.air)))
    if not rows.size:
        raise DataError(f"log: no air at ports {sorted(ports.air)} after flushing; ports seen: "
                        f"{sorted(set(wet.port.tolist()) - {-1})}")  # fmt: skip
    hour = wet.time[rows].astype("datetime64[h]").astype("datetime64[ns]")
    inlet = np.array([ports.air[int(port)] for port in wet.port[rows]])
    keys = np.rec.fromarrays([hour.astype(np.int64), inlet])
    _, first, group, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)

    def mean(values: Floats) -> Floats:
        return np.bincount(group, values, minlength=count.size) / count

    response = mean(dry[rows])
    seconds = (wet.time[rows] - hour) / np.timedelta64(1, "s")
    return Hours(
        start=hour[first],
        middle=hour[first] + np.round(mean(seconds) * 1e9).astype("timedelta64[ns]"),
        inlet=inlet[first],
        response=response,
        variance=mean((dry[rows] - response[group]) ** 2),
        slopes=np.stack([mean(slopes[rows, i]) for i in (0, 1)], axis=1),
        count=count.astype(np.int64),
    )
