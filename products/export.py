"""NetCDF files that other programs understand: CF-1.8 and ACDD-1.3, whole or not at all."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from metroflux import schema
from metroflux.datasets import Variable
from metroflux.errors import SchemaError

_SUMMARY = {
    "posterior": "Surface flux by sector and time before and after an inversion, with uncertainties.",
    "prior": "Surface flux by sector and time of an inventory on the inversion grid, with uncertainties.",
    "diagnostics": "Observed and modelled mole fractions of an inversion and the statistics of their fit.",
    "totals": "Emission by region, sector and period before and after an inversion, with covariances.",
    "observations": "Mole fractions used in an inversion, with the components of their uncertainty.",
    "footprints": "Sensitivity of mole fractions to surface fluxes, by backward particle dispersion.",
}
_KEYWORDS = "greenhouse gas, emission, atmospheric inversion, uncertainty"
_CO2_FLUX = "surface_upward_mole_flux_of_carbon_dioxide"
_STANDARD_NAMES = {
    "flux": _CO2_FLUX,
    "prior_flux": _CO2_FLUX,
    "flux_sd": f"{_CO2_FLUX} standard_error",
    "prior_flux_sd": f"{_CO2_FLUX} standard_error",
}
"""Of CO2 only: CF has no standard name for the surface mole flux of CH4, and none is invented."""
_EPOCH = "seconds since 1970-01-01 00:00:00"
_COMPRESSED_FROM = 64


def write_netcdf(ds: xr.Dataset, path: Path) -> None:
    """Write a stamped dataset as netCDF-4, compressed, times in UTC; the file appears whole or not at all.

    NaN is declared as missing only in variables whose schema allows it.

    Raises
    ------
    SchemaError
        If a global attribute of `schema.ATTRIBUTES` is missing or the dataset does not keep its schema.
    """
    missing = [name for name in schema.ATTRIBUTES if not str(ds.attrs.get(name, "")).strip()]
    if missing:
        raise SchemaError(f"{path}: not stamped; missing global attributes: {', '.join(missing)}")
    name = str(ds.attrs["schema"])
    if name not in schema.SCHEMAS:
        raise SchemaError(f"{path}: schema '{name}' is unknown; expected one of: {', '.join(schema.SCHEMAS)}")
    schema.check(ds, name, str(path))
    _refuse_infinite(ds, path)
    ready = _with_cf(_with_discovery(ds, name))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        ready.to_netcdf(part, engine="netcdf4", format="NETCDF4", encoding=_encoding(ready, name))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _refuse_infinite(ds: xr.Dataset, path: Path) -> None:
    """Refuse infinities anywhere, also in variables that the schema does not know."""
    known = schema.SCHEMAS[str(ds.attrs["schema"])]
    faults = []
    for name, found in ds.variables.items():
        if found.dtype.kind != "f":
            continue
        wrong = np.isinf(found.values) if name in known else ~np.isfinite(found.values)
        if wrong.any():
            faults.append(f"'{name}' has {int(wrong.sum())} values that are not finite")
    if faults:
        raise SchemaError(f"{path}: " + "; ".join(faults))


def _with_discovery(ds: xr.Dataset, name: str) -> xr.Dataset:
    """Add the ACDD attributes that follow from the data themselves."""
    made = str(ds.attrs["history"]).split(" ")[0]
    found: dict[str, Any] = {
        "summary": _SUMMARY.get(name, f"Dataset '{name}' of an atmospheric inversion."),
        "keywords": _KEYWORDS,
        "date_created": made,
        "id": f"{ds.attrs['run_id']}-{name}",
        "naming_authority": "metroflux",
        "creator_name": ds.attrs["institution"],
        "processing_level": "model result",
    }
    if "lat" in ds.variables and "lon" in ds.variables:
        for axis, text in (("lat", "lat"), ("lon", "lon")):
            found[f"geospatial_{text}_min"] = float(ds[axis].min())
            found[f"geospatial_{text}_max"] = float(ds[axis].max())
    bounds = next(
        (ds[b] for b in ("flux_time_bounds", "period_bounds", "time_bounds") if b in ds.variables), None
    )
    if bounds is not None:
        found["time_coverage_start"] = f"{bounds.values.min().astype('datetime64[s]')}Z"
        found["time_coverage_end"] = f"{bounds.values.max().astype('datetime64[s]')}Z"
    return ds.assign_attrs(found | ds.attrs)


def _with_cf(ds: xr.Dataset) -> xr.Dataset:
    """Add what CF asks of coordinates: names and axis of times, their bounds, the grid mapping."""
    out = ds.copy()
    for name in map(str, out.variables):
        variable = out[name].variable
        if variable.dtype.kind == "M" and not name.endswith("_bounds"):
            out[name].attrs = {
                "standard_name": "time",
                "long_name": "time, UTC, start of the interval",
            } | out[name].attrs
            if variable.dims == (name,):
                out[name].attrs.setdefault("axis", "T")
            if f"{name}_bounds" in out.variables:
                out[name].attrs.setdefault("bounds", f"{name}_bounds")
        elif (
            "spatial_ref" in out.variables and {"y", "x"} <= set(variable.dims) and name not in ("lat", "lon")
        ):
            out[name].attrs.setdefault("grid_mapping", "spatial_ref")
    for name in map(str, out.data_vars):
        out[name].attrs.setdefault("coverage_content_type", _content(name))
        if ds.attrs.get("species") == "co2" and name in _STANDARD_NAMES:
            out[name].attrs.setdefault("standard_name", _STANDARD_NAMES[name])
    for name in [str(n) for n in out.variables if str(n).endswith("_bounds")]:
        out[name].attrs = {}  # CF: bounds take their attributes from their coordinate
    return out


def _content(name: str) -> str:
    """Return the ISO 19115-1 kind of content: what a value is, or how good one is."""
    quality = name.endswith(("_sd", "_covariance", "_reduction", "_diagonal")) or name == "budget"
    return "qualityInformation" if quality else "modelResult"


def _encoding(ds: xr.Dataset, name: str) -> dict[str, dict[str, Any]]:
    return {str(n): _variable_encoding(ds[n], schema.SCHEMAS[name].get(str(n))) for n in ds.variables}


def _variable_encoding(found: xr.DataArray, want: Variable | None) -> dict[str, Any]:
    encoding: dict[str, Any] = {}
    if found.dtype.kind == "M":
        encoding |= {"units": _EPOCH, "calendar": "standard", "dtype": "float64", "_FillValue": None}
    elif found.dtype.kind == "f":
        encoding["_FillValue"] = np.nan if want is not None and want.missing else None
    elif found.dtype.kind == "i" and np.all(np.abs(found.values) < 2**31):
        encoding["dtype"] = "int32"  # CF-1.8 has no 64-bit integers
    if found.size >= _COMPRESSED_FROM and found.dtype.kind in "fiM":
        encoding |= {"zlib": True, "complevel": 4, "shuffle": True}
    return encoding
