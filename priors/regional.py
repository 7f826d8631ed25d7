"""Priors given per region and month, for use with responses that know regions only."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.units import FILL_LIMIT
from priors.build import Inventory, make_prior
from priors.cells import Floats
from priors.convert import emission_factor
from priors.source import read_variables, time_edges


@dataclass(frozen=True)
class RegionalMapping:
    """How to read a file of regional emissions.

    species, sector : of all that the file holds
    emission, emission_sd : variables (region, time) with a mass rate as unit, such as Tg CO2 yr-1
    area : variable (region) with the area of each region
    area_units : must be said where the variable does not; only m2 and km2
    region, time : dimensions; the time labels are starts of months unless the file has bounds
    carbon_mass : masses are of carbon, not of the species
    """

    species: str
    sector: str
    emission: str
    emission_sd: str
    area: str
    area_units: str | None = None
    region: str = "region"
    time: str = "time"
    carbon_mass: bool = False
    inventory: Inventory = field(default_factory=Inventory)


def read_regional(path: Path, mapping: RegionalMapping) -> xr.Dataset:
    """Return a file of regional emissions as a prior with dims (sector, flux_time, region), flux_sd included.

    The flux is the emission over the region's area, so that flux * cell_area is what the file says.

    Raises
    ------
    DataError
        Naming file, variable, value and expectation.
    """
    names = [mapping.emission, mapping.emission_sd, mapping.area, mapping.region, mapping.time]
    ds = read_variables(path, names)
    try:
        edges = time_edges(ds, ds[mapping.time])
        area = _area(ds[mapping.area], mapping)
        flux, flux_sd = (_flux(ds[name], mapping, area) for name in (mapping.emission, mapping.emission_sd))
        if (flux_sd < 0).any():
            raise DataError(f"'{mapping.emission_sd}' is negative {int((flux_sd < 0).sum())} times")
        prior = make_prior(
            _space(ds, mapping, area), {mapping.sector: flux}, edges, mapping.species, mapping.inventory
        )
    except DataError as fault:
        raise DataError(f"{path}: {fault}") from None
    attrs = {"units": "mol m-2 s-1", "long_name": "standard uncertainty of the surface flux"}
    return schema.check(prior.assign(flux_sd=(prior["flux"].dims, flux_sd[None], attrs)), "prior", str(path))


def _space(ds: xr.Dataset, mapping: RegionalMapping, area: Floats) -> xr.Dataset:
    names = ds[mapping.region].values.astype(str)
    twice = sorted({str(name) for name in names if (names == name).sum() > 1})
    if twice:
        raise DataError(f"region given twice: {', '.join(twice)}")
    cell_area = (
        "region",
        area,
        {"units": "m2", "long_name": "area of the region", "standard_name": "cell_area"},
    )
    return xr.Dataset(coords={"region": ("region", names, {"long_name": "region"}), "cell_area": cell_area})


def _area(variable: xr.DataArray, mapping: RegionalMapping) -> Floats:
    unit = mapping.area_units or variable.attrs.get("units")
    factor = {"m2": 1.0, "km2": 1e6}.get(str(unit))
    if factor is None:
        raise DataError(
            f"'{mapping.area}' has units {unit!r}, expected m2 or km2, or area_units in the mapping"
        )
    _refuse_dims(variable, (mapping.region,))
    area = variable.values.astype(np.float64) * factor
    if not (area > 0).all():
        raise DataError(
            f"'{mapping.area}' has {int((~(area > 0)).sum())} values that are not positive: {area}"
        )
    return area


def _flux(variable: xr.DataArray, mapping: RegionalMapping, area: Floats) -> Floats:
    """Return a rate per region in mol m-2 s-1, shape (time, region)."""
    _refuse_dims(variable, (mapping.region, mapping.time))
    values = variable.transpose(mapping.time, mapping.region)
    bad = ~(np.abs(values.values) <= FILL_LIMIT)
    if bad.any():
        t, r = np.argwhere(bad)[0]
        where = f"region '{values[mapping.region].values[r]}', {values[mapping.time].values[t]}"
        raise DataError(f"'{variable.name}' has {int(bad.sum())} NaN or fill values, first at {where}")
    try:
        factor = emission_factor(str(variable.attrs.get("units")), mapping.species, mapping.carbon_mass)
    except DataError as fault:
        raise DataError(f"'{variable.name}': {fault}") from None
    return values.values.astype(np.float64) * factor / area


def _refuse_dims(variable: xr.DataArray, dims: tuple[str, ...]) -> None:
    if set(variable.dims) != set(dims):
        raise DataError(f"'{variable.name}' has dims {variable.dims}, expected {dims} in any order")
