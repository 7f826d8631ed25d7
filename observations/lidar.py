"""Flux lidar: gas profiles as observations, and wind profiles against the model.

Gas profile (DIAL), netCDF or CSV
    netCDF: dims (time, height); coordinates `time` (start of the average, UTC) and `height` (gate centre, m
    above ground); variables `mole_fraction` and `mole_fraction_sd` (random part), both with units.
    CSV: one row per gate with the columns time, height, mole_fraction, mole_fraction_sd; unit declared.
Wind profile (Doppler), netCDF or CSV
    netCDF: the schema "profiles" (dims site, time, height).
    CSV: one row per site, time and height with the columns site, time, height, latitude, longitude, u, v,
    wind_sd, mixing_height, mixing_height_sd; the last two repeat in all rows of a profile. Empty = missing.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.uncertainty import attach
from observations import raw
from observations.clock import to_utc
from observations.components import cross_section
from observations.table import Site, TableMapping, read_table

_PROFILE_VARIABLES = {
    "u": "m s-1",
    "v": "m s-1",
    "wind_sd": "m s-1",
    "mixing_height": "m",
    "mixing_height_sd": "m",
}


@dataclass(frozen=True)
class DialMapping:
    """What a gas profile does not say itself.

    site, latitude, longitude : name and place (degrees north and east)
    species, unit : "ch4" or "co2", and the unit of mole_fraction and mole_fraction_sd
    averaging_s : length of one profile's average, s
    cross_section_sd : relative standard uncertainty of the differential absorption cross-section
    traceable_to : id of the spectroscopic data behind the cross-section
    missing : spellings of a missing value, beyond an empty field and NaN
    """

    site: str
    latitude: float
    longitude: float
    species: str
    unit: str
    averaging_s: float
    cross_section_sd: float
    traceable_to: str = "not stated"
    missing: tuple[str, ...] = ()


def read_dial(path: Path, mapping: DialMapping) -> xr.Dataset:
    """Return the gates of a gas lidar as observations, inlet = gate height.

    Error parts: random "lidar-noise" of each gate, and the cross-section, common to all gates and times.

    Raises
    ------
    DataError
        As observations.table.read_table.
    """
    table = TableMapping(
        species=mapping.species,
        unit=mapping.unit,
        sites={mapping.site: Site(mapping.latitude, mapping.longitude)},
        inlet="height",
        sd={"lidar-noise": "mole_fraction_sd"},
        averaging_s=mapping.averaging_s,
        missing=mapping.missing,
        scale=f"spectroscopic: {mapping.traceable_to}",
    )
    gates = read_table(path, table)
    return attach(gates, [], [cross_section(gates, mapping.cross_section_sd, mapping.traceable_to)])


def read_profiles(path: Path) -> xr.Dataset:
    """Return the wind profiles of a Doppler lidar in the layout of this module, checked.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, a row occurs twice or a site moves.
    """
    if path.suffix != ".csv":
        if not path.is_file():
            raise DataError(f"{path}: no such file; expected wind profiles")
        try:
            return schema.check(xr.load_dataset(path), "profiles", str(path))
        except (OSError, ValueError) as fault:
            raise DataError(f"{path}: cannot be read as netCDF ({fault})") from None
    numeric = ("height", "latitude", "longitude", *_PROFILE_VARIABLES)
    table = raw.read_raw(path, ["site", "time", *numeric])
    frame = pd.DataFrame({name: raw.numbers(table, name) for name in numeric})
    frame.insert(0, "site", raw.texts(table, "site"))
    frame.insert(1, "time", to_utc(table.columns["time"], "UTC", None, f"{path}: 'time'"))
    if frame.duplicated(["site", "time", "height"]).any():
        raise DataError(f"{path}: a row of the same site, time and height occurs twice")
    return schema.check(_profiles(frame, path), "profiles", str(path))


def _profiles(frame: pd.DataFrame, path: Path) -> xr.Dataset:
    """Return long rows as arrays (site, time, height)."""
    wide = frame.set_index(["site", "time", "height"]).to_xarray()
    out = wide[["u", "v", "wind_sd"]].transpose("site", "time", "height")
    for keys, names in (
        (["site", "time"], ["mixing_height", "mixing_height_sd"]),
        (["site"], ["latitude", "longitude"]),
    ):
        groups = frame.groupby(keys)[names]
        if (groups.nunique(dropna=False) > 1).any(axis=None):
            raise DataError(f"{path}: {' or '.join(names)} differs within one {' and '.join(keys)}")
        out = out.merge(groups.first().to_xarray())
    for name, units in (_PROFILE_VARIABLES | {"height": "m"}).items():
        out[name].attrs["units"] = units
    out.latitude.attrs["units"], out.longitude.attrs["units"] = "degrees_north", "degrees_east"
    site = ("site", out.site.values.astype(str))
    return out.set_coords(["latitude", "longitude"]).assign_coords(site=site)


def compare_mixing_height(profiles: xr.Dataset, met: xr.Dataset) -> pd.DataFrame:
    """Return model minus lidar mixing height for each site: count, bias, sd (m), and the lidar's own sd (m).

    The model is interpolated linearly in time and space to the lidar. Times without a lidar height or
    outside the met period do not count; a site where none is left has count 0 and NaN.

    Raises
    ------
    DataError
        If a site lies outside the met domain.
    """
    schema.check(profiles, "profiles", "mixing-height comparison")
    schema.check(met, "met", "mixing-height comparison")
    x, y = Grid.from_dataset(met).to_xy(profiles.longitude.values, profiles.latitude.values)
    rows = []
    for number, site in enumerate(profiles.site.values.tolist()):
        if not (met.x[0] <= x[number] <= met.x[-1] and met.y[0] <= y[number] <= met.y[-1]):
            raise DataError(
                f"lidar site '{site}' at x={x[number]:.0f} m, y={y[number]:.0f} m is outside the met domain"
            )
        model = met.mixing_height.interp(x=x[number], y=y[number]).interp(time=profiles.time).values
        lidar = profiles.mixing_height.values[number]
        both = np.isfinite(model) & np.isfinite(lidar)
        difference, lidar_sd = model[both] - lidar[both], profiles.mixing_height_sd.values[number][both]
        rows.append({
            "site": site,
            "count": int(both.sum()),
            "bias_m": float(difference.mean()) if both.any() else np.nan,
            "sd_m": float(difference.std(ddof=1)) if both.sum() > 1 else np.nan,
            "lidar_sd_m": float(lidar_sd.mean()) if both.any() else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)
