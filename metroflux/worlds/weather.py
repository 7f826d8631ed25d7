"""Weather of the synthetic city: turning winds around hills under a diurnal boundary layer.

The flow is exactly mass consistent: density depends on height above ground alone, the wind is a uniform part
plus the curl of a stream function, so the divergence of (rho u, rho v) is zero and w through the
terrain-following levels is zero.
"""

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.constants import CP_DRY, GRAVITY, R_DRY, VON_KARMAN
from metroflux.grid import Grid

Floats = npt.NDArray[np.float64]

LEVELS = np.array(
    [10, 30, 60, 100, 150, 220, 300, 400, 520, 660, 820, 1000, 1250, 1500, 1800, 2200, 2700, 3300, 4000.0]
)
"""Heights above ground of the cube, m."""

MARGIN = 30_000.0
SPACING = 6_000.0
UTC_OFFSET = 1.0
"""Local time minus UTC, h."""

SURFACE_TEMPERATURE = 281.0
LAPSE_RATE = 0.0065
SURFACE_PRESSURE = 97_000.0


def met_cube(grid: Grid, start: np.datetime64, end: np.datetime64, rng: np.random.Generator) -> xr.Dataset:
    """Return the hourly met cube from start to end, both included (schema "met")."""
    coords = _domain(grid).coords()
    x, y = np.meshgrid(
        (coords.x.values - _centre(grid)[0]) / _side(grid), (coords.y.values - _centre(grid)[1]) / _side(grid)
    )
    times = np.arange(start, end + np.timedelta64(1, "h"), np.timedelta64(1, "h")).astype("datetime64[ns]")
    hours = (times - start) / np.timedelta64(1, "h")
    terrain, roughness = _terrain(x, y), _roughness(x, y)
    surface = _boundary_layer(hours, roughness, rng)
    u, v = _wind(hours, terrain, float(coords.x[1] - coords.x[0]), surface["speed"], surface["direction"])
    column = _standard_column()
    cube, flat = ("time", "level", "y", "x"), ("time", "y", "x")
    shape = u.shape
    fields = {
        "u": (cube, u, "m s-1"),
        "v": (cube, v, "m s-1"),
        "w": (cube, np.zeros(shape), "m s-1"),
        **{
            name: (cube, np.broadcast_to(values[None, :, None, None], shape), unit)
            for name, (values, unit) in column.items()
        },
        "terrain": (("y", "x"), terrain, "m"),
        "z0": (flat, np.broadcast_to(roughness, surface["ustar"].shape), "m"),
        "mixing_height": (flat, surface["mixing_height"], "m"),
        "ustar": (flat, surface["ustar"], "m s-1"),
        "inverse_obukhov": (flat, surface["inverse_obukhov"], "m-1"),
        "sensible_heat_flux": (flat, surface["sensible_heat_flux"], "W m-2"),
    }
    ds = coords.assign_coords(time=times, level=("level", LEVELS, {"units": "m", "positive": "up"})).assign(
        {
            name: (dims, values.astype(np.float32), {"units": unit})
            for name, (dims, values, unit) in fields.items()
        }
    )
    return schema.check(ds, "met", "synthetic weather")


def _side(grid: Grid) -> float:
    return grid.dx * grid.nx


def _centre(grid: Grid) -> tuple[float, float]:
    return grid.west + grid.dx * grid.nx / 2, grid.south + grid.dy * grid.ny / 2


def _domain(grid: Grid) -> Grid:
    """Return the grid of the cube: its outermost points lie at least MARGIN outside the flux grid."""
    n = int(np.ceil((_side(grid) + 2 * MARGIN) / SPACING)) + 1
    cx, cy = _centre(grid)
    return Grid(grid.crs, cx - n * SPACING / 2, cy - n * SPACING / 2, SPACING, SPACING, n, n)


def _terrain(x: Floats, y: Floats) -> Floats:
    """Return the height of the hills, m; x, y in units of the city's side from its centre."""
    hills = (
        (-0.35, 0.30, 0.16, 420.0),
        (0.40, 0.38, 0.12, 300.0),
        (0.30, -0.42, 0.20, 350.0),
        (-0.55, -0.30, 0.15, 250.0),
    )
    shapes = [top * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2)) for cx, cy, width, top in hills]
    return 200.0 + np.sum(shapes, axis=0)


