"""`metroflux observations inspect` of a lidar file: rays, gates, and whether a wind can be fitted."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from metroflux.errors import DataError
from observations.flux_lidar.dial import read_dial_scan
from observations.flux_lidar.files import ABOUT, read_rays
from observations.flux_lidar.halo import read_background
from observations.flux_lidar.rays import Rays
from observations.flux_lidar.wind import FitSettings, fit_wind


def inspect_lidar(path: Path, kind: str, console: Console) -> None:
    """Print what a lidar file holds and what can be made of it."""
    console.print(
        Panel(f"[bold]{ABOUT[kind]}[/] ({kind})", title=escape(path.name), title_align="left", expand=False)
    )
    if kind == "halo-background":
        time, noise = read_background(path)
        console.print(f"{str(time)[:19]} UTC, {noise.size} gates, median {np.median(noise):.6g} counts")
        return
    if kind == "dial":
        ds = read_dial_scan(path)
        noise_sd, size = float(np.nanmedian(ds.random_sd)) * 1e9, ds.mole_fraction.shape
        console.print(f"{ds.attrs['species']}, {size[0]} rays of {size[1]} gates, noise {noise_sd:.3g} ppb")
        return
    sweeps = read_rays(path, kind)
    console.print(_table(sweeps))
    for rays in sweeps:
        for remark in rays.remarks:
            console.print(f"[yellow]{escape(remark)}[/]", highlight=False)
        console.print(escape(_wind(rays, path.name)), highlight=False)


def _table(sweeps: tuple[Rays, ...]) -> Table:
    table = Table("instrument", "scan", "from", "to (UTC)", "rays", "gates", "elevation", "range, m", "place")
    for rays in sweeps:
        up, far = rays.elevation, rays.distance
        place = "not stated" if np.isnan(rays.place[0]) else f"{rays.place[1]:.4f}, {rays.place[0]:.4f}"
        table.add_row(
            escape(rays.instrument),
            escape(rays.scan),
            str(rays.time.min())[:19],
            str(rays.time.max())[:19],
            f"{rays.time.size} of {rays.planned}" if rays.planned > 1 else str(rays.time.size),
            str(far.shape[1]),
            f"{up.min():.1f} to {up.max():.1f}",
            f"{far.min():.0f} to {far.max():.0f}",
            place,
        )
    return table


def _wind(rays: Rays, where: str) -> str:
    """Return whether a wind can be fitted, and how well, in words."""
    if rays.vertical().all():
        return "all rays point up: variance of w and mixing height, no wind profile"
    try:
        found = fit_wind(rays, FitSettings(), where)
    except DataError as fault:
        return f"no wind profile: {fault}"
    known = np.isfinite(found.wind_sd)
    if not known.any():
        return "no wind profile: no gate with enough signal all around"
    top, sd = found.height[known].max(), np.median(found.wind_sd[known])
    return f"wind profile: {known.sum()} gates up to {top:.0f} m, median sd {sd:.2g} m s-1"
