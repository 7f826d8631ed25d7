"""Error components as obsarray and the CoMet toolkit keep them: one variable each, `err_corr_*` attributes.

Attribute names are those of obsarray 1.0 (`unc_comps`, `pdf_shape`, `err_corr_1_dim`, `_form`, `_params`,
`_units`). A random part has the form "random", a shared cause "systematic": fully correlated over `obs`, with
the sign of its sensitivity, so that u u' is its covariance.
"""

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.uncertainty import Random, Shared, attach, components

MEASURED = "mole_fraction"
_FORMS = ("random", "systematic")


def to_err_corr(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with its error components as variables that obsarray understands."""
    random, shared = components(ds)
    parts = {f"u_random_{i}": (r.sd, "random", {"long_name": r.name}) for i, r in enumerate(random)}
    parts |= {
        f"u_shared_{i}": (
            s.column,
            "systematic",
            {"long_name": s.name, "cause": s.cause, "traceable_to": s.traceable_to},
        )
        for i, s in enumerate(shared)
    }
    variables = {
        name: ("obs", values, {"units": ds[MEASURED].attrs["units"], **_attributes(form), **said})
        for name, (values, form, said) in parts.items()
    }
    bare = ds.drop_dims(["random", "shared"])
    measured = bare[MEASURED].assign_attrs(unc_comps=list(parts))
    return bare.assign(variables).assign({MEASURED: measured})


def from_err_corr(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with error components as metroflux holds them.

    Raises
    ------
    DataError
        If a component is absent, lacks units, or has a correlation that is neither random nor systematic
        over `obs`.
    """
    listed = ds[MEASURED].attrs.get("unc_comps", [])
    names = [listed] if isinstance(listed, str) else list(map(str, listed))
    absent = [name for name in names if name not in ds.variables]
    if absent:
        has = ", ".join(map(str, ds))
        raise DataError(f"unc_comps: no variable {', '.join(absent)}; the file has {has}")
    random, shared = [], []
    for name in names:
        part = ds[name]
        form, values = _form(part), part.values.astype(np.float64)
        if part.attrs.get("units") != ds[MEASURED].attrs["units"]:
            said = part.attrs.get("units", "none, so a share of the value")
            raise DataError(f"'{name}' has units {said}; expected {ds[MEASURED].attrs['units']}")
        title = str(part.attrs.get("long_name", name))
        if form == "random":
            random.append(Random(title, values))
        else:
            cause = str(part.attrs.get("cause", title))
            shared.append(Shared(title, cause, values, str(part.attrs.get("traceable_to", "not stated"))))
    bare = ds.drop_vars(names)
    del bare[MEASURED].attrs["unc_comps"]
    return attach(bare, random, shared)


def _attributes(form: str) -> dict[str, object]:
    return {
        "pdf_shape": "gaussian",
        "err_corr_1_dim": "obs",
        "err_corr_1_form": form,
        "err_corr_1_params": np.array([]),
        "err_corr_1_units": np.array([]),
    }


def _form(part: xr.DataArray) -> str:
    form, along = part.attrs.get("err_corr_1_form"), part.attrs.get("err_corr_1_dim")
    if part.dims != ("obs",) or along not in ("obs", ["obs"]) or form not in _FORMS:
        raise DataError(
            f"'{part.name}' has dims {part.dims} and correlation '{form}' along {along}; expected 'random' "
            f"or 'systematic' along obs"
        )
    return str(form)
