"""Smoothing of footprints that keeps their sum: a Gaussian that widens with age and spread."""

from dataclasses import dataclass
from math import erf, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from numba import njit

from metroflux import schema
from metroflux.errors import ConfigError, DataError
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]

_DEGREE = 111_195.0  # m, of latitude: STILT's widths are in degrees (sphere of 6371 km)
_COEFFICIENT = 0.06  # degrees^(1/2) day^(-1/2), Fasoli et al. (2018), STILT's calc_footprint


@dataclass(frozen=True)
class Smoothing:
    """How wide the kernel is.

    factor : of the width; 1 is STILT's, 0 leaves the footprint as it is
    reach : where the kernel is cut, standard deviations
    classes : widths per doubling: kernels of one class are the same; 16 keeps a width within 2.2 %
    """

    factor: float = 1.0
    reach: float = 4.0
    classes: int = 16

    def __post_init__(self) -> None:
        if not (self.factor >= 0 and self.reach >= 1 and self.classes >= 1):
            raise ConfigError(
                f"smoothing: factor = {self.factor}, reach = {self.reach}, classes = {self.classes}; "
                "expected factor >= 0, reach >= 1, classes >= 1"
            )


def smooth(
    footprints: xr.Dataset,
    settings: Smoothing = Smoothing(),
    mapper: Mapper = serial,
) -> xr.Dataset:
    """Return the footprints smoothed hour by hour, each hour's sum kept.

    The width is that of STILT's gridding (Fasoli et al. 2018, Geosci. Model Dev. 11, 2813; calc_footprint.r):
    w = 0.06 D^(1/4) t^(1/2) degrees of latitude, t the age in days, D the summed variance of place in square
    degrees. STILT takes D of all particles of a time step, this of the hour's own footprint. Each cell's
    value is spread by the integral of the Gaussian over the cells around it; at the grid's edge the kernel is
    scaled up so that nothing leaves (renormalised, not reflected). `foot_sum_sd`, `off_grid`, `outside` stay.

    Returns
    -------
    Dataset `footprints` with `kernel_sd` (receptor, lag), m: the width used, 0 where there is none.

    Raises
    ------
    DataError
        If lags are not hours of age (`lag_bounds` wider than an hour), or a footprint is smoothed already.
    """
    schema.check(footprints, "footprints")
    _check_hourly(footprints)
    step = np.array([float(np.diff(_edges(footprints, axis))[0]) for axis in ("y", "x")])
    ages = np.maximum(footprints.lag.values + 0.5 - _early(footprints)[:, None], 1 / 60) / 24.0
    common = (footprints.foot.values, ages, step, settings)
    parts = list(mapper(_one, common, list(range(footprints.sizes["receptor"]))))
    foot = np.stack([part[0] for part in parts])
    width = np.stack([part[1] for part in parts])
    attrs = {"units": "m", "long_name": "standard deviation of the smoothing kernel"}
    smoothed = footprints.assign(
        foot=(footprints.foot.dims, foot, footprints.foot.attrs),
        kernel_sd=(("receptor", "lag"), width, attrs),
    )
    return schema.check(smoothed, "footprints")


def _check_hourly(footprints: xr.Dataset) -> None:
    if "kernel_sd" in footprints.variables:
        raise DataError("smoothing: the footprints have 'kernel_sd': they are smoothed; expected raw ones")
    if "lag_bounds" in footprints.variables and np.any(np.diff(footprints.lag_bounds.values) > 1 + 1e-9):
        raise DataError("smoothing: lags longer than an hour have no age; expected hourly footprints")


def _edges(footprints: xr.Dataset, axis: str) -> Floats:
    return np.append(footprints[f"{axis}_bounds"].values[:, 0], footprints[f"{axis}_bounds"].values[-1, 1])


def _early(footprints: xr.Dataset) -> Floats:
    """Return how many hours each receptor's time lies before the full hour that lags count from."""
    time = footprints.time.values
    down = time.astype("datetime64[h]")
    return np.where(down == time, 0.0, 1.0 - (time - down) / np.timedelta64(1, "h"))


_Work = tuple[npt.NDArray[np.float32], Floats, Floats, Smoothing]


def _one(common: _Work, n: int) -> tuple[npt.NDArray[np.float32], Floats]:
    """Return one receptor's smoothed footprint and the width of each lag, m."""
    foot, ages, step, settings = common
    out, widths = np.zeros(foot.shape[1:], dtype=np.float32), np.zeros(foot.shape[1])
    for k in range(foot.shape[1]):
        box = _box(foot[n, k])
        seen = foot[n, k, box[0] : box[1], box[2] : box[3]].astype(np.float64)
        width = kernel_width(seen, ages[n, k], step, settings)
        if width > 0:
            _spread(seen, box, width / step, settings.reach, out[k])
        else:
            out[k, box[0] : box[1], box[2] : box[3]] = seen
        widths[k] = width
    return out, widths


