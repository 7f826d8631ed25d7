"""Which observations enter an inversion, and a table of what was left out and why."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError, DataError
from observations.clock import local_hours
from observations.dataset import FLAG_MEANINGS, GOOD, MISSING


@dataclass(frozen=True)
class Selection:
    """What to keep; None and empty mean no limit.

    start, end : period, UTC; the whole averaging interval must lie within it
    hours : from and to, local hours of the day at the start of the interval, from <= hour < to;
        (22, 4) goes over midnight
    zone : time zone of `hours`
    species, sites : names to keep
    accept_flags : flag meanings to keep beside "good"; their flag becomes 0 in the selection
    """

    start: np.datetime64 | None = None
    end: np.datetime64 | None = None
    hours: tuple[float, float] | None = None
    zone: str = "UTC"
    species: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    accept_flags: tuple[str, ...] = ()


def select(observations: xr.Dataset, selection: Selection) -> tuple[xr.Dataset, pd.DataFrame]:
    """Return the observations to use, and a table (site, reason, count) of those dropped.

    A datum with several reasons counts under the first of: species, site, period, local hours, flag.

    Raises
    ------
    DataError
        If nothing is left; the message gives the counts by reason.
    """
    schema.check(observations, "observations", "selection")
    reason = _reasons(observations, selection)
    keep = reason == ""
    dropped = _table(observations.site.values[~keep], reason[~keep])
    if not keep.any():
        counts = dropped.groupby("reason")["count"].sum()
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        sites = ", ".join(np.unique(observations.site.values)[:5])
        first, last = observations.time.values.min(), observations.time.values.max()
        raise DataError(
            f"observations.selection: leaves none of {keep.size} observations of {sites} "
            f"from {first} to {last}; dropped by {listed}"
        )
    chosen = observations.isel(obs=keep)
    # a reason accepted by the user no longer keeps the datum out
    chosen["flag"] = xr.zeros_like(chosen.flag)
    if selection.accept_flags:
        chosen.attrs["accepted_flags"] = " ".join(selection.accept_flags)
    return schema.check(chosen, "observations", "selection"), dropped


def _reasons(observations: xr.Dataset, selection: Selection) -> npt.NDArray[np.str_]:
    """Return why each datum is dropped, empty for those kept."""
    n = observations.sizes["obs"]
    start, end = observations.time_bounds.values.T
    tests: list[tuple[str, npt.NDArray[np.bool_]]] = []
    if selection.species:
        tests.append(("other species", ~np.isin(observations.species.values, selection.species)))
    if selection.sites:
        tests.append(("other site", ~np.isin(observations.site.values, selection.sites)))
    outside = np.zeros(n, dtype=bool)
    if selection.start is not None:
        outside |= start < selection.start
    if selection.end is not None:
        outside |= end > selection.end
    tests.append(("outside the period", outside))
    if selection.hours is not None:
        tests.append(("outside local hours", ~_in_hours(start, selection.hours, selection.zone)))
    flag, accepted = observations.flag.values, _accepted(selection.accept_flags)
    tests += [
        (f"flag {meaning}", flag == value)
        for value, meaning in enumerate(FLAG_MEANINGS)
        if value not in accepted
    ]
    reason = np.full(n, "", dtype=object)
    for name, fails in tests:
        reason[fails & (reason == "")] = name
    return reason.astype(str)


def _in_hours(
    times: npt.NDArray[np.datetime64], hours: tuple[float, float], zone: str
) -> npt.NDArray[np.bool_]:
    first, last = hours
    if not (0 <= first <= 24 and 0 <= last <= 24) or first == last:
        raise ConfigError(f"local hours {first:g} to {last:g}; expected two different hours from 0 to 24")
    hour = local_hours(times, zone)
    if first < last:
        return (hour >= first) & (hour < last)
    return (hour >= first) | (hour < last)


def _accepted(names: tuple[str, ...]) -> set[int]:
    possible = [name for value, name in enumerate(FLAG_MEANINGS) if value not in (GOOD, MISSING)]
    unknown = [name for name in names if name not in possible]
    if unknown:
        raise ConfigError(
            f"flags {', '.join(unknown)} cannot be accepted; expected some of: {', '.join(possible)}"
        )
    return {GOOD, *(FLAG_MEANINGS.index(name) for name in names)}


def _table(sites: npt.NDArray[np.str_], reasons: npt.NDArray[np.str_]) -> pd.DataFrame:
    pairs = pd.DataFrame({"site": sites, "reason": reasons})
    return pairs.groupby(["site", "reason"]).size().reset_index(name="count")
