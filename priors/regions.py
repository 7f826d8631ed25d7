"""Regions of the flux grid: the share of each cell that lies in each polygon."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import shapely
import xarray as xr
from shapely.errors import GEOSException
from shapely.geometry import shape as geometry

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.cells import Floats

Features = Path | Mapping[str, object]
Rings = list[list[tuple[float, float]]]

DOMAIN = "domain"
"""Name of the first region, which holds everything."""

_SIDE = 0.005
"""Longest straight piece of a polygon's side before it is projected, degrees (about 500 m)."""

_WEIGHT = {"units": "1", "long_name": "share of the cell's area in the region"}


def region_weights(grid: Grid, source: Features, name_property: str) -> xr.Dataset:
    """Return the share of each cell in each region, "domain" first.

    Sides are straight in longitude and latitude (RFC 7946). The share is of the projected cell: within one
    cell the scale of a map projection is as good as constant.

    Parameters
    ----------
    source : GeoJSON file, or its FeatureCollection as a mapping; polygons in longitude and latitude
    name_property : property with the region's name; features of one name are one region

    Returns
    -------
    regions, dims (region, y, x)

    Raises
    ------
    DataError
        For invalid polygons and regions wholly outside the grid, all named at once.
    """
    polygons = _projected(grid, source, name_property)
    weights = {name: _shares(grid, polygon) for name, polygon in polygons.items()}
    outside = [name for name, weight in weights.items() if not weight.any()]
    if outside:
        raise DataError(f"{_label(source)}: regions wholly outside the grid: {', '.join(outside)}")
    cells = np.stack([np.ones(grid.shape), *weights.values()])
    regions = grid.coords().assign(
        weight=(("region", "y", "x"), cells, _WEIGHT | {"grid_mapping": "spatial_ref"})
    )
    return schema.check(regions.assign_coords(region=_names([DOMAIN, *weights])), "regions")


def region_outlines(grid: Grid, source: Features, name_property: str, tolerance: float) -> dict[str, Rings]:
    """Return each region's rings as (x, y) in m of the grid's projection, simplified, to draw.

    Parameters
    ----------
    tolerance : how far the simplified line may leave the true one, m; half a cell is invisible on a map
    """
    outlines = {}
    for name, polygon in _projected(grid, source, name_property).items():
        simple = shapely.simplify(polygon, tolerance, preserve_topology=True)
        parts = [part for part in shapely.get_parts(simple) if part.geom_type == "Polygon"]
        rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
        outlines[name] = [[(float(x), float(y)) for x, y in shapely.get_coordinates(ring)] for ring in rings]
    return outlines


def regional_regions(prior: xr.Dataset, groups: Mapping[str, Sequence[str]] | None = None) -> xr.Dataset:
    """Return the regions of a prior that knows regions only: all, each one, and groups of them.

    Parameters
    ----------
    prior : space dim "region"
    groups : name -> regions of the prior that it holds

    Returns
    -------
    regions, dims (region, source_region): a dataset cannot have "region" twice

    Raises
    ------
    DataError
        If a group names an unknown region or has a name in use.
    """
    names = [str(name) for name in prior["region"].values]
    groups = groups or {}
    faults = [f"'{name}' is in use already" for name in (DOMAIN, *groups) if name in names]
    faults += [f"'{DOMAIN}' is in use already"] if DOMAIN in groups else []
    for group, members in groups.items():
        unknown = sorted(set(members) - set(names))
        if unknown or not members:
            named = ", ".join(unknown) or "no region"
            faults.append(f"group '{group}' names {named}, expected some of: {', '.join(names)}")
    if faults:
        raise DataError("regions: " + "; ".join(faults))
    rows = [np.ones(len(names)), *np.eye(len(names))]
    rows += [np.isin(names, list(members)).astype(np.float64) for members in groups.values()]
    regions = xr.Dataset(
        {"weight": (("region", "source_region"), np.stack(rows), _WEIGHT)},
        coords={
            "region": _names([DOMAIN, *names, *groups]),
            "source_region": ("source_region", np.array(names), {"long_name": "region of the prior"}),
            "cell_area": ("source_region", prior["cell_area"].values, prior["cell_area"].attrs),
        },
    )
    return schema.check(regions, "regions")


