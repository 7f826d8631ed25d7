"""Footprints in longitude and latitude, and the step between them and a projected grid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.provenance import sha256_json
from priors.cells import LonLatCells, derive_bounds
from priors.regrid import conservative_weights
from transport.interchange.shares import Shares
from transport.kernels.state import EDGES

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

_HOUR = np.timedelta64(1, "h")

UNITS = {
    "m2 s mol-1": 1.0,
    "(mol/mol)/(mol/m2/s)": 1.0,
    "mol/mol/mol/m2/s": 1.0,
    "ppm per (micromol m-2 s-1)": 1.0,
    "ppm (umol-1 m2 s)": 1.0,
    "ppm m2 s umol-1": 1.0,
    "ppm (micromol m-2 s-1)-1": 1.0,
    "ppb (nmol-1 m2 s)": 1.0,
}
"""Spellings of footprint units that are accepted, and their factor to m2 s mol-1; ppm per umol cancels."""


@dataclass(frozen=True)
class Releases:
    """When and where the air of each footprint was sampled.

    time : end of the averaging interval, shape (receptor,)
    duration : length of the averaging interval, s
    latitude, longitude : degrees; NaN where the file does not say
    height : m above ground; NaN where the file does not say
    name : starts the datum_id, for example the site
    """

    time: Times
    duration: Floats
    latitude: Floats
    longitude: Floats
    height: Floats
    name: str

    @property
    def datum_id(self) -> npt.NDArray[np.str_]:
        """Name and time of each."""
        return np.array([f"{self.name}-{np.datetime_as_string(t, unit='s')}" for t in self.time])


@dataclass(frozen=True)
class Axes:
    """Cell centres and the hours back of each lag.

    lon, lat : degrees, any order of latitude
    lag_bounds : hours before the release time rounded up to the hour, shape (lag, 2)
    """

    lon: Floats
    lat: Floats
    lag_bounds: Floats


@dataclass(frozen=True)
class Known:
    """What a file says besides the footprint; NaN where it is silent.

    outside : share of particles lost over west, east, south, north, top, shape (receptor, 5)
    attrs : global attributes
    """

    outside: Floats | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)


def unit_factor(units: object, where: str) -> float:
    """Return the factor of a footprint unit to m2 s mol-1.

    Raises
    ------
    DataError
        If the spelling is not one of `UNITS`.
    """
    text = str(units).strip()
    if text not in UNITS:
        raise DataError(f"{where} has units '{text}'; expected one of: {', '.join(UNITS)}")
    return UNITS[text]


def footprints_lonlat(
    foot: npt.NDArray[np.floating[Any]], axes: Axes, releases: Releases, known: Known, where: str
) -> xr.Dataset:
    """Return the dataset `footprints_lonlat` of a dense array, latitude put in ascending order.

    Parameters
    ----------
    foot : m2 s mol-1, shape (receptor, lag, lat, lon)
    where : file named in errors

    Raises
    ------
    DataError
        If a footprint is not finite: it would become an unexplained zero.
    """
    bad = ~np.isfinite(foot.sum(axis=(1, 2, 3), dtype=np.float64))
    if bad.any():
        raise DataError(f"{where}: footprint of {releases.time[bad][0]} has values that are not finite")
    lat = axes.lat.astype(np.float64)
    if not np.all(np.diff(lat) > 0):
        order = np.argsort(lat)
        lat, foot = lat[order], foot[:, :, order]
    lon = axes.lon.astype(np.float64)
    count = foot.shape[0]
    texts = [np.datetime_as_string(t, unit="s") for t in releases.time]
    places = np.stack([releases.latitude, releases.longitude, releases.height], axis=1)
    ids = [sha256_json([releases.name, texts[n], places[n].tolist()])[:16] for n in range(count)]
    outside = np.full((count, len(EDGES)), np.nan) if known.outside is None else known.outside
    seen = foot.any(axis=(1, 2, 3))
    sensitivity = {"units": "m2 s mol-1", "long_name": "mole fraction per surface flux"}
    north, east = {"units": "degrees_north"}, {"units": "degrees_east"}
    ds = xr.Dataset(
        {
            "foot": (("receptor", "lag", "lat", "lon"), foot.astype(np.float32, copy=False), sensitivity),
            "outside": (("receptor", "edge"), outside, {"units": "1"}),
            "off_grid": ("receptor", np.full(count, np.nan), {"units": "m2 s mol-1"}),
            "reason": ("receptor", np.where(seen, "ok", "no sensitivity in the file's domain")),
            "duration": ("receptor", releases.duration, {"units": "s"}),
            "release_latitude": ("receptor", releases.latitude, north),
            "release_longitude": ("receptor", releases.longitude, east),
            "release_height": ("receptor", releases.height, {"units": "m"}),
        },
        attrs=dict(known.attrs),
    ).assign_coords(_coords(axes.lag_bounds, lon, lat, where))
    ds = ds.assign_coords(
        receptor=("receptor", np.array(ids)),
        datum_id=("receptor", releases.datum_id),
        time=("receptor", releases.time.astype("datetime64[ns]")),
    )
    return schema.check(ds, "footprints_lonlat", where)


def _coords(lag_bounds: Floats, lon: Floats, lat: Floats, where: str) -> dict[str, Any]:
    """Return the coordinates but those of the receptors."""
    north = {"units": "degrees_north", "standard_name": "latitude", "bounds": "lat_bounds"}
    east = {"units": "degrees_east", "standard_name": "longitude", "bounds": "lon_bounds"}
    lat_bounds, lon_bounds = (
        derive_bounds(lat, f"{where}: latitude"),
        derive_bounds(lon, f"{where}: longitude"),
    )
    return {
        "lag": ("lag", np.arange(len(lag_bounds), dtype=np.int64), {"units": "h", "bounds": "lag_bounds"}),
        "lag_bounds": (("lag", "bounds"), lag_bounds.astype(np.float64)),
        "edge": ("edge", np.array(EDGES)),
        "lat": ("lat", lat, north),
        "lon": ("lon", lon, east),
        "lat_bounds": (("lat", "bounds"), lat_bounds),
        "lon_bounds": (("lon", "bounds"), lon_bounds),
    }


def cells_of(ds: xr.Dataset) -> LonLatCells:
    """Return the cells of a dataset `footprints_lonlat`."""
    return LonLatCells(ds.lon_bounds.values, ds.lat_bounds.values)


def to_grid(source: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Return footprints on a projected grid: the adjoint of taking a flux from the grid to the source cells.

    A flux (per area) on the grid, averaged by true area into source cells, is W' flux, with W the share of
    each source cell in each grid cell (`priors.regrid.conservative_weights`). So foot = W foot_source gives
    the same mole fraction for any flux on the grid, zero beside it; the sum beside it is `off_grid`.

    Returns
    -------
    Dataset `footprints` with `lag_bounds`; no end points (one particle, NaN), foot_sum_sd unknown (NaN).
    """
    schema.check(source, "footprints_lonlat")
    weights = conservative_weights(cells_of(source), grid)
    n, lags = source.sizes["receptor"], source.sizes["lag"]
    flat = source.foot.values.reshape(n * lags, -1)
    touched = np.flatnonzero(np.diff(weights.tocsc().indptr))
    foot = (weights[:, touched] @ flat[:, touched].T.astype(np.float64)).T.reshape(n, lags, *grid.shape)
    beside = source.foot.sum(("lag", "lat", "lon"), dtype=np.float64).values - foot.sum(axis=(1, 2, 3))
    beside = beside + np.nan_to_num(source.off_grid.values)
    reason = source.reason.values.astype("<U96")
    lost = (np.abs(foot).sum(axis=(1, 2, 3)) == 0) & (reason == "ok")
    reason[lost] = "all of its sensitivity falls beside the flux grid"
    return schema.check(_on_grid(source, grid, foot, beside, reason), "footprints")


