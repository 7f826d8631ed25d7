"""Emissions that stacks report of themselves: one shared error per stack, validity by HJ 75/76."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metroflux.errors import ConfigError, DataError
from metroflux.time import Times
from observations.clock import to_utc
from observations.dataset import GOOD, MISSING, REJECTED_BY_PROVIDER, SUSPECT
from observations.metrology.comparison import Result

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_MINUTES = 45.0
"""Valid minutes that make an hourly mean valid (HJ 75-2017 and HJ 76-2017)."""
SHORT_TON = 907.18474
"""kg, exact (NIST SP 811)."""
HOUR = np.timedelta64(3600, "s")
_MEASURED = ("Measured", "Calculated")
"""Flags of CAMPD for numbers that rest on the monitor; others, such as "Substitute", are filled in."""
_OFFSET = re.compile(r"UTC|[+-]\d\d:\d\d")
_NEEDED = ("facilityName", "orisCode", "unitId", "opDate", "opHour", "opTime", "co2Mass", "co2MassMeasureFlg")


@dataclass(frozen=True)
class StackErrors:
    """How wrong a stack's monitor may be.

    flow_sd : relative standard uncertainty of the flow meter, the same for all hours of a stack
    random_sd : relative standard uncertainty of one hour
    traceable_to : relative accuracy test audit or calibration behind it
    """

    flow_sd: float
    random_sd: float
    traceable_to: str = "not stated"

    def __post_init__(self) -> None:
        if not (0 < self.flow_sd < 1 and 0 <= self.random_sd < 1):
            raise ConfigError(
                f"stack errors: flow {self.flow_sd:g}, random {self.random_sd:g}; expected shares below 1, "
                f"and a flow meter that is not perfect (5 to 10 % is usual)"
            )


@dataclass(frozen=True)
class Stack:
    """Hourly emission of one stack.

    name : id; its flow meter is the cause "flow-meter:name"
    start : UTC; hours are one hour long
    rate : mean over the hour, kg s-1; NaN where missing
    flag : index into FLAG_MEANINGS of observations, 0 = use
    """

    name: str
    start: Times
    rate: Floats
    flag: Ints
    errors: StackErrors

    def mean(self, start: np.datetime64, end: np.datetime64, least: float = 0.75) -> Result:
        """Return the mean emission of a period, kg s-1, with terms of the flow meter and of each hour.

        Parameters
        ----------
        least : share of the hours of the period that must be good

        Raises
        ------
        DataError
            If fewer hours are good.
        """
        rows = (self.start >= start) & (self.start + HOUR <= end) & (self.flag == GOOD)
        hours = (end - start) / HOUR
        if hours <= 0 or rows.sum() < least * hours:
            raise DataError(
                f"stack {self.name}: {int(rows.sum())} good hours of {hours:g} from {start} to {end}; "
                f"expected a share of {least:g}"
            )
        value = float(self.rate[rows].mean())
        terms = {f"flow-meter:{self.name}": self.errors.flow_sd * value}
        for hour, rate in zip(self.start[rows], self.rate[rows], strict=True):
            noise = self.errors.random_sd * float(rate) / int(rows.sum())
            terms[f"hour:{self.name}:{str(hour)[:13]}"] = noise
        return Result(self.name, value, terms)


def stack(name: str, start: Times, rate: Floats, valid_minutes: Floats, errors: StackErrors) -> Stack:
    """Return a stack's series; an hour with fewer than LEAST_MINUTES valid minutes is not used.

    Raises
    ------
    DataError
        If hours repeat, a rate is negative or minutes are not 0 to 60.
    """
    if np.unique(start).size != start.size:
        raise DataError(f"stack {name}: {start.size - np.unique(start).size} hours are given twice")
    if np.any(rate < 0) or not np.all((valid_minutes >= 0) & (valid_minutes <= 60)):
        raise DataError(f"stack {name}: a rate below 0, or valid minutes outside 0 to 60")
    flag = np.where(valid_minutes < LEAST_MINUTES, SUSPECT, GOOD)
    flag = np.where(np.isnan(rate), MISSING, flag)
    order = np.argsort(start)
    return Stack(name, start[order], rate[order], flag[order].astype(np.int64), errors)


def read_campd(path: Path, zone: str, errors: StackErrors) -> list[Stack]:
    """Return the CO2 emission of each unit of an hourly CAMPD file (US EPA, JSON).

    Masses are short tons in the hour. A share of the hour `opTime` counts as valid minutes; hours whose mass
    was filled in are rejected.

    Parameters
    ----------
    zone : standard time of the plant as a fixed offset such as "-06:00": CAMPD knows no summer time

    Raises
    ------
    ConfigError
        If the zone is not a fixed offset: one with summer time would move half of the year by an hour.
    DataError
        If the file is not such a list, or a field is absent or wrong.
    """
    if not _OFFSET.fullmatch(zone):
        raise ConfigError(f"{path}: zone '{zone}'; expected a fixed offset such as '-06:00', or 'UTC'")
    records = _records(path)
    absent = [name for name in _NEEDED if any(name not in r for r in records)]
    if absent:
        raise DataError(f"{path}: records without {', '.join(absent)}; expected hourly CAMPD data")
    names = np.array([f"{r['facilityName']}-{r['orisCode']}-{r['unitId']}" for r in records])
    stamps = np.array([f"{r['opDate']}T{int(_number(path, r, 'opHour')):02d}:00:00" for r in records])
    start = to_utc(stamps, zone, None, f"{path}: opDate, opHour")
    share = np.array([_number(path, r, "opTime") for r in records])
    mass = np.array([_number(path, r, "co2Mass") for r in records])
    measured = np.array([r["co2MassMeasureFlg"] in _MEASURED for r in records])
    found = []
    for name in np.unique(names):
        rows = names == name
        rate = mass[rows] * SHORT_TON / 3600.0
        one = stack(str(name), start[rows], rate, 60.0 * share[rows], errors)
        order = np.argsort(start[rows])
        flag = np.where(measured[rows][order], one.flag, REJECTED_BY_PROVIDER)
        found.append(Stack(one.name, one.start, one.rate, flag, errors))
    return found


def _records(path: Path) -> list[dict[str, object]]:
    try:
        records = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}); expected CAMPD data") from None
    except (ValueError, RecursionError) as fault:
        raise DataError(f"{path}: not JSON ({fault}); expected CAMPD data") from None
    if not isinstance(records, list) or not records or not all(isinstance(r, dict) for r in records):
        raise DataError(f"{path}: expected a list of hourly records")
    return records


def _number(path: Path, record: dict[str, object], name: str) -> float:
    """Return a field as a number, NaN where the file says null."""
    value = record[name]
    if value is None:
        if name != "co2Mass":
            raise DataError(f"{path}: {name} is null; expected a number")
        return float("nan")
    try:
        found = float(str(value))
    except ValueError:
        found = float("nan")
    if not np.isfinite(found):
        raise DataError(f"{path}: {name} is '{value}'; expected a number")
    return found
