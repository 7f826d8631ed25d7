"""Files of this room that are no observations as they are, and what takes them."""

from collections.abc import Callable
from dataclasses import dataclass

from observations.edits import COLUMNS as EDITS
from observations.flux_lidar.halo import is_halo
from observations.flux_lidar.netcdf import ARM, WINDCUBE
from observations.formats.agage_precisions import is_precisions
from observations.head import Head, words
from observations.metrology.certificates import COLUMNS as TANKS
from observations.metrology.picarro import NEEDED as PICARRO

_WIND = "`metroflux observations profiles`: wind profiles and mixing height"


@dataclass(frozen=True)
class Kind:
    """A kind of file: its name, what it is, how it is told from others, what takes it, for people.

    is_it : tells whether a file that begins so is of this kind
    """

    name: str
    about: str
    is_it: Callable[[Head], bool]
    taken_by: str


KINDS = (
    Kind(
        "picarro-log",
        "Picarro DataLog_User raw log",
        lambda head: set(PICARRO) <= words(head.line(0)),
        "`metroflux calibrate`, as one of its `logs`",
    ),
    Kind(
        "tanks",
        "tanks CSV: certified standards",
        lambda head: set(TANKS) <= words(head.line(0), ","),
        "`metroflux calibrate`, as its `tanks`",
    ),
    Kind(
        "certificate",
        "Digital Calibration Certificate (XML)",
        lambda head: head.has("digitalCalibrationCertificate"),
        "`metroflux calibrate`, as one of its `certificates`, if it certifies one mole fraction",
    ),
    Kind(
        "stacks",
        "hourly stack emissions (US EPA CAMPD, JSON)",
        lambda head: head.has('"orisCode"', '"opHour"', '"co2Mass"'),
        "`observations.metrology.cems.read_campd` in the library",
    ),
    Kind(
        "calibrated",
        "observations that metroflux wrote",
        lambda head: {"datum_id", "mole_fraction", "time_bounds", "random_sd"} <= head.names,
        "reader `calibrated` of a configuration, `metroflux observations compare`, `metroflux trace`",
    ),
    Kind(
        "precisions",
        "AGAGE precisions: daily standard deviations of the standard's measurements",
        is_precisions,
        "reader `agage-text`, as `uncertainty_file` beside its .C file",
    ),
    Kind(
        "edits",
        "manual edits: who rejected which data, when and why",
        lambda head: set(EDITS) <= words(head.line(0), ","),
        "`observations.quality.edits` of a configuration",
    ),
    Kind("halo", "HALO Photonics StreamLine rays (.hpl)", lambda head: is_halo(head.lines), _WIND),
    Kind(
        "halo-background",
        "HALO Photonics StreamLine background",
        lambda head: head.file.startswith("Background_") and head.line(0)[:1].isdigit(),
        "`observations.flux_lidar.halo.read_background` in the library",
    ),
    Kind("arm", "ARM Doppler lidar netCDF", lambda head: head.names >= ARM, _WIND),
    Kind("windcube", "WindCube netCDF with CF/Radial sweeps", lambda head: head.names >= WINDCUBE, _WIND),
    Kind(
        "dial",
        "DIAL profiles of metroflux",
        lambda head: {"cross_section_sd", "neighbour_correlation"} <= head.names,
        "reader `dial` of a configuration (its gates are data), or `observations.planes` (a flux)",
    ),
)
"""Every such kind."""


def kind_of(head: Head) -> Kind | None:
    """Return the kind of a file that begins so, None if it is none of KINDS."""
    return next((kind for kind in KINDS if kind.is_it(head)), None)
