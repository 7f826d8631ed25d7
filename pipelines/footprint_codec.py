"""How the footprints of a run are kept: what is not zero of them, and the rest as netCDF."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pipelines.store import CODECS, Codec
from transport.footprint_store import load_arrays, save_arrays
from transport.sparse import add_dense, to_sparse

_DIMS = ("receptor", "lag", "y", "x")
_NETCDF = CODECS[0]


def _fits(value: object) -> bool:
    return isinstance(value, xr.Dataset) and "foot" in value.data_vars and value.foot.dims == _DIMS


def _save(value: Any, path: Path) -> None:
    path.mkdir()
    save_arrays(path / "foot.zip", to_sparse(value.foot.values))
    bare = xr.Variable((), np.float32(0), value.foot.attrs)
    _NETCDF.save(value.drop_vars("foot").assign(foot=bare), path / "rest.nc")


def _load(path: Path) -> xr.Dataset:
    rest = _NETCDF.load(path / "rest.nc")
    assert isinstance(rest, xr.Dataset)  # noqa: S101 - a codec of datasets
    foot = np.zeros([rest.sizes[dim] for dim in _DIMS], dtype=np.float32)
    arrays = load_arrays(path / "foot.zip")
    for n in range(foot.shape[0]):
        add_dense(arrays, n, foot[n])
    return rest.assign(foot=(_DIMS, foot, rest.foot.attrs))


FOOTPRINTS = Codec(".foot", _fits, _save, _load)
