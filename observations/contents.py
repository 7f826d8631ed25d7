"""What a file of observations holds, what of it would be used, and why the rest would not."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from metroflux.errors import DataError
from observations.dataset import FLAG_MEANINGS, GOOD, TruncatedFileWarning
from observations.formats.series import Supplement
from observations.recognise import FORMATS, Format, read, recognise
from observations.table import Site


@dataclass(frozen=True)
class GasContents:
    """What a file holds of one gas.

    sites : columns site, inlet, south, north, west, east (degrees; NaN: not known), rows, used
    dropped : columns reason, count, of the rows that would not be used
    interval : length of the averaging interval, in words
    remarks : what a user must know or give
    """

    observations: xr.Dataset
    sites: pd.DataFrame
    dropped: pd.DataFrame
    interval: str
    remarks: tuple[str, ...]

    @property
    def used(self) -> xr.Dataset:
        """The rows that would be used."""
        return self.observations.isel(obs=self.observations.flag.values == GOOD)


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    gases : by name
    refused : why a gas cannot be read, by name
    """

    path: Path
    format: Format
    gases: dict[str, GasContents]
    refused: dict[str, str]


def is_column(ds: xr.Dataset) -> bool:
    """Tell whether observations are columns of air, not of an inlet."""
    return bool(np.isnan(ds.inlet.values).all()) and ":column:" in str(ds.datum_id.values[0])


def look(path: Path, name: str = "auto", species: str | None = None) -> Contents:
    """Return what a file holds of each gas, or of one.

    Raises
    ------
    DataError
        If the file is in no known format, or none of its gases can be read.
    """
    if name != "auto" and name not in FORMATS:
        raise DataError(f"format '{name}' is unknown; expected auto, {', '.join(FORMATS)}")
    form = recognise(path) if name == "auto" else FORMATS[name]
    found: dict[str, GasContents] = {}
    refused: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedFileWarning)
        for gas in (species,) if species else form.gases(path):
            try:
                found[gas] = gas_contents(
                    read(path, form.name, Supplement(species=gas, anywhere=Site(0.0, 0.0)))
                )
            except DataError as fault:
                refused[gas] = str(fault).removeprefix(f"{path}: ")
    if not found:
        reasons = "; ".join(dict.fromkeys(refused.values())) or "it names no gas"
        raise DataError(f"{path}: {form.about}, but no gas of it can be read: {reasons}")
    return Contents(path, form, found, refused)


def gas_contents(ds: xr.Dataset) -> GasContents:
    """Return what observations of one gas hold."""
    flag = ds.flag.values
    dropped = [(FLAG_MEANINGS[value], int((flag == value).sum())) for value in np.unique(flag[flag != GOOD])]
    return GasContents(
        observations=ds,
        sites=_sites(ds),
        dropped=pd.DataFrame(dropped, columns=["reason", "count"]),
        interval=_interval(ds),
        remarks=tuple(_remarks(ds)),
    )


def _sites(ds: xr.Dataset) -> pd.DataFrame:
    unknown = ds.attrs.get("place") == "not known"
    rows = pd.DataFrame(
        {
            "site": ds.site.values,
            "inlet": ds.inlet.values,
            "latitude": np.nan if unknown else ds.latitude.values,
            "longitude": np.nan if unknown else ds.longitude.values,
            "used": ds.flag.values == GOOD,
        }
    )
    groups = rows.groupby(["site", "inlet"], dropna=False, sort=False)
    return groups.agg(
        south=("latitude", "min"),
        north=("latitude", "max"),
        west=("longitude", "min"),
        east=("longitude", "max"),
        rows=("used", "size"),
        used=("used", "sum"),
    ).reset_index()


def _interval(ds: xr.Dataset) -> str:
    """Return the length of the intervals in words.

    A month has several lengths, so the range is given where they differ.
    """
    seconds = np.diff(ds.time_bounds.values, axis=1)[:, 0] / np.timedelta64(1, "s")
    low, high = float(seconds.min()), float(seconds.max())
    return _duration(low) if low == high else f"{_duration(low)} to {_duration(high)}"


def _duration(seconds: float) -> str:
    if seconds == 0:
        return "instantaneous"
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} s"


def _remarks(ds: xr.Dataset) -> list[str]:
    said = []
    if ds.attrs.get("place") == "not known":
        names = ", ".join(np.unique(ds.site.values)[:5].tolist())
        said.append(f"the file does not say where {names} is: give `sites`")
    if ds.attrs["scale"] in ("not stated", "unknown"):
        said.append(f"calibration scale {ds.attrs['scale']}: give `scale`")
    if not ds.sizes["random"]:
        form = FORMATS.get(ds.attrs.get("format", ""))
        beside = "give `uncertainty_file` or " if form is not None and form.uncertainty_beside else ""
        said.append(f"no uncertainty in the file: {beside}add a random error in the configuration")
    if is_column(ds) and "averaging_kernel" not in ds.variables:
        said.append("columns without averaging kernel: to look at and compare, not to invert")
    if "truncated" in ds.attrs:
        said.append(ds.attrs["truncated"])
    return said
