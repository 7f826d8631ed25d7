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
    mixing_above_inlet : m; how far the mixing height must lie above the inlet
    min_wind : m s-1; least wind speed
    max_local_influence : 1; greatest share of the sensitivity that lies near the site
    """

    start: np.datetime64 | None = None
    end: np.datetime64 | None = None
    hours: tuple[float, float] | None = None
    zone: str = "UTC"
    species: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    accept_flags: tuple[str, ...] = ()
    mixing_above_inlet: float | None = None
    min_wind: float | None = None
    max_local_influence: float | None = None


def select(
    observations: xr.Dataset, selection: Selection, conditions: xr.Dataset | None = None
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Return the observations to use, and a table (site, reason, count) of those dropped.

    A datum with several reasons counts under the first of: species, site, period, local hours, flag, mixing
    height, wind, local influence. A condition that is not known of a datum drops it, with that reason.

    Parameters
    ----------
    conditions : as `observations.conditions` makes them, of the same data in the same order; needed for the
        last three limits

    Raises
    ------
    DataError
        If nothing is left (the message gives the counts by reason), or a limit is set and its condition is
        not there.
    """
    schema.check(observations, "observations", "selection")
    reason = _reasons(observations, selection, conditions)
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


def _reasons(
    observations: xr.Dataset, selection: Selection, conditions: xr.Dataset | None
) -> npt.NDArray[np.str_]:
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
    tests += _air(observations, selection, conditions)
    reason = np.full(n, "", dtype=object)
    for name, fails in tests:
        reason[fails & (reason == "")] = name
    if "flag_remark" in observations.variables:
        said = observations["flag_remark"].values.astype(object)
        shown = (said != "") & np.array([text.startswith("flag ") for text in reason], dtype=bool)
        reason[shown] = reason[shown] + ": " + said[shown]
    return reason.astype(str)


def _air(
    observations: xr.Dataset, selection: Selection, conditions: xr.Dataset | None
) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Return the tests of the air: reason and which data fail it."""
    columns = bool(np.isnan(observations.inlet.values).all())
    limits = (
        ("mixing_height", selection.mixing_above_inlet, "mixing height too near the inlet"),
        ("wind_speed", selection.min_wind, "wind too weak"),
        ("local_influence", selection.max_local_influence, "local influence too great"),
    )
    tests: list[tuple[str, npt.NDArray[np.bool_]]] = []
    for name, limit, reason in limits:
        if limit is None:
            continue
        if name == "mixing_height" and columns:
            raise ConfigError("selection: mixing_above_inlet is set, but the data have no inlet")
        values = _condition(observations, conditions, name)
        tests.append((f"{name.replace('_', ' ')} unknown", np.isnan(values)))
        if name == "mixing_height":
            values = values - np.nan_to_num(observations.inlet.values)
        tests.append((reason, values > limit if name == "local_influence" else values < limit))
    return tests


def _condition(observations: xr.Dataset, conditions: xr.Dataset | None, name: str) -> npt.NDArray[np.float64]:
    if conditions is None or name not in conditions.variables:
        raise DataError(f"selection: a limit on {name.replace('_', ' ')} is set, but it is not known")
    if conditions.datum_id.values.tolist() != observations.datum_id.values.tolist():
        raise DataError("selection: conditions are not of the same data in the same order")
    return np.asarray(conditions[name].values, dtype=np.float64)


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
