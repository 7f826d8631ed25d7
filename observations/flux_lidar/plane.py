"""The flux through a plane that a DIAL scanned, with its GUM budget.

Q = sum over cells of (x - x_bg) p / (R T) U_perp a, mol s-1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from observations.components import CROSS_SECTION
from observations.flux_lidar.dial import air_density
from observations.flux_lidar.rays import Floats
from observations.metrology.comparison import Result


@dataclass(frozen=True)
class PlaneSettings:
    """What the plane flux rests on beside the lidar; each uncertainty is common to the plane.

    speed, speed_sd : of the wind, m s-1, and relative sd
    angle, angle_sd : between the wind and the normal of the plane, degrees
    background, background_sd : mol mol-1
    cross_section_sd : relative
    background_by_lidar : the background is of the same lidar: its cross-section error cancels from it
    density_sd : relative, of p / T; a lidar counts molecules, so it acts on a background of another kind only
    """

    speed: float
    speed_sd: float
    angle: float
    angle_sd: float
    background: float
    background_sd: float
    cross_section_sd: float
    background_by_lidar: bool = True
    density_sd: float = 0.003


@dataclass(frozen=True)
class Plane:
    """Measured values on the cells of a plane.

    Each array has shape (..., ray, gate), leading dims are draws.

    mole_fraction, random_sd : mol mol-1
    neighbour_correlation : of a gate's noise with the next gate's
    air : mol m-3; area : m2
    """

    mole_fraction: Floats
    random_sd: Floats
    neighbour_correlation: Floats
    air: Floats
    area: Floats


def cell_areas(middle: Floats, elevation: Floats, gate_length: float) -> Floats:
    """Return the area of each cell of a fan in a vertical plane, R dR dtheta, m2, shape (ray, gate)."""
    bounds = np.radians(0.5 * (elevation[1:] + elevation[:-1]))
    first, last = np.radians(elevation[0]), np.radians(elevation[-1])
    edges = np.concatenate([[2 * first - bounds[0]], bounds, [2 * last - bounds[-1]]])
    return np.abs(np.diff(edges))[:, None] * middle * gate_length


def angle_to_normal(direction: float, azimuth: float) -> float:
    """Return the angle between the wind and the normal of a plane on its lee side, -90 to 90 degrees.

    Parameters
    ----------
    direction : from which the wind blows, degrees clockwise from north
    azimuth : of the rays in the plane, the same

    >>> angle_to_normal(270.0, 0.0), angle_to_normal(90.0, 0.0), angle_to_normal(300.0, 0.0)
    (0.0, 0.0, 30.0)
    """
    return (direction - azimuth) % 180.0 - 90.0


def emission(plane: Plane, settings: PlaneSettings) -> tuple[Floats, dict[str, Floats]]:
    """Return the flux through the plane, mol s-1, and the signed standard uncertainty from each cause.

    The law of propagation (GUM 5.1.2, 5.2.2): noise adds over cells with the covariance of neighbours along
    a ray, each common cause adds before it is squared. The angle has its second order too (GUM 5.1.2 note),
    which is all there is when the wind is normal to the plane. Leading dims are draws.
    """
    turned = np.radians(settings.angle)
    weight = plane.air * plane.area * settings.speed * np.cos(turned)
    flux = np.sum(weight * (plane.mole_fraction - settings.background), axis=(-2, -1))
    part = weight * plane.random_sd
    both = part[..., 1:] * part[..., :-1] * plane.neighbour_correlation[..., :-1]
    variance = np.sum(part**2, axis=(-2, -1)) + 2.0 * np.sum(both, axis=(-2, -1))
    total = np.sum(weight, axis=(-2, -1))
    foreign = 0.0 if settings.background_by_lidar else total * settings.background
    turn = np.radians(settings.angle_sd)
    return flux, {
        "lidar-noise": np.sqrt(variance),
        "wind-speed": flux * settings.speed_sd,
        "wind-angle": -flux * np.sqrt((np.tan(turned) * turn) ** 2 + 0.5 * turn**4),
        "background": -total * settings.background_sd,
        CROSS_SECTION: (flux + foreign) * settings.cross_section_sd,
        "air-density": -foreign * settings.density_sd,
    }


def plane_fault(scan: xr.Dataset) -> str:
    """Return why a scan is not a whole vertical plane, empty if it is one."""
    missing = int(np.isnan(scan.mole_fraction.values).sum())
    azimuth = scan.azimuth.values
    turned = np.ptp((azimuth - azimuth[0] + 180.0) % 360.0)  # 359.9 and 0.1 degrees are neighbours
    rays = scan.elevation.values
    if not missing and turned <= 0.1 and rays.size >= 2 and (np.diff(rays) > 0).all():
        return ""
    return (
        f"{missing} cells missing, azimuths over {turned:g} degrees, {rays.size} rays; expected "
        "a whole plane of two or more rays of one azimuth and rising elevation"
    )


def plane_flux(scan: xr.Dataset, settings: PlaneSettings, label: str) -> Result:
    """Return the flux through the plane of a DIAL scan, mol s-1, as a result with its causes.

    Noise and wind are the plane's own; the cross-section is one cause with all data of that spectroscopy,
    so that two planes, or a plane and gates, do not average it out.

    Raises
    ------
    DataError
        If a cell is missing or the rays do not lie in one vertical plane.
    """
    schema.check(scan, "dial", label)
    fault = plane_fault(scan)
    if fault:
        raise DataError(f"{label}: {fault}")
    area = cell_areas(scan["range"].values, scan.elevation.values, float(scan.gate_length))
    air = air_density(scan.pressure.values, scan.temperature.values)
    value, sd, correlation = (scan[n].values for n in ("mole_fraction", "random_sd", "neighbour_correlation"))
    flux, terms = emission(Plane(value, sd, correlation, air, area), settings)
    owner = {CROSS_SECTION: str(scan.attrs["traceable_to"])}
    named = {f"{n}:{owner.get(n, label)}": float(value) for n, value in terms.items()}
    return Result(label, float(flux), named)


def direct_rows(results: Sequence[Result], when: Mapping[str, tuple[np.datetime64, np.datetime64]],
                cells: Mapping[str, xr.DataArray]) -> xr.Dataset:  # fmt: skip
    """Return plane fluxes as rows that act on the flux itself, without transport (schema "direct_fluxes").

    y = sum over cells of weight x cell area x flux. The cross-section, which gates of the same spectroscopy
    have too, and causes of several rows are shared; the rest is random.

    Parameters
    ----------
    when : bounds of each result's scan, UTC, by label
    cells : share of each grid cell that emits through the plane, dims (y, x), 1 on the facility, by label

    Raises
    ------
    DataError
        If two results have one label.
    """
    labels = [r.label for r in results]
    if len(set(labels)) < len(labels) or not labels:
        raise DataError(f"direct rows of {labels}; expected one or more labels, each once")
    causes = [name for r in results for name in r.terms]
    shared = [n for n in dict.fromkeys(causes) if causes.count(n) > 1 or n.startswith(CROSS_SECTION)]
    own = [np.sqrt(sum(t**2 for n, t in r.terms.items() if n not in shared)) for r in results]
    columns = np.array([[r.terms.get(n, 0.0) for n in shared] for r in results]).reshape(len(labels), -1)
    rate = {"units": "mol s-1"}
    weight = xr.concat([cells[label] for label in labels], "obs").transpose("obs", "y", "x")
    ds = xr.Dataset(
        {
            "datum_id": ("obs", np.array(labels)),
            "time_bounds": (("obs", "bounds"), np.array([when[label] for label in labels])),
            "emission": ("obs", np.array([r.value for r in results]), rate),
            "emission_sd": ("obs", np.array(own), rate),
            "emission_shared": (("obs", "shared"), columns, rate),
            "weight": (("obs", "y", "x"), weight.values.astype(np.float64), {"units": "1"}),
        },
        coords=_shared_names(shared),
    )
    return schema.check(ds, "direct_fluxes", "plane fluxes")


def _shared_names(shared: Sequence[str]) -> dict[str, tuple[str, np.ndarray]]:
    """Return name, line of the budget and origin of each shared cause."""
    lidar = [n.startswith(CROSS_SECTION) for n in shared]
    cause = ["lidar" if of_lidar else n for n, of_lidar in zip(shared, lidar, strict=True)]
    rests = [
        n.partition(":")[2] if of_lidar else "not stated" for n, of_lidar in zip(shared, lidar, strict=True)
    ]
    columns = {"shared": list(shared), "shared_cause": cause, "shared_traceable_to": rests}
    return {name: ("shared", np.array(values, dtype=str)) for name, values in columns.items()}