def _roughness(x: Floats, y: Floats) -> Floats:
    """Return the roughness length, m: 1.2 m in the core, 0.1 m outside."""
    return 0.1 + 1.1 * np.exp(-(x**2 + y**2) / (2 * 0.12**2))


def _boundary_layer(hours: Floats, roughness: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Return speed and direction of the free wind (time) and the surface layer (time, y, x).

    Direction turns once in 40 hours, with a diurnal swing, so that a few afternoons see
    all sides; each day has its own cloudiness.
    """
    local = (hours + UTC_OFFSET) % 24.0
    day = np.floor((hours + UTC_OFFSET) / 24.0).astype(int)
    clear = rng.uniform(0.6, 1.0, size=day.max() + 1)[day]
    phase = rng.uniform(0.0, 2 * np.pi)
    speed = (
        4.5 + 1.0 * np.sin(2 * np.pi * hours / 60.0 + phase) + 0.6 * np.sin(2 * np.pi * (local - 9.0) / 24.0)
    )
    direction = 2 * np.pi * hours / 40.0 + 0.4 * np.sin(2 * np.pi * (local - 14.0) / 24.0) + phase
    sun = np.clip(np.sin(np.pi * (local - 7.0) / 11.0), 0.0, None) * ((local > 7.0) & (local < 18.0))
    heat = np.where(sun > 0, 170.0 * clear * sun - 15.0 * (1 - sun), -18.0)
    ramp = np.clip((local - 8.0) / 7.0, 0.0, 1.0) * np.clip((20.0 - local) / 2.5, 0.0, 1.0)
    height = 220.0 + 1150.0 * clear * ramp**0.8
    ones = np.ones_like(roughness)
    ustar = 0.6 * VON_KARMAN * speed[:, None, None] / np.log(60.0 / roughness)
    density = SURFACE_PRESSURE / (R_DRY * SURFACE_TEMPERATURE)
    flux = heat[:, None, None] * ones
    inverse = -VON_KARMAN * GRAVITY * flux / (density * CP_DRY * SURFACE_TEMPERATURE * ustar**3)
    return {
        "speed": speed,
        "direction": direction,
        "ustar": ustar,
        "inverse_obukhov": inverse,
        "sensible_heat_flux": flux,
        "mixing_height": height[:, None, None] * ones,
    }


def _wind(
    hours: Floats, terrain: Floats, step: float, speed: Floats, direction: Floats
) -> tuple[Floats, Floats]:
    """Return u, v (time, level, y, x), m s-1: a logarithmic, turning profile and a swirl around the hills."""
    profile = np.clip(np.log(LEVELS / 0.3) / np.log(600.0 / 0.3), 0.0, 1.15)
    turned = direction[:, None] + 0.35 * np.exp(-LEVELS / 500.0)
    uniform_u = speed[:, None] * profile * np.cos(turned)
    uniform_v = speed[:, None] * profile * np.sin(turned)
    swirl = np.exp(-LEVELS / 800.0)[None, :] * (25.0 * np.cos(2 * np.pi * hours / 40.0))[:, None]
    slope_y, slope_x = np.gradient(terrain, step)
    shape = swirl[..., None, None]
    return uniform_u[..., None, None] - shape * slope_y, uniform_v[..., None, None] + shape * slope_x


def _standard_column() -> dict[str, tuple[Floats, str]]:
    """Return temperature, pressure, density and humidity at LEVELS for a constant lapse rate, dry air."""
    temperature = SURFACE_TEMPERATURE - LAPSE_RATE * LEVELS
    pressure = SURFACE_PRESSURE * (temperature / SURFACE_TEMPERATURE) ** (GRAVITY / (R_DRY * LAPSE_RATE))
    return {
        "t": (temperature, "K"),
        "p": (pressure, "Pa"),
        "rho": (pressure / (R_DRY * temperature), "kg m-3"),
        "q": (np.full_like(LEVELS, 0.004), "kg kg-1"),
    }
