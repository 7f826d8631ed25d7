"""`metroflux observations profiles`: the files of a Doppler lidar to wind profiles and mixing heights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from metroflux.errors import ConfigError, DataError
from observations.flux_lidar.day import Day, DaySettings, profiles_of
from observations.flux_lidar.files import read_rays
from observations.flux_lidar.rays import Rays
from observations.flux_lidar.wind import FitSettings
from observations.head import read_head
from observations.kinds import KINDS, kind_of

DOPPLER = ("halo", "arm", "windcube")


@dataclass(frozen=True)
class Lidar:
    """What the files of a lidar may not say themselves.

    height : above the ground, m
    place : longitude and latitude, degrees; None: as the files say
    """

    site: str
    height: float
    place: tuple[float, float] | None = None


def place_of(text: str | None) -> tuple[float, float] | None:
    """Return longitude and latitude of the command line's LON,LAT, degrees.

    Raises
    ------
    ConfigError
        If it is not two numbers of degrees.
    """
    if text is None:
        return None
    try:
        longitude, latitude = map(float, text.split(","))
    except ValueError:
        raise ConfigError(f"--place '{text}': expected LON,LAT in degrees, such as 116.3,39.9") from None
    if not (-180 <= longitude <= 360 and -90 <= latitude <= 90):
        raise ConfigError(f"--place '{text}': expected longitude -180 to 360, latitude -90 to 90")
    return longitude, latitude


def settings_of(
    method: Literal["variance", "aerosol"], window_h: float, velocity_sd: float | None
) -> DaySettings:
    """Return how files become profiles; with the sd of a ray, that of the wind comes from it."""
    wind = FitSettings() if velocity_sd is None else FitSettings("instrument", velocity_sd)
    return DaySettings(wind, method, window_h)


def profiles_command(
    files: Sequence[Path], output: Path, lidar: Lidar, settings: DaySettings, console: Console
) -> None:
    """Write the profiles of a lidar's files and print what each time has.

    Raises
    ------
    DataError
        If a file is no Doppler lidar's, or nothing can be made of them.
    ConfigError
        If neither files nor user say where the lidar stands.
    """
    rays = {path.name: _rays(path) for path in files}
    if len(rays) < len(files):
        raise ConfigError("lidar profiles: a file name is given twice; expected each file once")
    place = _place([one for sweeps in rays.values() for one in sweeps], lidar)
    day = profiles_of(rays, settings, lidar.site, (*place, lidar.height))
    part = output.with_name(output.name + ".part")
    day.profiles.to_netcdf(part, engine="netcdf4")
    part.replace(output)
    console.print(_table(day))
    for reason in day.left_out.values():
        console.print(f"[yellow]no wind: {escape(reason)}[/]", highlight=False)
    console.print(f"{output}: profiles of {lidar.site}", markup=False, highlight=False, soft_wrap=True)


def _rays(path: Path) -> tuple[Rays, ...]:
    kind = kind_of(read_head(path))
    if kind is None or kind.name not in DOPPLER:
        known = ", ".join(one.about for one in KINDS if one.name in DOPPLER)
        raise DataError(f"{path}: {'not a lidar file' if kind is None else kind.about}; expected {known}")
    return read_rays(path, kind.name)


def _place(rays: Sequence[Rays], lidar: Lidar) -> tuple[float, float]:
    """Return longitude and latitude, stated or as all files say."""
    if lidar.place is not None:
        return lidar.place
    said = {one.place[:2] for one in rays if np.isfinite(one.place[:2]).all()}
    if len(said) != 1:
        raise ConfigError(f"{lidar.site}: the files say {len(said)} places; expected --place LON,LAT")
    return said.pop()


def _table(day: Day) -> Table:
    table = Table("time (UTC)", "wind: gates", "up to, m", "mixing height, m")
    profiles = day.profiles.isel(site=0)
    for i, mixing in enumerate(day.mixing):
        known = np.isfinite(profiles.u.values[i])
        top = f"{profiles.height.values[known].max():.0f}" if known.any() else "-"
        height = float(profiles.mixing_height.values[i])
        said = f"cannot say: {mixing.reason}" if mixing.reason else f"{height:.0f} ± {mixing.sd:.0f}"
        table.add_row(str(profiles.time.values[i])[:19], str(int(known.sum())), top, escape(said))
    return table
