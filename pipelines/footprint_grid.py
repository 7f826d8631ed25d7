"""Where footprints of the command line are drawn: domain and resolution in words, to a grid."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from metroflux.errors import ConfigError
from metroflux.grid import Grid
from priors.cells import LonLatCells
from transport.met import crs_of, to_lonlat, to_xy

_DEGREE = 111_195.0  # m, of latitude
_LARGEST_DEGREES = 10.0  # a bare number below is degrees: no cells of 10 m or of 10 degrees are asked for
_SIDE = 100  # points along each side of the domain, to follow its curve on the map


@dataclass(frozen=True)
class Domain:
    """A box in longitude and latitude, degrees; east may exceed 180."""

    west: float
    south: float
    east: float
    north: float

    def __str__(self) -> str:
        return f"{self.west:.6g},{self.south:.6g},{self.east:.6g},{self.north:.6g}"


@dataclass(frozen=True)
class Resolution:
    """Size of a cell, in degrees or metres."""

    size: float
    degrees: bool

    def __str__(self) -> str:
        return f"{self.size:g} {'degrees' if self.degrees else 'm'}"


@dataclass(frozen=True)
class Layout:
    """Grid of the particles' footprint, and the cells in degrees it is shared out to, if any."""

    grid: Grid
    cells: LonLatCells | None


def parse_domain(text: str) -> Domain:
    """Return the domain of 'W,S,E,N'.

    >>> parse_domain("-1,51,1.5,53")
    Domain(west=-1.0, south=51.0, east=1.5, north=53.0)
    """
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--domain '{text}'; expected W,S,E,N in degrees, such as -1,51,1.5,53") from None
    if not (-180 <= west < east <= west + 360 and -90 <= south < north <= 90):
        raise ConfigError(f"--domain '{text}'; expected west < east and south < north, in degrees")
    return Domain(west, south, east, north)


def parse_resolution(text: str) -> Resolution:
    """Return the cell size of '1000', '1000m', '1km', '0.01', '0.01deg'; a bare number below 10 is degrees.

    >>> parse_resolution("2km"), parse_resolution("0.01")
    (Resolution(size=2000.0, degrees=False), Resolution(size=0.01, degrees=True))
    """
    for unit, factor, degrees in (
        ("deg", 1.0, True),
        ("km", 1000.0, False),
        ("m", 1.0, False),
        ("", 1.0, None),
    ):
        if not text.endswith(unit):
            continue
        try:
            size = factor * float(text.removesuffix(unit))
        except ValueError:
            break
        if not 0 < size < 1e7:
            break
        return Resolution(size, size < _LARGEST_DEGREES if degrees is None else degrees)
    raise ConfigError(f"--resolution '{text}'; expected for example 1000m, 1km or 0.01deg")


def choose_layout(met: xr.Dataset, domain: Domain | None, resolution: Resolution | None) -> Layout:
    """Return the grid for a domain (None: the met's) and a cell size (None: the met's).

    Raises
    ------
    ConfigError
        If the domain lies outside the met, or is smaller than a cell.
    """
    if resolution is None:
        resolution = Resolution(float(met.x[1] - met.x[0]), degrees=False)
    if not resolution.degrees:
        size = (resolution.size, resolution.size)
        return Layout(_grid(met, _box(met, domain), size, inside=domain is None), None)
    box = domain or _met_domain(met)
    cells = _cells(box, resolution.size)
    # as large as a cell in the middle: smaller ones blur less, but cost as many times more as they are
    height = resolution.size * _DEGREE
    width = height * float(np.cos(np.radians(cells.lat_bounds.mean())))
    reach = Domain(box.west, box.south, float(cells.lon_bounds[-1, 1]), float(cells.lat_bounds[-1, 1]))
    return Layout(_grid(met, _box(met, reach), (width, height), inside=False), cells)


