"""The contract between stages: the checker that lists all faults of a dataset at once, and its version."""

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from metroflux.datasets import SCHEMAS, SPACE, Variable
from metroflux.errors import SchemaError
from metroflux.units import FILL_LIMIT

__all__ = ["ATTRIBUTES", "SCHEMAS", "VERSION", "check", "faults"]

VERSION = "1"
_SPACES = (("y", "x"), ("source_region",), ("region",))

ATTRIBUTES = ("Conventions", "title", "institution", "source", "history", "schema", "schema_version",
              "run_id", "code_version", "config_sha256", "input_ids")  # fmt: skip
"""Global attributes of a stamped dataset (CF-1.8, ACDD-1.3); the archive refuses a dataset without them."""


_MAY_BE_EMPTY = frozenset({"random", "shared", "parameter", "nonzero", "site"})


def check(ds: xr.Dataset, schema: str, where: str = "") -> xr.Dataset:
    """Return the dataset unchanged if it keeps the contract `schema`.

    Parameters
    ----------
    schema : a key of SCHEMAS
    where : file or stage named in the error

    Raises
    ------
    SchemaError
        Listing all faults at once: absent variables, dims and order, units, type, NaN, infinity, fill values,
        empty dimensions.
    """
    found = list(faults(ds, SCHEMAS[schema]))
    if found:
        raise SchemaError(f"{where + ': ' if where else ''}{schema}: " + "; ".join(found))
    return ds


def faults(ds: xr.Dataset, spec: Mapping[str, Variable]) -> Iterator[str]:
    """Yield what of a dataset is not as each variable is wanted."""
    space = next((dims for dims in _SPACES if set(dims) <= set(map(str, ds.dims))), _SPACES[0])
    used = {dim for name in spec if name in ds.variables for dim in ds[name].dims}
    for dim in sorted(map(str, used - _MAY_BE_EMPTY)):
        if ds.sizes[dim] == 0:
            yield f"dimension '{dim}' is empty"
    for name, want in spec.items():
        if name not in ds.variables:
            if not want.optional:
                yield f"'{name}' is missing"
            continue
        yield from _variable_faults(name, ds[name], want, space)


def _variable_faults(name: str, found: xr.DataArray, want: Variable, space: tuple[str, ...]) -> Iterator[str]:
    dims = tuple(d for dim in want.dims for d in (space if dim == SPACE else (dim,)))
    if found.dims != dims:
        yield f"'{name}' has dims {found.dims}, expected {dims}"
        return
    units = found.attrs.get("units")
    if want.units is not None and units != want.units:
        yield f"'{name}' has units {units!r}, expected {want.units!r}"
    kind = "U" if found.dtype.kind in "OT" else found.dtype.kind
    if kind != want.kind:
        yield f"'{name}' has type {found.dtype}, expected kind '{want.kind}'"
        return
    if want.kind == "f":
        if found.dtype.itemsize * 8 != want.bits:
            yield f"'{name}' has type {found.dtype}, expected float{want.bits}"
        yield from _value_faults(name, found, want)
    elif want.kind == "M":
        if found.dtype != np.dtype("datetime64[ns]"):  # kernels count in ns
            yield f"'{name}' has type {found.dtype}, expected datetime64[ns]"
        undefined = int(np.isnat(found.values).sum())
        if undefined:
            yield f"'{name}' has {undefined} undefined times"


def _value_faults(name: str, found: xr.DataArray, want: Variable) -> Iterator[str]:
    values = found.values
    # nearly always true, and without a copy; a NaN makes both false
    if values.size and values.min() >= -FILL_LIMIT and values.max() <= FILL_LIMIT:
        return
    missing = np.isnan(values)
    if missing.any() and not want.missing:
        yield f"'{name}' has {int(missing.sum())} NaN of {values.size}, first at {_first(found, missing)}"
    wild = ~missing & (np.abs(values) > FILL_LIMIT)
    if wild.any():
        where = _first(found, wild)
        beyond = f"{int(wild.sum())} values beyond {FILL_LIMIT:g} (an undeclared fill value?)"
        yield f"'{name}' has {beyond}, first at {where}"


def _first(found: xr.DataArray, where: np.ndarray) -> str:
    at = np.argwhere(where)[0]
    return ", ".join(f"{dim}={int(i)}" for dim, i in zip(found.dims, at, strict=True)) or "the scalar"
