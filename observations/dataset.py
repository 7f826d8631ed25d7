"""The observations dataset: flags, datum ids, and the one function that builds and checks it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.time import Times
from metroflux.uncertainty import Random, Shared, attach

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]

GOOD = 0
REJECTED_BY_PROVIDER = 1
MISSING = 2
SUSPECT = 3
OUT_OF_RANGE = 4
UNKNOWN_SCALE = 5
LOW_QUALITY = 6
UNCERTAINTY_MISSING = 7
REJECTED_BY_OPERATOR = 8
SPIKE = 9
WARM_UP = 10
FLUSH = 11
CAVITY_PRESSURE = 12

FLAG_MEANINGS = (
    "good",
    "rejected_by_provider",
    "missing",
    "suspect",
    "out_of_range",
    "unknown_scale",
    "low_quality",
    "uncertainty_missing",
    "rejected_by_operator",
    "spike",
    "warm_up",
    "flush",
    "cavity_pressure",
)
"""Name of each flag value, one table for every reader: stored numbers must not change, only grow."""

PLAUSIBLE = {"co2": (200e-6, 5000e-6), "ch4": (1.0e-6, 200e-6)}
"""Mole fractions, mol mol-1, that air can have, from glacial air to the edge of a stack or landfill plume.

Wide on purpose: a value outside is not bad air but an undeclared missing value or a wrong unit.
"""

TRACE = (0.0, 1e-4)
"""The same for any other gas: no trace gas reaches 100 ppm, carbon monoxide in a tunnel included."""


def plausible(species: str) -> tuple[float, float]:
    """Return least and greatest mole fraction, mol mol-1, that air can have of a species."""
    return PLAUSIBLE.get(species, TRACE)


class TruncatedFileWarning(UserWarning):
    """A file holds fewer lines than its own header says."""


@dataclass(frozen=True)
class Columns:
    """The plain columns of an observations dataset, each of shape (obs,).

    start, end : UTC bounds of the averaging interval; equal for an instantaneous sounding
    inlet : height above ground, m; NaN where unknown and for columns
    latitude, longitude : degrees north and east
    mole_fraction : dry-air mole fraction, mol mol-1; NaN where missing
    flag : index into FLAG_MEANINGS, 0 = use
    n_samples : number of samples in the average; 0 = not stated
    """

    start: Times
    end: Times
    site: Texts
    species: Texts
    inlet: Floats
    latitude: Floats
    longitude: Floats
    mole_fraction: Floats
    flag: Ints
    n_samples: Ints


def tower_ids(site: Texts, species: Texts, inlet: Floats, start: Times) -> Texts:
    """Return `site:species:inlet:start` for each datum of an inlet (inlet 'nan' when unknown)."""
    stamps = np.datetime_as_string(start, unit="s")
    rows = zip(site, species, inlet, stamps, strict=True)
    return np.array([f"{s}:{gas}:{height:g}:{stamp}" for s, gas, height, stamp in rows])


def column_ids(site: Texts, species: Texts, start: Times) -> Texts:
    """Return `site:species:column:start:number` for each sounding, numbered in file order."""
    stamps = np.datetime_as_string(start, unit="s")
    rows = enumerate(zip(site, species, stamps, strict=True))
    return np.array([f"{s}:{gas}:column:{stamp}:{number}" for number, (s, gas, stamp) in rows])


def build(
    columns: Columns,
    datum_id: Texts,
    random: Sequence[Random],
    shared: Sequence[Shared],
    scale: str,
    where: str,
) -> xr.Dataset:
    """Return a checked observations dataset.

    A datum whose mole fraction is NaN and whose flag is still 0 gets the flag `missing`.

    Parameters
    ----------
    scale : calibration scale, for example "WMO CO2 X2019"
    where : file or source named in every error

    Raises
    ------
    DataError
        Listing all faults: no rows, unequal lengths, an end before its start, places off the Earth,
        unknown flags, a datum_id used twice.
    """
    _raise_all(where, _faults(columns, datum_id))
    flag = np.where((columns.flag == GOOD) & np.isnan(columns.mole_fraction), MISSING, columns.flag)
    ds = xr.Dataset(
        data_vars={
            "time_bounds": (("obs", "bounds"), np.stack([columns.start, columns.end], axis=1)),
            "mole_fraction": (
                "obs",
                columns.mole_fraction,
                {"units": "mol mol-1", "long_name": "dry-air mole fraction", "ancillary_variables": "flag"},
            ),
            "flag": ("obs", flag.astype(np.int64), _flag_attributes()),
            "n_samples": (
                "obs",
                columns.n_samples,
                {"long_name": "number of samples in the average, 0 = not stated"},
            ),
        },
        coords=_coordinates(columns, datum_id),
        attrs={"scale": scale},
    )
    return schema.check(attach(ds, random, shared), "observations", where)


def with_flag(observations: xr.Dataset, which: npt.NDArray[np.bool_], flag: int, remark: str) -> xr.Dataset:
    """Return the observations with `flag` where `which`, of shape (obs,), and the datum was still good.

    The remark, which the table of dropped data shows beside the flag, goes into `flag_remark`.
    """
    marked = which & (observations.flag.values == GOOD)
    n = observations.sizes["obs"]
    old = observations["flag_remark"].values if "flag_remark" in observations.variables else np.full(n, "")
    return observations.assign(
        flag=observations.flag.copy(data=np.where(marked, flag, observations.flag.values)),
        flag_remark=("obs", np.where(marked, remark, old), {"long_name": "what the flag is about"}),
    )


def _flag_attributes() -> dict[str, object]:
    return {
        "long_name": "why a datum is not used, 0 = use",
        "flag_values": np.arange(len(FLAG_MEANINGS), dtype=np.int64),
        "flag_meanings": " ".join(FLAG_MEANINGS),
    }


def _coordinates(columns: Columns, datum_id: Texts) -> dict[str, tuple[str, object, dict[str, str]]]:
    def text(values: Texts, name: str) -> tuple[str, object, dict[str, str]]:
        return "obs", np.asarray(values, dtype=str), {"long_name": name}

    return {
        "datum_id": text(datum_id, "identity of the datum"),
        "site": text(columns.site, "site"),
        "species": text(columns.species, "species"),
        "time": (
            "obs",
            columns.start,
            {"standard_name": "time", "long_name": "start of the interval, UTC", "bounds": "time_bounds"},
        ),
        "inlet": ("obs", columns.inlet, {"units": "m", "long_name": "inlet height above ground"}),
        "latitude": (
            "obs",
            columns.latitude,
            {"units": "degrees_north", "standard_name": "latitude", "long_name": "latitude"},
        ),
        "longitude": (
            "obs",
            columns.longitude,
            {"units": "degrees_east", "standard_name": "longitude", "long_name": "longitude"},
        ),
    }


def _faults(columns: Columns, datum_id: Texts) -> list[str]:
    sizes = {name: np.shape(getattr(columns, name)) for name in Columns.__dataclass_fields__}
    sizes["datum_id"] = datum_id.shape
    if len(set(sizes.values())) != 1 or len(sizes["start"]) != 1:
        return [f"columns have shapes {sizes}; expected all equal and one-dimensional"]
    if not datum_id.size:
        return ["no rows; expected at least one datum"]
    if np.isnat(columns.start).any() or np.isnat(columns.end).any():
        return ["undefined time bounds"]
    checks = (
        ("end is before its start", columns.end < columns.start),
        ("latitude is not within -90 to 90 degrees", ~(np.abs(columns.latitude) <= 90)),
        ("longitude is not within -180 to 360 degrees", ~_within(columns.longitude, -180, 360)),
        ("flag is not in the flag table", ~_within(columns.flag, 0, len(FLAG_MEANINGS) - 1)),
        ("n_samples is negative", columns.n_samples < 0),
        ("mole_fraction is infinite", np.isinf(columns.mole_fraction)),
    )
    faults = [
        f"{text} in {bad.sum()} rows, first row {int(bad.argmax())}" for text, bad in checks if bad.any()
    ]
    names, counts = np.unique(datum_id, return_counts=True)
    if counts.max() > 1:
        faults.append(f"{(counts > 1).sum()} datum_id used more than once, first '{names[counts > 1][0]}'")
    return faults


def _within(values: Floats | Ints, low: float, high: float) -> npt.NDArray[np.bool_]:
    return np.asarray((values >= low) & (values <= high))


def _raise_all(where: str, faults: list[str]) -> None:
    if faults:
        raise DataError(f"{where}: " + "; ".join(faults))
