"""A DIAL that scans a plane with a plume of known emission through it: truth for retrieval and plane flux."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from metroflux import schema
from observations.flux_lidar.dial import AVOGADRO, air_density, noise, number_density
from observations.flux_lidar.plane import Plane, PlaneSettings, cell_areas, emission
from observations.flux_lidar.rays import Floats


@dataclass(frozen=True)
class Scene:
    """A vertical plane scanned from its corner on the ground, a plume through it, and the air.

    edges : of the gates along a ray, m; elevation : of the rays, degrees
    emission : mol s-1, through the plane; centre, spread : of the plume along the plane and upward, m
    speed : of the wind, m s-1; angle : between the wind and the normal of the plane, degrees
    background : mol mol-1; pressure, temperature : Pa, K
    cross_section : difference, m2; photons : counted off line at 1 km; extinction : m-1
    """

    edges: Floats
    elevation: Floats
    emission: float = 2.0
    centre: tuple[float, float] = (700.0, 70.0)
    spread: tuple[float, float] = (90.0, 22.0)
    speed: float = 5.0
    angle: float = 20.0
    background: float = 1.95e-6
    pressure: float = 1.0e5
    temperature: float = 290.0
    cross_section: float = 1.9e-23
    photons: float = 1.0e7
    extinction: float = 1.0e-4

    @property
    def gate_length(self) -> float:
        """Length of a gate, m."""
        return float(self.edges[1] - self.edges[0])

    @property
    def middle(self) -> Floats:
        """Range of each gate, m."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    def truth(self) -> Floats:
        """Return the mole fraction at the middle of each gate, mol mol-1, shape (ray, gate)."""
        up = np.radians(self.elevation)[:, None]
        along, height = self.middle * np.cos(up), self.middle * np.sin(up)
        away = [(along - self.centre[0]) / self.spread[0], (height - self.centre[1]) / self.spread[1]]
        shape = np.exp(-0.5 * (away[0] ** 2 + away[1] ** 2)) / (2.0 * np.pi * self.spread[0] * self.spread[1])
        through = self.speed * np.cos(np.radians(self.angle))
        density = float(air_density(np.array(self.pressure), np.array(self.temperature)))
        return np.asarray(self.background + self.emission / through / density * shape)

    def echoes(self, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return counts off and on line with shot noise, shape (*shape, ray, edge)."""
        density = AVOGADRO * air_density(np.array(self.pressure), np.array(self.temperature))
        depth = np.cumsum(self.truth() * density * self.cross_section * self.gate_length, axis=1)
        depth = np.concatenate([np.zeros((depth.shape[0], 1)), depth], axis=1)
        mean = self.photons * (1000.0 / self.edges) ** 2 * np.exp(-2.0 * self.extinction * self.edges)
        off, on = np.broadcast_to(mean, depth.shape), mean * np.exp(-2.0 * depth)
        # counts are above 1e5, where a Poisson number is normal
        draw = (*shape, *depth.shape)
        return tuple(m + np.sqrt(m) * rng.standard_normal(draw) for m in (off, on))  # type: ignore[return-value]

    def retrieve(self, off: Floats, on: Floats, believed: float = 1.0) -> tuple[Floats, Floats, Floats]:
        """Return mole fraction, its random sd and the correlation with the next gate.

        Parameters
        ----------
        believed : cross-section difference used over the true one
        """
        molecules = AVOGADRO * air_density(np.array(self.pressure), np.array(self.temperature))
        settings = (believed * self.cross_section, self.gate_length)
        sd, correlation = noise(off, on, *settings)
        return number_density(off, on, *settings) / molecules, sd / molecules, correlation


def simulate_fluxes(
    scene: Scene, settings: PlaneSettings, count: int, rng: np.random.Generator
) -> tuple[Floats, dict[str, Floats]]:
    """Return plane fluxes of scans, mol s-1, shape (count,), and the stated uncertainty from each cause.

    Each scan has its own draw of shot noise and of every error that `settings` states: of wind, background,
    cross-section and density. The true emission is the scene's.
    """
    area = cell_areas(scene.middle, scene.elevation, scene.gate_length)
    air = air_density(np.array(scene.pressure), np.array(scene.temperature))
    found = []
    for _ in range(count):
        spectral, dense, wind, ground = rng.standard_normal(4) * (
            settings.cross_section_sd, settings.density_sd, settings.speed_sd, settings.background_sd,
        )  # fmt: skip
        value, sd, correlation = scene.retrieve(*scene.echoes((), rng), 1.0 + spectral)
        background = scene.background + ground
        if settings.background_by_lidar:
            background = background / (1 + spectral) / (1 + dense)
        plane = Plane(value / (1 + dense), sd, correlation, air * (1 + dense), area)
        angle = scene.angle + settings.angle_sd * rng.standard_normal()
        speed = scene.speed * (1 + wind)
        found.append(emission(plane, replace(settings, speed=speed, angle=angle, background=background)))
    return np.array([f for f, _ in found]), {k: np.array([t[k] for _, t in found]) for k in found[0][1]}


def simulate_scan(scene: Scene, cross_section_sd: float, rng: np.random.Generator) -> xr.Dataset:
    """Return one scan in the format of the reader (schema "dial"); its cross-section error is drawn once."""
    believed = 1.0 + cross_section_sd * rng.standard_normal()
    value, sd, correlation = scene.retrieve(*scene.echoes((), rng), believed)
    dims, rays = ("time", "range"), scene.elevation.size
    blank = np.ones(value.shape)
    degree = {"units": "degree"}
    ds = xr.Dataset(
        {
            "mole_fraction": (dims, value, {"units": "mol mol-1"}),
            "random_sd": (dims, sd, {"units": "mol mol-1"}),
            "neighbour_correlation": (dims, correlation, {"units": "1"}),
            "pressure": (dims, scene.pressure * blank, {"units": "Pa"}),
            "temperature": (dims, scene.temperature * blank, {"units": "K"}),
            "azimuth": ("time", np.zeros(rays), degree),
            "elevation": ("time", scene.elevation, degree),
            "gate_length": ((), scene.gate_length, {"units": "m"}),
            "cross_section_sd": ((), cross_section_sd, {"units": "1"}),
            "latitude": ((), 40.0, {"units": "degrees_north"}),
            "longitude": ((), 116.0, {"units": "degrees_east"}),
        },
        coords={
            "time": np.datetime64("2024-06-01T04", "ns") + np.arange(rays) * np.timedelta64(20, "s"),
            "range": ("range", scene.middle, {"units": "m"}),
        },
        attrs={"Conventions": "CF-1.8", "species": "ch4", "traceable_to": "simulated line"},
    )
    return schema.check(ds, "dial", "simulated DIAL")
