"""The error components of a tower network, as settings and as the parts attached to observations."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.errors import ConfigError
from metroflux.uncertainty import Random, Shared, attach

Floats = npt.NDArray[np.float64]

KEYS = ("site", "species", "inlet", "day", "week", "month")
"""What data can share an error by; none of them: one error common to all."""


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
    if key in ("day", "month"):
        return observations.time.values.astype(f"datetime64[{key[0].upper()}]").astype(str).astype(object)
    if key == "inlet":
        return np.array([f"{height:g}" for height in observations.inlet.values], dtype=object)
    return observations[key].values.astype(object)


def cross_section(observations: xr.Dataset, relative_sd: float, traceable_to: str = "not stated") -> Shared:
    """Return the error of a lidar's differential absorption cross-section, common to all its gates.

    The retrieved mole fraction is inversely proportional to the cross-section difference, so a relative
    error of it is the same relative error of every datum.
    """
    values = observations.mole_fraction.values
    column = np.where(np.isnan(values), 0.0, relative_sd * values)
    return Shared("lidar-cross-section", "lidar", column, traceable_to)
