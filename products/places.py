"""Sites and outlines: what a reader recognises on a map."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import shape

from metroflux.errors import DataError
from metroflux.grid import Grid

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Site:
    """A place where the air is measured.

    longitude, latitude : degrees east and north
    kind : decides the marker
    withheld : whether its data were kept out of the inversion to test it
    """

    name: str
    longitude: float
    latitude: float
    kind: Literal["tower", "lidar", "column"] = "tower"
    withheld: bool = False


@dataclass(frozen=True)
class Outline:
    """The boundary of a named area.

    rings : closed lines in longitude and latitude, degrees, each of shape (n, 2)
    """

    name: str
    rings: tuple[Floats, ...] = field(repr=False)


def outlines_from_geojson(source: Path | dict[str, Any], name_property: str) -> tuple[Outline, ...]:
    """Return the outlines of a GeoJSON file or object, longitude and latitude in degrees.

    Raises
    ------
    DataError
        If the file is not a FeatureCollection, a feature lacks the name, or a geometry is not an area.
    """
    where = str(source) if isinstance(source, Path) else "outlines"
    collection = json.loads(source.read_text("utf-8")) if isinstance(source, Path) else source
    if not isinstance(collection, dict) or not isinstance(collection.get("features"), list):
        raise DataError(f"{where}: not a GeoJSON FeatureCollection; expected 'features'")
    found, faults = [], []
    for number, feature in enumerate(collection["features"]):
        name = (feature.get("properties") or {}).get(name_property)
        geometry = feature.get("geometry") or {}
        if not name:
            faults.append(f"feature {number} has no property '{name_property}'")
        elif geometry.get("type") not in ("Polygon", "MultiPolygon"):
            faults.append(f"feature {number} is a {geometry.get('type')}, expected Polygon or MultiPolygon")
        else:
            found.append(Outline(str(name), _rings(shape(geometry))))
    if faults:
        raise DataError(f"{where}: " + "; ".join(faults))
    return tuple(found)


def project(rings: Sequence[Floats], grid: Grid, tolerance: float) -> list[Floats]:
    """Return rings in the grid's projection, m, simplified to `tolerance` m."""
    lines = []
    for ring in rings:
        x, y = grid.to_xy(ring[:, 0], ring[:, 1])
        line = shapely.LineString(np.column_stack([x, y])).simplify(tolerance)
        lines.append(np.asarray(line.coords, dtype=np.float64))
    return lines


def _rings(area: Any) -> tuple[Floats, ...]:
    polygons = getattr(area, "geoms", [area])
    lines = [line for polygon in polygons for line in (polygon.exterior, *polygon.interiors)]
    return tuple(np.asarray(line.coords, dtype=np.float64)[:, :2] for line in lines)
