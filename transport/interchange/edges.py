"""The background of NAME footprints: where particles left the domain, times the air at its edges.

OpenGHG keeps with a footprint the share of particles that left through each cell of the four edges
(`particle_locations_n` and so on), and in another file the mole fraction of a model there (`vmr_n`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.errors import DataError
from metroflux.time import Times
from metroflux.uncertainty import Random
from metroflux.units import FILL_LIMIT, mole_fraction_factor
from observations.background import MethodError, assemble
from observations.dataset import plausible
from observations.ends import rows_of
from transport.interchange.paris import open_file, releases_of

Floats = npt.NDArray[np.float64]

_ALONG = {"n": "lon", "e": "lat", "s": "lon", "w": "lat"}
_SAME_PLACE = 1e-3
"""Degrees and share of a height: coordinates are float32."""


@dataclass(frozen=True)
class Edges:
    """Numbers in the cells of the four edges of a domain.

    height : m above ground; lat, lon : degrees; middles of the cells
    values : by side n, e, s, w, shape (first, height, lon or lat)
    """

    height: Floats
    lat: Floats
    lon: Floats
    values: Mapping[str, Floats]


@dataclass(frozen=True)
class EdgeShares:
    """Share of the particles of each footprint that left through each cell of the edges.

    time : start of the averaging interval, shape (receptor,)
    datum_id : as `read_paris` gives it
    left_out : times whose shares are missing
    """

    time: Times
    datum_id: npt.NDArray[np.str_]
    edges: Edges
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class EdgeField:
    """Mole fraction, mol mol-1, at the edges; each holds from its time to the next, the last to `end`."""

    time: Times
    end: np.datetime64
    edges: Edges


def read_edge_shares(path: Path) -> EdgeShares:
    """Return where the particles of an OpenGHG or PARIS file left its domain.

    Raises
    ------
    DataError
        If the file has no such shares, or some are negative or more than 1 in all.
    """
    file = open_file(path)
    ds = file.ds.rename({long: short for short, long in (("lat", "latitude"), ("lon", "longitude"))})
    edges = _edges(ds, "particle_locations_", "time", path)
    flat = np.concatenate([v.reshape(v.shape[0], -1) for v in edges.values.values()], axis=1)
    total = flat.sum(axis=1)
    keep = np.isfinite(total)
    if not keep.any() or flat[keep].min() < 0 or total[keep].max() > 1.001:
        raise DataError(
            f"{path}: shares from {np.nanmin(flat, initial=0):g}, in all up to "
            f"{np.nanmax(total, initial=0):g}; expected 0 to 1"
        )
    releases = releases_of(file)
    start = releases.time - np.round(releases.duration * 1e9).astype("timedelta64[ns]")
    kept = {side: values[keep] for side, values in edges.values.items()}
    return EdgeShares(
        start[keep], releases.datum_id[keep], Edges(edges.height, edges.lat, edges.lon, kept),
        tuple(np.datetime_as_string(start[~keep], unit="m").tolist()),
    )  # fmt: skip


def read_edge_field(path: Path, species: str, end: np.datetime64, unit: str | None = None) -> EdgeField:
    """Return the air at the edges of a domain from an OpenGHG file of boundary conditions.

    Parameters
    ----------
    end : until when the last time holds, which the file does not say: mostly the end of its month
    unit : in place of the variables' own, where these say none

    Raises
    ------
    DataError
        If a variable or its unit is absent, values are missing or such as air cannot have.
    """
    try:
        with xr.open_dataset(path, decode_timedelta=False) as ds:
            ds = ds.load()
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be opened as netCDF ({fault})") from None
    if "time" not in ds.variables or ds.time.dtype.kind != "M":
        raise DataError(
            f"{path}: no variable time of CF times; expected the start of what the field holds for"
        )
    ds = ds if "time" in ds.dims else ds.expand_dims("time")
    edges = _edges(ds, "vmr_", "time", path)
    low, high = plausible(species)
    values = {}
    for side, found in edges.values.items():
        name = f"vmr_{side}"
        said = unit or str(ds[name].attrs.get("units", ""))
        try:
            values[side] = found * mole_fraction_factor(said)
        except DataError as fault:
            raise DataError(f"{path}: '{name}': {fault}") from None
        wrong = ~((values[side] >= low) & (values[side] <= high) & (np.abs(found) < FILL_LIMIT))
        if wrong.any():
            raise DataError(
                f"{path}: '{name}': {wrong.sum()} values missing or not within {low:g} to {high:g} mol "
                f"mol-1, what air can have of {species}; the first is {found[wrong][0]:g} {said}"
            )
    start = ds.time.values.astype("datetime64[ns]")
    if np.any(np.diff(start) <= np.timedelta64(0)) or not end > start[-1]:
        raise DataError(f"{path}: times {start[0]} to {start[-1]} do not rise to the end {end}")
    return EdgeField(start, end, Edges(edges.height, edges.lat, edges.lon, values))


def _edges(ds: xr.Dataset, prefix: str, first: str, path: Path) -> Edges:
    names = [prefix + side for side in _ALONG]
    absent = [name for name in (*names, "height", "lat", "lon") if name not in ds.variables]
    if absent:
        raise DataError(f"{path}: no variable {', '.join(absent)}; expected the four edges of a domain")
    values = {}
    for side, along in _ALONG.items():
        dims = (first, "height", along)
        if set(ds[prefix + side].dims) != set(dims):
            raise DataError(f"{path}: '{prefix + side}' has dims {ds[prefix + side].dims}; expected {dims}")
        values[side] = ds[prefix + side].transpose(*dims).values.astype(np.float64)
    height, lat, lon = (ds[name].values.astype(np.float64) for name in ("height", "lat", "lon"))
    return Edges(height, lat, lon, values)


def edge_background(
    observations: xr.Dataset, shares: EdgeShares, field: EdgeField, error: MethodError, particles: int,
    least: float = 0.5,
) -> xr.Dataset:  # fmt: skip
    """Return the mean of the air at the edges, weighted by the share of particles that left there.

    The sum of shares is in `edge_share` (obs). What it lacks of 1 is taken to have the mean of the rest:
    particles that left over the top, had not left when the model stopped, or left through cells of an edge
    that the file does not hold. The field is that of the time when the air was sampled, as in OpenGHG,
    not of when it came in; loss on the way is neglected.

    Parameters
    ----------
    observations : its `datum_id` are those of the shares
    particles : released for each footprint, which the file does not say: for the sampling error
    least : sum of shares below which the rest is too much to be taken for the same

    Raises
    ------
    DataError
        If a datum has no shares or less than `least`, the field does not hold at its time, or a cell of the
        shares is none of the field.
    """
    rows = rows_of(observations.datum_id.values, shares.datum_id, "shares of the edges")
    when = _index_of_time(shares.time[rows], field)
    parts = [(share[rows], air[when]) for share, air in _both(shares.edges, field.edges)]
    total = sum((share.sum(axis=(1, 2)) for share, _ in parts), np.zeros(rows.size))
    few = np.flatnonzero((total < least) | (total <= 0))
    if few.size:
        raise DataError(
            f"shares of the edges: {few.size} of {rows.size} data have less than {least:g} in all, first "
            f"'{shares.datum_id[rows][few[0]]}' with {total[few[0]]:.3g}; expected whole edges, or another "
            "`least`"
        )
    mean = sum(((share * air).sum(axis=(1, 2)) for share, air in parts), np.zeros(rows.size)) / total
    off = [share * (air - mean[:, None, None]) ** 2 for share, air in parts]
    variance = sum((part.sum(axis=(1, 2)) for part in off), np.zeros(rows.size)) / total
    sampling = Random("background-sampling", np.sqrt(variance / np.maximum(particles * total - 1.0, 1.0)))
    ds = assemble(observations, mean, [sampling], error.shared(observations))
    text = {"units": "1", "long_name": "share of particles that left through the edges"}
    return ds.assign(edge_share=("obs", total, text))


def _index_of_time(times: Times, field: EdgeField) -> npt.NDArray[np.intp]:
    outside = (times < field.time[0]) | (times >= field.end)
    if outside.any():
        raise DataError(
            f"air at the edges: holds from {field.time[0]} to {field.end}; expected {times[outside][0]}, the "
            f"time of a datum, and {outside.sum() - 1} more"
        )
    return np.searchsorted(field.time, times, side="right") - 1


def _both(shares: Edges, air: Edges) -> Iterator[tuple[Floats, Floats]]:
    """Yield for each side the shares, and the air in the cells of the shares."""
    rows = {
        name: _where(getattr(shares, name), getattr(air, name), name) for name in ("height", "lat", "lon")
    }
    for side, along in _ALONG.items():
        yield shares.values[side], air.values[side][:, rows["height"]][:, :, rows[along]]


def _where(wanted: Floats, present: Floats, name: str) -> npt.NDArray[np.intp]:
    nearest = np.abs(present[:, None] - wanted).argmin(axis=0)
    away = np.abs(present[nearest] - wanted)
    allowed = _SAME_PLACE * np.maximum(1.0, np.abs(wanted)) if name == "height" else _SAME_PLACE
    far = np.flatnonzero(away > allowed)
    if far.size:
        raise DataError(
            f"air at the edges: {far.size} of {wanted.size} values of '{name}' of the shares are not in it, "
            f"first {wanted[far[0]]:g}; it has {present[0]:g} to {present[-1]:g}"
        )
    return nearest