def kernel_width(layer: Floats, age: float, step: Floats, settings: Smoothing) -> float:
    """Return the kernel's standard deviation, m, rounded to its class; 0: nothing to smooth.

    layer : footprint of one hour, shape (y, x); age : days; step : cell size (y, x), m
    """
    total = layer.sum()
    if not (total > 0 and settings.factor > 0):
        return 0.0
    variance = 0.0
    for axis, size in enumerate(step):
        share = layer.sum(axis=1 - axis) / total
        place = np.arange(share.size)
        middle = share @ place
        variance += float(size) ** 2 * float(share @ (place - middle) ** 2 + 1 / 12)  # 1/12: within the cell
    degrees = _COEFFICIENT * (variance / _DEGREE**2) ** 0.25 * sqrt(age)
    width = settings.factor * _DEGREE * degrees
    return float(2.0 ** (np.round(np.log2(width) * settings.classes) / settings.classes))


def spread(layer: Floats, width: Floats, reach: float) -> Floats:
    """Return a layer convolved with a Gaussian along y and x, sum kept; width in cells, (y, x)."""
    out, box = np.zeros_like(layer), _box(layer)
    if box[1] > box[0]:
        _spread(layer[box[0] : box[1], box[2] : box[3]], box, width, reach, out)
    return out


def _spread(
    seen: Floats,
    box: tuple[int, int, int, int],
    width: Floats,
    reach: float,
    out: npt.NDArray[np.floating[Any]],
) -> None:
    """Write what lies in a box (first row, last + 1, first column, last + 1), spread, into out (y, x)."""
    kernels = [gaussian(float(w), reach) for w in width]
    low = [max(0, first - (k.size - 1)) for first, k in zip(box[::2], kernels, strict=True)]
    high = [min(n, last + k.size - 1) for n, last, k in zip(out.shape, box[1::2], kernels, strict=True)]
    window = np.zeros((high[0] - low[0], high[1] - low[1]))
    window[box[0] - low[0] : box[1] - low[0], box[2] - low[1] : box[3] - low[1]] = seen
    half = np.zeros_like(window)
    _along_y(window, kernels[0], _scale(out.shape[0], kernels[0])[low[0] : high[0]], half)
    full = np.zeros_like(window)
    _along_x(half, kernels[1], _scale(out.shape[1], kernels[1])[low[1] : high[1]], full)
    out[low[0] : high[0], low[1] : high[1]] = full


@njit(cache=True, nogil=True)
def _box(layer: npt.NDArray[np.floating[Any]]) -> tuple[int, int, int, int]:
    """Return first row, last + 1, first column, last + 1 of what is not zero; all zero if there is none."""
    ny, nx = layer.shape
    south, north, west, east = ny, 0, nx, 0
    for j in range(ny):
        for i in range(nx):
            if layer[j, i] != 0.0:
                south, north = min(south, j), j + 1
                west, east = min(west, i), max(east, i + 1)
    if north == 0:
        return 0, 0, 0, 0
    return south, north, west, east


def gaussian(width: float, reach: float) -> Floats:
    """Return the share of a Gaussian (sd `width` cells) in the cell 0, 1, 2, ... cells away."""
    count = int(np.ceil(reach * width)) + 1
    upper = np.array([0.5 * (1 + erf((k + 0.5) / (width * sqrt(2)))) for k in range(count)])
    lower = np.array([0.5 * (1 + erf((k - 0.5) / (width * sqrt(2)))) for k in range(count)])
    return upper - lower


def _scale(size: int, kernel: Floats) -> Floats:
    """Return for each cell of an axis the factor that brings its kernel's sum inside the axis to 1."""
    tail = np.cumsum(kernel)
    below = tail[np.minimum(np.arange(size), kernel.size - 1)]
    above = tail[np.minimum(np.arange(size)[::-1], kernel.size - 1)]
    return 1.0 / (below + above - kernel[0])


@njit(cache=True, nogil=True)
def _along_y(layer: Floats, kernel: Floats, scale: Floats, out: Floats) -> None:
    """Add each row, scaled, to the rows around it; out : zero, updated in place."""
    ny, nx = layer.shape
    for j in range(ny):
        for d in range(-min(j, kernel.size - 1), min(ny - 1 - j, kernel.size - 1) + 1):
            w = scale[j] * kernel[abs(d)]
            for i in range(nx):
                out[j + d, i] += w * layer[j, i]


@njit(cache=True, nogil=True)
def _along_x(layer: Floats, kernel: Floats, scale: Floats, out: Floats) -> None:
    """Add each column, scaled, to the columns around it; out : zero, updated in place."""
    ny, nx = layer.shape
    scaled = np.empty(nx)
    for j in range(ny):
        for i in range(nx):
            scaled[i] = layer[j, i] * scale[i]
        for d in range(-min(nx - 1, kernel.size - 1), min(nx - 1, kernel.size - 1) + 1):
            w = kernel[abs(d)]
            first, last = max(0, -d), min(nx, nx - d)
            for i in range(first, last):
                out[j, i + d] += w * scaled[i]
