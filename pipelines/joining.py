"""The observations of several files as one dataset, and where their sites are."""

from typing import Any

import numpy as np
import xarray as xr

from metroflux.uncertainty import Random, Shared, attach, components
from observations.metrology.trace import nodes_of, record


def join(parts: list[xr.Dataset]) -> xr.Dataset:
    """Return the observations of several files; error components of one name are one component."""
    bare = _alike([part.drop_dims(["random", "shared"]) for part in parts])
    plain = xr.concat(bare, "obs", combine_attrs="drop_conflicts")
    starts = np.cumsum([0, *(part.sizes["obs"] for part in parts)])
    random: dict[str, np.ndarray] = {}
    shared: dict[str, Shared] = {}
    for part, first in zip(parts, starts, strict=False):
        rows = slice(first, first + part.sizes["obs"])
        for r in components(part)[0]:
            random.setdefault(r.name, np.zeros(starts[-1]))[rows] = r.sd
        for s in components(part)[1]:
            empty = Shared(s.name, s.cause, np.zeros(starts[-1]), s.traceable_to)
            shared.setdefault(s.name, empty).column[rows] = s.column
    joined = attach(plain, [Random(name, sd) for name, sd in random.items()], list(shared.values()))
    nodes = [node for part in parts for node in nodes_of(part).values()]
    return record(joined, nodes) if nodes else joined


_SOMETIMES: dict[str, tuple[object, bool]] = {
    "instrument": ("", True),
    "flag_remark": ("", False),
    "azimuth": (np.nan, False),
    "elevation": (np.nan, False),
    "range": (np.nan, False),
    "gate_length": (np.nan, False),
}
"""What only some files give: the value that stands for none, and whether it is a coordinate."""


def _alike(parts: list[xr.Dataset]) -> list[xr.Dataset]:
    """Return the parts with what only some of them have filled in by what stands for none."""
    for name, (none, is_coordinate) in _SOMETIMES.items():
        given = [part[name].attrs for part in parts if name in part.variables]
        for i, part in enumerate(parts):
            if given and name not in part.variables:
                filled = part.assign({name: ("obs", np.full(part.sizes["obs"], none), given[0])})
                parts[i] = filled.set_coords(name) if is_coordinate else filled
    kernels = [part.gate_kernel for part in parts if "gate_kernel" in part.variables]
    for i, part in enumerate(parts):
        if kernels and "gate_kernel" not in part.variables:
            blank = np.full((part.sizes["obs"], kernels[0].sizes["true_range"]), np.nan)
            rows = (("obs", "true_range"), blank, kernels[0].attrs)
            parts[i] = part.assign(gate_kernel=rows).assign_coords(true_range=kernels[0].true_range)
    return parts


def sites_of(observations: xr.Dataset) -> list[dict[str, Any]]:
    """Return name, kind and place of each site, as the maps show them."""
    kind = "column" if "averaging_kernel" in observations.variables else "tower"
    sight = observations["range"].notnull().values if "range" in observations.variables else None
    _, first = np.unique(observations.site.values, return_index=True)
    rows = observations.isel(obs=np.sort(first)[:200])
    return [
        {
            "name": str(name),
            "kind": "lidar" if sight is not None and sight[at] else kind,
            "longitude": float(lon),
            "latitude": float(lat),
        }
        for at, name, lon, lat in zip(
            np.sort(first)[:200], rows.site.values, rows.longitude.values, rows.latitude.values, strict=True
        )
    ]