def _on_grid(
    source: xr.Dataset, grid: Grid, foot: Floats, beside: Floats, reason: npt.NDArray[np.str_]
) -> xr.Dataset:
    sensitivity, mapped = {"units": "m2 s mol-1"}, {"grid_mapping": "spatial_ref"}
    nothing = np.full((source.sizes["receptor"], 1), np.nan, dtype=np.float32)
    ends = {f"end_{n}": (("receptor", "particle"), nothing, {"units": "m"}) for n in ("x", "y", "height")}
    data = {
        "foot": (("receptor", "lag", "y", "x"), foot.astype(np.float32), sensitivity | mapped),
        "off_grid": ("receptor", beside, sensitivity),
        "outside": source.outside.variable,
        "foot_sum_sd": ("receptor", np.full(source.sizes["receptor"], np.nan), sensitivity),
        "reason": ("receptor", reason),
        "end_hours": (("receptor", "particle"), nothing, {"units": "h"}),
    } | ends
    kept = ("receptor", "datum_id", "time", "lag", "lag_bounds", "edge")
    ds = xr.Dataset(data, coords=grid.coords().coords, attrs=source.attrs)
    return ds.assign_coords({name: source[name].variable for name in kept})


def to_lonlat(footprints: xr.Dataset, cells: LonLatCells) -> xr.Dataset:
    """Return footprints of a projected grid in longitude and latitude, sums kept.

    Each grid cell's footprint is shared out by area over the cells that it lies in: the adjoint of averaging
    a flux by area from those cells to the grid. What falls beside the cells goes to `off_grid`. Choose grid
    cells smaller than the cells in longitude and latitude: sharing out blurs by up to one grid cell.

    Returns
    -------
    Dataset `footprints_lonlat`; the release point is NaN unless the footprints carry it
    (`receptor_table.with_releases`).
    """
    schema.check(footprints, "footprints")
    shares = _shares(Grid.from_dataset(footprints), cells.lon_bounds.tobytes(), cells.lat_bounds.tobytes())
    n, lags = footprints.sizes["receptor"], footprints.sizes["lag"]
    foot, beside = shares(footprints.foot.values.reshape(n * lags, *footprints.foot.shape[2:]))
    foot, beside = foot.reshape(n, lags, *cells.shape), beside.reshape(n, lags).sum(axis=1)
    releases = _releases(footprints)
    axes = Axes(cells.lon_bounds.mean(axis=1), cells.lat_bounds.mean(axis=1), lag_bounds_of(footprints))
    known = Known(footprints.outside.values, footprints.attrs)
    ds = footprints_lonlat(foot, axes, releases, known, "footprints")
    if "off_grid" in footprints.variables:
        beside = beside + footprints.off_grid.values
    return ds.assign(
        off_grid=("receptor", beside, {"units": "m2 s mol-1"}), reason=footprints.reason.variable
    ).assign_coords(receptor=footprints.receptor.variable, datum_id=footprints.datum_id.variable)


