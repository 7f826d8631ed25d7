"""What every reader of a format hands over, and the one way from there to an observations dataset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.errors import DataError
from metroflux.time import Times
from metroflux.uncertainty import Random
from metroflux.units import FILL_LIMIT, mole_fraction_factor
from observations.clock import Label, interval
from observations.dataset import (
    GOOD,
    MISSING,
    OUT_OF_RANGE,
    REJECTED_BY_PROVIDER,
    UNCERTAINTY_MISSING,
    UNKNOWN_SCALE,
    Columns,
    Floats,
    Ints,
    Texts,
    build,
    column_ids,
    plausible,
    tower_ids,
)
from observations.table import Site

Bools = npt.NDArray[np.bool_]

NOT_STATED = "not stated"
"""Scale of a format that has no place for one; a file that says "unknown" is another matter."""


@dataclass(frozen=True)
class Supplement:
    """What a user adds to what a file says of itself.

    species : the gas to read from a file of several; None: the file has one
    sites : place of sites, in place of what the file says; needed where it says nothing
    anywhere : place of a site that neither the file nor `sites` has, to look at a file only
    scale : calibration scale where the file says none or "unknown"; which one where it has several
    averaging_s : length of the averaging interval where the file says none, s
    accept_unknown_scale : use data whose scale the file calls unknown
    uncertainty_file : file beside this one that states the uncertainty, where the format has such
    """

    species: str | None = None
    sites: Mapping[str, Site] = field(default_factory=dict)
    anywhere: Site | None = None
    scale: str | None = None
    averaging_s: float | None = None
    accept_unknown_scale: bool = False
    uncertainty_file: Path | None = None


NOTHING = Supplement()


@dataclass(frozen=True)
class Series:
    """One gas of a file, as the file gives it; arrays of shape (row,).

    unit : of `values` and `sd`
    scale : calibration scale of each row; "unknown" where the file says so
    values : NaN where missing
    rejected : whether the provider rejects the row
    sd : standard uncertainty of each row, NaN where missing; None: the format has none
    sd_name : name of the random part made of `sd`
    inlet, latitude, longitude : m above ground, degrees; NaN where the file says nothing
    n_samples : 0 = not stated
    instrument : id of the instrument of each row; None: the format does not say
    kind : how data are told apart; one inlet gives one mole fraction at a time, flasks come in pairs,
        soundings are numbered
    """

    species: str
    unit: str
    scale: Texts
    start: Times
    end: Times
    site: Texts
    inlet: Floats
    latitude: Floats
    longitude: Floats
    values: Floats
    rejected: Bools
    n_samples: Ints
    sd: Floats | None = None
    sd_name: str = "variability"
    instrument: Texts | None = None
    kind: str = "inlet"


def finish(path: Path, series: Series, given: Supplement) -> xr.Dataset:
    """Return the observations of a series: units converted, each row flagged, places and scale settled.

    A value that air cannot have is flagged, since one undeclared missing value must not keep out a year;
    where no value is possible the unit is wrong and the file is refused. A file that states no uncertainty
    at all gets no random part; where some rows state one, those that do not are flagged.

    Raises
    ------
    DataError
        If no value is possible, a place is not known, used rows are on two scales, or the file's scale is not
        the one given.
    """
    choose_gas(path, (series.species,), given)
    if not series.values.size:
        raise DataError(f"{path}: no rows of {series.species}; expected at least one")
    factor = _factor(path, series.unit)
    values = series.values * factor
    latitude, longitude, inlet, place = _places(path, series, given)
    flag = _flags(path, series, values, factor)
    scale, flag = settle_scale(path, series.scale, flag, given)
    random = []
    if series.sd is not None and np.isfinite(series.sd).any():
        usable = flag == GOOD
        random = [Random(series.sd_name, np.where(usable, series.sd, 0.0) * factor)]
    columns = Columns(
        start=series.start,
        end=series.end,
        site=series.site,
        species=np.full(values.shape, series.species),
        inlet=inlet,
        latitude=latitude,
        longitude=longitude,
        # a fill value that the file does not declare is no number; its flag says that there was one
        mole_fraction=np.where(np.abs(series.values) > FILL_LIMIT, np.nan, values),
        flag=flag,
        n_samples=series.n_samples,
    )
    ds = build(columns, _ids(columns, series.kind), random, [], scale, str(path))
    if series.instrument is not None:
        ds = ds.assign_coords(instrument=("obs", series.instrument, {"long_name": "instrument"}))
    return ds.assign_attrs(place=place)


def _factor(path: Path, unit: str) -> float:
    try:
        return mole_fraction_factor(unit)
    except DataError as fault:
        raise DataError(f"{path}: {fault}") from None


def _flags(path: Path, series: Series, values: Floats, factor: float) -> Ints:
    low, high = plausible(series.species)
    flag = np.where(series.rejected, REJECTED_BY_PROVIDER, GOOD)
    # a rejected row stays rejected whether or not a number is left in it
    flag = np.where((flag == GOOD) & np.isnan(values), MISSING, flag)
    outside = (flag == GOOD) & ~((values >= low) & (values <= high))
    if outside.any() and (outside == (flag == GOOD)).all():
        raise DataError(
            f"{path}: all {outside.sum()} values of {series.species} are outside {low / factor:g} to "
            f"{high / factor:g} {series.unit}, first {series.values[outside][0]:g}; another unit?"
        )
    flag = np.where(outside, OUT_OF_RANGE, flag)
    if series.sd is not None and np.isfinite(series.sd).any():
        stated = (series.sd >= 0) & (series.sd * factor <= high)
        flag = np.where((flag == GOOD) & ~stated, UNCERTAINTY_MISSING, flag)
    return flag.astype(np.int64)


def settle_scale(path: Path, scales: Texts, flag: Ints, given: Supplement) -> tuple[str, Ints]:
    """Return the one scale of the rows to be used, and the flags with rows of unknown scale marked.

    Raises
    ------
    DataError
        If used rows are on two scales, or on another than the one given.
    """
    names = np.where(np.char.lower(scales) == "unknown", "unknown", scales)
    if given.scale is not None:
        names = np.where((names == "unknown") | (names == NOT_STATED), given.scale, names)
    if not given.accept_unknown_scale:
        flag = np.where((flag == GOOD) & (names == "unknown"), UNKNOWN_SCALE, flag).astype(np.int64)
    used = sorted(set(names[flag == GOOD].tolist()))
    known = [name for name in used if name != "unknown"]
    if len(known) > 1:
        raise DataError(f"{path}: used rows are on the scales {', '.join(known)}; expected one")
    if given.scale is not None and known and known[0] != given.scale:
        raise DataError(f"{path}: scale is '{known[0]}' by the file, but '{given.scale}' is given")
    return " and ".join(used or sorted(set(names.tolist()))), flag


def _places(path: Path, series: Series, given: Supplement) -> tuple[Floats, Floats, Floats, str]:
    """Return latitude, longitude, inlet of each row, and where they come from."""
    latitude, longitude, inlet = series.latitude.copy(), series.longitude.copy(), series.inlet.copy()
    source = "file"
    present = set(series.site.tolist())
    absent = sorted(set(given.sites) - present)
    if absent:
        listed = ", ".join(sorted(present)[:5])
        raise DataError(f"{path}: no site {', '.join(absent)}; the file has: {listed}")
    for name, place in given.sites.items():
        rows = series.site == name
        latitude[rows], longitude[rows] = place.latitude, place.longitude
        if np.isfinite(place.inlet):
            inlet[rows] = place.inlet
        source = "given"
    nowhere = ~(np.isfinite(latitude) & np.isfinite(longitude))
    if nowhere.any() and given.anywhere is None:
        names = ", ".join(sorted(set(series.site[nowhere].tolist()))[:5])
        raise DataError(f"{path}: the file does not say where {names} is; give its latitude and longitude")
    if nowhere.any() and given.anywhere is not None:
        latitude[nowhere], longitude[nowhere] = given.anywhere.latitude, given.anywhere.longitude
        source = "not known"
    return latitude, longitude, inlet, source


def _ids(columns: Columns, kind: str) -> Texts:
    if kind == "sounding":
        return column_ids(columns.site, columns.species, columns.start)
    plain = tower_ids(columns.site, columns.species, columns.inlet, columns.start)
    return number_repeats(plain) if kind == "flask" else plain


def number_repeats(names: Texts) -> Texts:
    """Return names with the second and later of the same numbered: pairs of flasks are two data.

    >>> number_repeats(np.array(["a", "b", "a", "a"])).tolist()
    ['a', 'b', 'a:2', 'a:3']
    """
    seen: dict[str, int] = {}
    out = []
    for name in names.tolist():
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return np.array(out)


def choose_gas(path: Path, gases: tuple[str, ...], given: Supplement) -> str:
    """Return the gas to read: the one given, or the file's only one.

    Raises
    ------
    DataError
        If it is not in the file, or the file has several and none is given.
    """
    if given.species is not None:
        if given.species not in gases:
            raise DataError(f"{path}: no {given.species}; the file has: {', '.join(gases) or 'no gas'}")
        return given.species
    if len(gases) != 1:
        raise DataError(f"{path}: has {', '.join(gases) or 'no gas'}; say which gas to read")
    return gases[0]


def choose_scale(path: Path, species: str, scales: Mapping[str, str], given: Supplement) -> tuple[str, str]:
    """Return the variable to read and its scale: that of the scale given, else the first.

    Parameters
    ----------
    scales : variable of each scale that the file has

    Raises
    ------
    DataError
        If the scale given is not in the file.
    """
    if given.scale is None or set(scales) == {NOT_STATED}:
        scale = next(iter(scales))
    elif given.scale in scales:
        scale = given.scale
    else:
        raise DataError(f"{path}: no {species} on '{given.scale}'; the file has: {', '.join(scales)}")
    return scales[scale], scale


def steady_interval(path: Path, stamps: Times, label: Label, given: Supplement) -> tuple[Times, Times]:
    """Return bounds of intervals whose length is given or, if not, the commonest step of the stamps.

    The step is taken to the minute: programs that stamp the mean of the sampling times are off by seconds.
    """
    seconds = given.averaging_s
    if seconds is None:
        steps = np.diff(np.unique(stamps)) / np.timedelta64(1, "m")
        minutes, counts = np.unique(np.round(steps[steps >= 0.5]), return_counts=True)
        if not minutes.size:
            raise DataError(
                f"{path}: the averaging interval cannot be told from {stamps.size} rows, at no two different "
                f"minutes; in the source of the configuration, give averaging_s (s)"
            )
        seconds = 60.0 * float(minutes[counts.argmax()])
    return interval(stamps, label, seconds)