def _names(names: list[str]) -> tuple[str, np.ndarray, dict[str, str]]:
    return "region", np.array(names, dtype=str), {"long_name": "region"}


def _label(source: Features) -> str:
    return str(source) if isinstance(source, Path) else "regions"


def _projected(grid: Grid, source: Features, name_property: str) -> dict[str, shapely.Geometry]:
    """Return each region's polygon in the grid's projection, m."""

    def project(lonlat: Floats) -> Floats:
        return np.stack(grid.to_xy(lonlat[:, 0], lonlat[:, 1]), axis=1)

    polygons = _polygons(source, name_property)
    return {
        name: shapely.transform(shapely.segmentize(polygon, _SIDE), project)
        for name, polygon in polygons.items()
    }


def _polygons(source: Features, name_property: str) -> dict[str, shapely.Geometry]:
    """Return each region's polygon in longitude and latitude, features of one name united."""
    found: dict[str, list[shapely.Geometry]] = {}
    faults = []
    for number, feature in enumerate(_features(source)):
        properties = feature.get("properties") or {}
        name = str(properties.get(name_property, ""))
        polygon, fault = _polygon(feature)
        if not name:
            faults.append(
                f"feature {number} has no '{name_property}' (it has: {', '.join(map(str, properties))})"
            )
        elif name == DOMAIN:
            faults.append(f"feature {number} is named '{DOMAIN}', the name of the whole grid")
        elif polygon is None:
            faults.append(f"'{name}' (feature {number}) {fault}")
        else:
            found.setdefault(name, []).append(polygon)
    if not found and not faults:
        faults.append("no features; expected at least one polygon")
    if faults:
        raise DataError(f"{_label(source)}: " + "; ".join(faults))
    return {name: shapely.union_all(parts) for name, parts in found.items()}


def _features(source: Features) -> list[Mapping[str, Mapping[str, object]]]:
    try:
        content = json.loads(source.read_text(encoding="utf-8-sig")) if isinstance(source, Path) else source
    except (OSError, ValueError) as fault:
        raise DataError(f"{source}: cannot be read as GeoJSON ({fault})") from None
    features = content.get("features") if isinstance(content, Mapping) else None
    if not isinstance(features, list):
        raise DataError(f"{_label(source)}: no 'features'; expected a GeoJSON FeatureCollection")
    crs = json.dumps(content.get("crs"))
    if content.get("crs") is not None and not any(name in crs for name in ("CRS84", "4326")):
        raise DataError(f"{_label(source)}: crs {crs}; expected longitude and latitude (WGS 84, RFC 7946)")
    return features


def _polygon(feature: Mapping[str, object]) -> tuple[shapely.Geometry | None, str]:
    """Return the feature's polygon, or None and what is wrong with it."""
    try:
        polygon = geometry(feature.get("geometry"))
    except (GEOSException, AttributeError, KeyError, TypeError, ValueError, IndexError) as fault:
        return None, f"has no readable geometry ({fault})"
    if polygon.geom_type not in ("Polygon", "MultiPolygon") or polygon.is_empty:
        return None, f"is a {polygon.geom_type}, expected a Polygon or MultiPolygon with points"
    if not polygon.is_valid:
        return None, f"is not a valid polygon: {shapely.is_valid_reason(polygon)}"
    west, south, east, north = polygon.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        return None, f"reaches {west:g} to {east:g}, {south:g} to {north:g}; expected degrees east and north"
    return polygon, ""


def _shares(grid: Grid, polygon: shapely.Geometry) -> Floats:
    """Return the share of each cell in the polygon, shape (ny, nx); row by row to keep most cuts small."""
    x, y = grid.x_edges, grid.y_edges
    rows = shapely.intersection(polygon, shapely.box(x[0], y[:-1], x[-1], y[1:]))
    cells = shapely.box(x[None, :-1], y[:-1, None], x[None, 1:], y[1:, None])
    areas = np.zeros(grid.shape)
    for j in np.flatnonzero(~shapely.is_empty(rows)):
        areas[j] = shapely.area(shapely.intersection(rows[j], cells[j]))
    return np.minimum(areas / (grid.dx * grid.dy), 1.0)  # rounding may leave 1 + 1e-16