@lru_cache(maxsize=1)
def _shares(grid: Grid, lon_bounds: bytes, lat_bounds: bytes) -> Shares:
    """Return the shares; the batches of a run have them in common."""
    return Shares.between(
        grid, LonLatCells(*(np.frombuffer(bounds).reshape(-1, 2) for bounds in (lon_bounds, lat_bounds)))
    )


def _releases(footprints: xr.Dataset) -> Releases:
    def known(name: str, otherwise: float) -> Floats:
        empty = np.full(footprints.sizes["receptor"], otherwise)
        return footprints[name].values if name in footprints.variables else empty

    return Releases(
        time=footprints.time.values,
        duration=known("duration", 0.0),
        latitude=known("release_latitude", np.nan),
        longitude=known("release_longitude", np.nan),
        height=known("release_height", np.nan),
        name="metroflux",
    )


def lag_bounds_of(footprints: xr.Dataset) -> Floats:
    """Return the hours before `time` rounded up to the hour that each lag covers, shape (lag, 2)."""
    if "lag_bounds" in footprints.variables:
        return footprints.lag_bounds.values
    lag = footprints.lag.values.astype(np.float64)
    return np.stack([lag, lag + 1.0], axis=1)


def full_hour(times: Times) -> Times:
    """Return times rounded up to the full hour, ns."""
    down = times.astype("datetime64[h]")
    return np.where(down == times, down, down + _HOUR).astype("datetime64[ns]")


def full_hour_offset(times: Times, where: str) -> float:
    """Return how many hours the full hour after each release lies after it; all must agree.

    Raises
    ------
    DataError
        If releases lie at different minutes: their lags would not cover the same hours.
    """
    offset = (full_hour(times) - times) / _HOUR
    if np.ptp(offset) > 0:
        raise DataError(f"{where}: releases at different minutes of the hour; expected the same in one file")
    return float(offset[0])
