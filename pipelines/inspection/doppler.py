"""A Doppler lidar file: rays, gates, and whether a wind can be fitted; or the background beside it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from metroflux.errors import DataError
from observations.flux_lidar.files import read_rays
from observations.flux_lidar.halo import read_background
from observations.flux_lidar.rays import Rays
from observations.flux_lidar.wind import FitSettings, fit_wind
from observations.kinds import Kind
from pipelines.inspection.sheet import Row, period, place, show, span


def show_rays(path: Path, kind: Kind, console: Console) -> None:
    """Print the sweeps of a file and what can be made of each."""
    sweeps = read_rays(path, kind.name)
    rows = [row for number, rays in enumerate(sweeps, 1) for row in _sweep(rays, path, number, len(sweeps))]
    show(console, path, kind.about, [*rows, Row("taken by", kind.taken_by)])


def show_background(path: Path, kind: Kind, console: Console) -> None:
    """Print the noise of a HALO lidar."""
    time, noise = read_background(path)
    rows = [
        Row("time", f"{str(time)[:19].replace('T', ' ')} UTC"),
        Row("noise", f"{noise.size} gates, median {np.median(noise):.6g} counts"),
        Row("taken by", kind.taken_by),
    ]
    show(console, path, kind.about, rows)


def _sweep(rays: Rays, path: Path, number: int, of: int) -> Iterator[Row]:
    if of > 1:
        yield Row("sweep", f"{number} of {of}")
    up, far = rays.elevation, rays.distance
    planned = f" of {rays.planned}" if rays.planned > 1 else ""
    lon, lat = rays.place[:2]
    yield Row("instrument", rays.instrument)
    yield Row("scan", rays.scan)
    yield Row("period", f"{period(rays.time.min(), rays.time.max(), 19)} UTC")
    yield Row("rays", f"{rays.time.size}{planned}, elevation {span(up.min(), up.max(), 'degrees')}")
    yield Row("gates", f"{far.shape[1]}, {span(far.min(), far.max(), 'm', 7)}")
    yield Row("place", place(lat, lat, lon, lon))
    yield Row("wind", _wind(rays, path.name))
    yield from (Row("note", remark, "note") for remark in rays.remarks)


def _wind(rays: Rays, where: str) -> str:
    """Return whether a wind can be fitted, and how well, in words."""
    if rays.vertical().all():
        return "all rays point up: variance of w and mixing height, no wind profile"
    try:
        found = fit_wind(rays, FitSettings(), where)
    except DataError as fault:
        return f"no wind profile: {str(fault).removeprefix(f'{where}: ')}"
    known = np.isfinite(found.wind_sd)
    if not known.any():
        return "no wind profile: no gate with enough signal all around"
    top, sd = found.height[known].max(), np.median(found.wind_sd[known])
    return f"wind profile: {known.sum()} gates up to {top:.0f} m, median sd {sd:.2g} m s-1"
