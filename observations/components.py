"""The error components of a tower network, as settings and as the parts attached to observations."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.errors import ConfigError
from metroflux.uncertainty import Random, Shared, attach

Floats = npt.NDArray[np.float64]

KEYS = ("site", "species", "inlet", "hour", "day", "week", "month")
"""What data can share an error by; none of them: one error common to all."""
_UNITS = {"hour": "h", "day": "D", "month": "M"}


@dataclass(frozen=True)
class NetworkErrors:
    """Standard uncertainties of a tower network, mol mol-1; a part that is 0 is left out.

    scale : offset common to all sites of a species: one scale, the same parent tanks (cause calibration)
    site_calibration : offset of each site's own working tanks, per species (cause calibration)
    repeatability : random error of the instrument
    representativeness : random error of a model that does not resolve the air at the inlet
    traceable_to : id of the reference material behind `scale`
    """

    scale: float = 0.0
    site_calibration: float = 0.0
    repeatability: float = 0.0
    representativeness: float = 0.0
    traceable_to: str = "not stated"


def with_network_errors(observations: xr.Dataset, errors: NetworkErrors) -> xr.Dataset:
    """Return the observations with the error components of their network added."""
    n = observations.sizes["obs"]
    random = [
        Random(name, np.full(n, sd))
        for name, sd in (
            ("repeatability", errors.repeatability),
            ("representativeness", errors.representativeness),
        )
        if sd != 0
    ]
    shared: list[Shared] = []
    if errors.scale != 0:
        shared += group(
            observations, Group("scale", "calibration", ("species",), errors.traceable_to), errors.scale
        )
    if errors.site_calibration != 0:
        by = Group("site-calibration", "calibration", ("site", "species"))
        shared += group(observations, by, errors.site_calibration)
    return attach(observations, random, shared)


@dataclass(frozen=True)
class Group:
    """Which data share one error.

    name : start of the name of each component; the group follows: "scale:co2"
    cause : line of the uncertainty budget
    by : what the data of one group have in common, of KEYS; empty: one group of all
    traceable_to : id of the reference material, certificate or model
    """

    name: str
    cause: str
    by: tuple[str, ...] = ()
    traceable_to: str = "not stated"


def group(observations: xr.Dataset, settings: Group, sd: float | Floats) -> list[Shared]:
    """Return one shared component per group, its column `sd` within the group and 0 outside.

    Parameters
    ----------
    sd : sensitivity times standard uncertainty, mol mol-1, one number or shape (obs,)

    Raises
    ------
    ConfigError
        If a key of the grouping is unknown.
    """
    unknown = [key for key in settings.by if key not in KEYS]
    if unknown:
        raise ConfigError(
            f"errors cannot be shared by {', '.join(unknown)}; expected some of: {', '.join(KEYS)}"
        )
    n = observations.sizes["obs"]
    column = np.broadcast_to(np.asarray(sd, dtype=np.float64), (n,))
    labels = np.full(n, settings.name, dtype=object)
    for key in settings.by:
        labels = labels + ":" + _labels(observations, key)
    return [
        Shared(str(label), settings.cause, np.where(labels == label, column, 0.0), settings.traceable_to)
        for label in dict.fromkeys(labels.tolist())
    ]


def _labels(observations: xr.Dataset, key: str) -> npt.NDArray[np.object_]:
    if key == "week":  # from Monday on, named by its first day: 1970-01-01 was a Thursday
        day = observations.time.values.astype("datetime64[D]").astype(np.int64)
        monday = (day - (day + 3) % 7).astype("datetime64[D]")
        return monday.astype(str).astype(object)
    if key in _UNITS:
        return observations.time.values.astype(f"datetime64[{_UNITS[key]}]").astype(str).astype(object)
    if key == "inlet":
        return np.array([f"{height:g}" for height in observations.inlet.values], dtype=object)
    return observations[key].values.astype(object)


def exponential(
    observations: xr.Dataset, settings: Group, sd: float | Floats, duration_s: float, step_s: float
) -> list[Shared]:
    """Return a shared error per group that is constant over steps and forgets exponentially between them.

    The covariance of two data is sd sd' exp(-|t - t'| / duration), t and t' the starts of their steps. It is
    written exactly as columns, one per step: the factor of the covariance of the steps.

    Parameters
    ----------
    sd : sensitivity times standard uncertainty, mol mol-1, one number or shape (obs,)
    duration_s : time in which the correlation falls to 1/e, s
    step_s : time over which the error does not change, s

    Raises
    ------
    ConfigError
        If duration or step is not positive, or there would be more than MOST_COLUMNS columns.
    """
    if duration_s <= 0 or step_s <= 0:
        raise ConfigError(
            f"'{settings.name}': duration {duration_s:g} s, step {step_s:g} s; expected above 0"
        )
    seconds = (observations.time.values - np.datetime64(0, "s")) / np.timedelta64(1, "s")
    step = np.floor(seconds / step_s)
    return _correlated(group(observations, settings, sd), step * step_s, duration_s)


def along_range(
    observations: xr.Dataset, settings: Group, sd: float | Floats, length_m: float
) -> list[Shared]:
    """Return the error of lidar gates, correlated as exp(-|difference of place| / length) within a group.

    The place of a gate is its `range` if there is one, else its inlet.

    Parameters
    ----------
    settings : its `by` says which data are one profile, for example ("site", "hour")
    length_m : m

    Raises
    ------
    ConfigError
        If the length is not positive, a datum has no range or inlet height, or columns would be too many.
    """
    height = observations["range" if "range" in observations.variables else "inlet"].values
    if length_m <= 0 or np.isnan(height).any():
        raise ConfigError(
            f"'{settings.name}': length {length_m:g} m, {int(np.isnan(height).sum())} data without height; "
            f"expected a length above 0 and a height for each"
        )
    return _correlated(group(observations, settings, sd), height, length_m)


MOST_COLUMNS = 3000
"""Columns of one error: more would cost as much as the covariance itself; a longer step is the way out."""


def _correlated(groups: list[Shared], place: Floats, length: float) -> list[Shared]:
    """Return each group's error with correlation exp(-|place - place'| / length) as columns of its factor."""
    parts: list[Shared] = []
    for one in groups:
        rows = np.flatnonzero(one.column)
        at, index = np.unique(place[rows], return_inverse=True)
        if len(parts) + at.size > MOST_COLUMNS:
            raise ConfigError(f"'{one.name}': more than {MOST_COLUMNS} columns; expected a longer step")
        factor = np.linalg.cholesky(np.exp(-np.abs(at[:, None] - at) / length))
        for number in range(at.size):
            column = np.zeros(one.column.size)
            column[rows] = one.column[rows] * factor[index, number]
            parts.append(Shared(f"{one.name}:{number}", one.cause, column, one.traceable_to))
    return parts


CROSS_SECTION = "lidar-cross-section"
"""Start of the name of a cross-section's error; what the spectroscopy is traceable to follows."""


def cross_section(observations: xr.Dataset, relative_sd: float, traceable_to: str = "not stated") -> Shared:
    """Return the error of a lidar's differential absorption cross-section, common to all of its spectroscopy.

    The retrieved mole fraction is inversely proportional to the cross-section difference, so a relative
    error of it is the same relative error of every datum. Lidars of one spectroscopy have one error.
    """
    values = observations.mole_fraction.values
    column = np.where(np.isnan(values), 0.0, relative_sd * values)
    return Shared(f"{CROSS_SECTION}:{traceable_to}", "lidar", column, traceable_to)
