"""Stages of flux lidar in a run: planes as rows on the fluxes, the mixing height as judge of other data."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.uncertainty import attach
from metroflux.units import mole_fraction_factor
from observations.conditions import met_conditions
from observations.flux_lidar.dial import read_dial_scan
from observations.flux_lidar.mixing_role import height_at, inflation, leave_out
from observations.flux_lidar.plane import PlaneSettings, angle_to_normal, direct_rows, plane_flux
from observations.lidar import read_profiles
from observations.metrology.comparison import Result
from pipelines.engine import Job
from pipelines.inputs import Outputs, config_of
from pipelines.lidar_sections import Facility, MixingFilter, MixingInflation, PlaneScan
from transport.jacobian import SurfaceOperator


@dataclass(frozen=True)
class Measured:
    """A plane's emission, mol s-1, the bounds of its scan, UTC, and where the lidar stands, degrees."""

    result: Result
    begin: np.datetime64
    end: np.datetime64
    latitude: float
    longitude: float


def read_planes(job: Job) -> Outputs:
    """Make the emission through each plane a row on the fluxes of its facility's cell."""
    config = config_of(job)
    grid, planes = Grid.from_dataset(job.dataset("grid")), config.observations.planes
    found = {plane.label: measure(plane, config.run.species) for plane in planes}
    rows = direct_rows(
        [of_interval(found[plane.label].result, plane.representativeness_sd) for plane in planes],
        {label: (one.begin, one.end) for label, one in found.items()},
        {plane.label: cell_of(plane.facility, grid, plane.label) for plane in planes},
    )
    latitude, longitude = (
        np.array([getattr(one, n) for one in found.values()]) for n in ("latitude", "longitude")
    )
    place = {
        "latitude": ("obs", latitude, {"units": "degrees_north"}),
        "longitude": ("obs", longitude, {"units": "degrees_east"}),
    }
    return {"planes": schema.check(rows.assign_coords(place), "direct_fluxes", "observations.planes")}


def measure(plane: PlaneScan, species: str) -> Measured:
    """Return what a section's scan says of the emission.

    Raises
    ------
    DataError
        If the scan is of another gas or no whole plane.
    """
    scan = read_dial_scan(plane.file)
    if scan.attrs["species"] != species:
        raise DataError(f"{plane.file}: species '{scan.attrs['species']}'; expected '{species}'")
    factor = mole_fraction_factor(plane.background.unit)
    settings = PlaneSettings(
        speed=plane.wind.speed,
        speed_sd=plane.wind.speed_sd,
        angle=angle_to_normal(plane.wind.direction, float(scan.azimuth.values[0])),
        angle_sd=plane.wind.direction_sd,
        background=plane.background.value * factor,
        background_sd=plane.background.sd * factor,
        cross_section_sd=float(scan.cross_section_sd),
        background_by_lidar=plane.background.by_lidar,
        density_sd=plane.density_sd,
    )
    last = np.timedelta64(round(plane.averaging_s * 1e9), "ns")
    begin, end = scan.time.values.min(), scan.time.values.max() + last
    place = float(scan.latitude), float(scan.longitude)
    return Measured(plane_flux(scan, settings, plane.label), begin, end, *place)


def of_interval(flux: Result, share: float) -> Result:
    """Return a flux of minutes as that of its flux interval, with one cause more."""
    return Result(flux.label, flux.value, {**flux.terms, f"within-interval:{flux.label}": share * flux.value})


def cell_of(facility: Facility, grid: Grid, label: str) -> xr.DataArray:
    """Return the share of each cell that emits through a plane.

    Raises
    ------
    DataError
        If the facility lies outside of the grid.
    """
    x, y = grid.to_xy(facility.longitude, facility.latitude)
    column, row = int((x - grid.west) // grid.dx), int((y - grid.south) // grid.dy)
    if not (0 <= column < grid.nx and 0 <= row < grid.ny):
        raise DataError(f"observations.planes: facility of {label} at x={x:.0f} m, y={y:.0f} m; "
                        "expected a place inside the flux grid")  # fmt: skip
    share = np.zeros(grid.shape)
    share[row, column] = facility.share
    return xr.DataArray(share, dims=("y", "x"))


def read_mixing(job: Job) -> Outputs:
    """Read the profiles whose mixing height judges other data."""
    mixing = config_of(job).observations.mixing
    assert mixing is not None  # noqa: S101 - the plan pairs stage and section
    assert mixing.file is not None  # noqa: S101 - a world makes its own
    return {"profiles": read_profiles(mixing.file)}


def filtered(data: xr.Dataset, profiles: xr.Dataset, chosen: MixingFilter) -> xr.Dataset:
    """Return the observations flagged where the lidar's mixing height is low."""
    return leave_out(data, profiles, chosen.site, chosen.least, chosen.unknown)


def widened(job: Job, data: xr.Dataset, chosen: MixingInflation) -> xr.Dataset:
    """Return the observations with the error of the model's mixing height, by the lidar, as a random part."""
    lidar, sd = height_at(job.dataset("profiles"), chosen.site, data.time.values)
    model = met_conditions(data, job.dataset("met")).mixing_height.values
    jacobian, flux = job.dataset("jacobian"), job.dataset("prior").flux.sum("sector").values.ravel()
    if not np.array_equal(jacobian.datum_id.values, data.datum_id.values):
        raise DataError("observations.mixing: the footprints are of other data than the observations")
    enhancement = SurfaceOperator.of(jacobian).forward(flux)
    return attach(data, [inflation(enhancement, model, lidar, sd, chosen.unknown)], [])