def inner_grid(met: xr.Dataset, layout: Layout, nest: str | None, resolution: str | None) -> Grid | None:
    """Return the fine grid over the outer cells that the domain `nest` touches; None without it.

    Raises
    ------
    ConfigError
        If one option lacks the other, degrees are asked for, the domain lies outside the outer grid, or the
        outer cells are not a whole number of inner ones.
    """
    if nest is None and resolution is None:
        return None
    if nest is None or resolution is None:
        raise ConfigError("--nest and --nest-resolution: one without the other; expected both or none")
    size, outer = parse_resolution(resolution), layout.grid
    if layout.cells is not None or size.degrees:
        raise ConfigError(
            f"--nest-resolution {resolution}: nested grids are in the met's projection; expected "
            "--resolution and --nest-resolution in metres"
        )
    ratio = round(outer.dx / size.size)
    if ratio < 2 or abs(ratio * size.size - outer.dx) > 1e-6 * outer.dx:
        raise ConfigError(
            f"--nest-resolution {resolution}: outer cells of {outer.dx:g} m are not 2, 3, ... inner ones"
        )
    west, south, east, north = _box(met, parse_domain(nest))
    columns = _touched(outer.west, outer.dx, outer.nx, west, east)
    rows = _touched(outer.south, outer.dy, outer.ny, south, north)
    if columns is None or rows is None:
        raise ConfigError(f"--nest {nest} lies outside the outer grid; expected a part of it")
    return Grid(
        outer.crs, outer.west + columns[0] * outer.dx, outer.south + rows[0] * outer.dy,
        outer.dx / ratio, outer.dy / ratio,
        ratio * (columns[1] - columns[0]), ratio * (rows[1] - rows[0]),
    )  # fmt: skip


def _touched(start: float, size: float, count: int, low: float, high: float) -> tuple[int, int] | None:
    """Return first and last line of the cells between two places that are in the grid, None if there is none.

    >>> _touched(0.0, 10.0, 5, 12.0, 31.0), _touched(0.0, 10.0, 5, -20.0, -10.0)
    ((1, 4), None)
    """
    first = max(0, int(np.floor((low - start) / size + 1e-6)))
    last = min(count, int(np.ceil((high - start) / size - 1e-6)))
    return (first, last) if first < last else None


def _cells(box: Domain, size: float) -> LonLatCells:
    """Return the cells from the south-west corner; the last ones may reach beyond the domain."""
    bounds = []
    for low, high in ((box.west, box.east), (box.south, box.north)):
        edges = low + size * np.arange(int(np.ceil((high - low) / size - 1e-6)) + 1)
        bounds.append(np.stack([edges[:-1], edges[1:]], axis=1))
    if bounds[1][-1, 1] > 90:
        raise ConfigError(
            f"--domain: cells of {size:g} degrees from {box.south:g} north reach beyond the pole"
        )
    return LonLatCells(*bounds)


def _box(met: xr.Dataset, domain: Domain | None) -> tuple[float, float, float, float]:
    """Return the domain's bounding box on the met's map, m: west, south, east, north."""
    x, y = met.x.values, met.y.values
    if domain is None:
        return float(x[0]), float(y[0]), float(x[-1]), float(y[-1])
    lon, lat = _ring(domain.west, domain.south, domain.east, domain.north)
    px, py = to_xy(crs_of(met), lon, lat)
    box = (float(px.min()), float(py.min()), float(px.max()), float(py.max()))
    if not (box[0] < x[-1] and box[2] > x[0] and box[1] < y[-1] and box[3] > y[0]):
        raise ConfigError(f"--domain {domain} lies outside the met, which covers {_met_domain(met)}")
    return box


def _ring(west: float, south: float, east: float, north: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points along the sides of a box."""
    along, low, high = np.linspace(0, 1, _SIDE), np.zeros(_SIDE), np.ones(_SIDE)
    x = west + (east - west) * np.concatenate([along, high, along, low])
    y = south + (north - south) * np.concatenate([low, along, high, along])
    return x, y


def _met_domain(met: xr.Dataset) -> Domain:
    """Return the box in longitude and latitude around the met's area."""
    x, y = met.x.values, met.y.values
    lon, lat = to_lonlat(crs_of(met), *_ring(x[0], y[0], x[-1], y[-1]))
    return Domain(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))


def _grid(
    met: xr.Dataset, box: tuple[float, float, float, float], size: tuple[float, float], inside: bool
) -> Grid:
    """Return the grid of cells of a size (x, y) from the box's corner, inside it or covering it."""
    west, south, east, north = box
    nx, ny = (
        int(np.floor((high - low) / step + 1e-6) if inside else np.ceil((high - low) / step - 1e-6))
        for low, high, step in ((west, east, size[0]), (south, north, size[1]))
    )
    if nx < 1 or ny < 1:
        raise ConfigError(f"--resolution: a cell of {size[0]:g} m is larger than the domain")
    return Grid(crs_of(met).to_wkt(), west, south, size[0], size[1], nx, ny)
