"""Averaging kernels and pressure weights of column data, attached with layer 0 at the surface."""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from observations.dataset import Floats

COLUMN_MODEL = (
    "enhancement only: background + sum of pressure_weight * averaging_kernel * enhancement; the retrieval's "
    "prior profile enters no number and its constant is left to the background"
)


def profile(path: Path, ds: xr.Dataset, name: str) -> Floats:
    """Return a variable (sounding, level) as numbers."""
    variable = ds[name]
    if variable.ndim != 2 or variable.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: '{name}' has dims {variable.dims}, type {variable.dtype}; expected profiles"
        )
    return variable.values.astype(np.float64)


def attach_kernel(
    path: Path, observations: xr.Dataset, kernel: Floats, weight: Floats, pressure: Floats
) -> xr.Dataset:
    """Return soundings with kernel and weight, turned so that layer 0 is at the surface.

    Soundings whose kernel or weight is not complete and finite, or whose weights do not sum to 1 within 0.01,
    are an error: transport could only drop them in silence.

    Parameters
    ----------
    kernel, weight, pressure : shape (sounding, level); pressure in any unit, to tell which end is up
    """
    if not kernel.shape == weight.shape == pressure.shape or kernel.shape[0] != observations.sizes["obs"]:
        shapes = f"{kernel.shape}, {weight.shape}, {pressure.shape}"
        raise DataError(f"{path}: kernels, weights and pressures have shapes {shapes}; expected equal ones")
    total = weight.sum(axis=1)
    bad = ~np.isfinite(kernel).all(axis=1) | ~(np.abs(total - 1.0) <= 0.01)
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"{path}: kernel or pressure weight is not usable for {bad.sum()} soundings, first {first} "
            f"(weights sum to {total[first]:g}); expected finite numbers and a sum of 1 within 0.01"
        )
    steps = np.diff(pressure, axis=1)
    falling, rising = (steps < 0).all(axis=1), (steps > 0).all(axis=1)
    if not (falling | rising).all():
        raise DataError(f"{path}: pressures are not monotonic in {(~(falling | rising)).sum()} soundings")
    turn = np.reshape(rising, (-1, 1))
    described = {"units": "1", "comment": "layer 0 at the surface"}
    return observations.assign(
        averaging_kernel=(
            ("obs", "layer"),
            np.where(turn, kernel[:, ::-1], kernel),
            described | {"long_name": "column averaging kernel"},
        ),
        pressure_weight=(
            ("obs", "layer"),
            np.where(turn, weight[:, ::-1], weight),
            described | {"long_name": "share of the dry column"},
        ),
    ).assign_attrs(column_model=COLUMN_MODEL)
