"""Response matrices of an external transport model for regions, in place of our own footprints."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import sparse

from metroflux import schema
from metroflux.errors import DataError
from metroflux.time import Times, month_edges
from metroflux.units import FILL_LIMIT, emission_rate_factor, molar_mass, mole_fraction_factor
from transport.jacobian import jacobian_dataset

_UNIT = re.compile(r"^(?P<fraction>.+?) \((?P<mass>\w+) (?P<species>\w+) (?P<per>\w+-1)\)-1$")


@dataclass(frozen=True)
class ResponseMapping:
    """Names in a response file and what it does not say.

    response : variable (obs, region, month), units such as "umol mol-1 (Tg CO2 yr-1)-1"
    species : name in datum_id and for the molar mass
    inlet : m above ground, for datum_id; NaN where unknown; one number, or one per site
    area : variable (region), m2; month : starts of consecutive calendar months
    """

    response: str
    species: str
    inlet: float | dict[str, float] = float("nan")
    area: str = "region_area"
    region: str = "region"
    month: str = "month"
    time: str = "time"
    site: str = "site"


def datum_ids(site: npt.ArrayLike, species: str, inlet: npt.ArrayLike, start: Times) -> npt.NDArray[np.str_]:
    """Return the ids that tower readers give their data, 'site:species:inlet:start'.

    >>> str(datum_ids(["BHD"], "co2", [10.0], np.array(["2011-01-01T01:00"], "datetime64[ns]"))[0])
    'BHD:co2:10:2011-01-01T01:00:00'
    """
    stamps = np.datetime_as_string(start.astype("datetime64[s]"))
    rows = zip(np.asarray(site), np.asarray(inlet, dtype=np.float64), stamps, strict=True)
    return np.array([f"{s}:{species}:{h:g}:{t}" for s, h, t in rows])


def read_response(path: Path, mapping: ResponseMapping) -> xr.Dataset:
    """Return the jacobian of a response file, for the mean flux of each region and month.

    A response to an emission rate becomes one to a flux by the region's area and the molar mass.

    Raises
    ------
    DataError
        Naming file and variable: absent, of other dims or units, not finite, or months not consecutive.
    """
    try:
        file = xr.open_dataset(path)
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be opened as netCDF ({fault})") from None
    with file as ds:
        names = (mapping.response, mapping.area, mapping.region, mapping.month, mapping.time, mapping.site)
        absent = [name for name in names if name not in ds.variables]
        if absent:
            raise DataError(f"{path}: no variable {', '.join(absent)}")
        response, area = _numbers(ds, mapping.response, path), _numbers(ds, mapping.area, path)
        edges = _edges(ds[mapping.month].values, path)
        expected = (ds.sizes[ds[mapping.time].dims[0]], area.size, edges.size - 1)
        if response.shape != expected:
            raise DataError(
                f"{path}: '{mapping.response}' has shape {response.shape}, "
                f"expected (obs, region, month) = {expected}"
            )
        sites, times = ds[mapping.site].values.astype(str), ds[mapping.time].values.astype("datetime64[ns]")
        regions = ds[mapping.region].values.astype(str)
        factor = _factor(str(ds[mapping.response].attrs.get("units", "")), mapping, path)
    sensitivity = response * factor * area[None, :, None]
    rows = np.ascontiguousarray(sensitivity.transpose(0, 2, 1)).reshape(sites.size, -1)
    ids = datum_ids(sites, mapping.species, _inlets(sites, mapping.inlet, path), times)
    ds = jacobian_dataset(sparse.csr_matrix(rows), ids, edges)
    ds = ds.assign_coords(
        region=("region", regions),
        cell_area=("region", area, {"units": "m2", "long_name": "area of the region"}),
    )
    return schema.check(ds, "jacobian", str(path))


def _numbers(ds: xr.Dataset, name: str, path: Path) -> npt.NDArray[np.float64]:
    values = ds[name].values.astype(np.float64)
    bad = ~np.isfinite(values) | (np.abs(values) > FILL_LIMIT)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise DataError(f"{path}: '{name}' has {int(bad.sum())} values not finite, first at {at}")
    return values


def _edges(months: npt.NDArray[np.generic], path: Path) -> Times:
    starts = months.astype("datetime64[ns]")
    whole = starts.astype("datetime64[M]")
    if not np.array_equal(whole.astype("datetime64[ns]"), starts) or np.any(np.diff(whole).astype(int) != 1):
        raise DataError(f"{path}: months {starts[0]} to {starts[-1]} are not starts of consecutive months")
    return month_edges(starts)


def _factor(unit: str, mapping: ResponseMapping, path: Path) -> float:
    """Return the factor from the file's response to mol mol-1 per (mol s-1)."""
    match = _UNIT.match(unit)
    if match is None or match["species"].lower() != mapping.species.lower():
        raise DataError(
            f"{path}: '{mapping.response}' has units '{unit}', expected for example "
            f"'umol mol-1 (Tg {mapping.species.upper()} yr-1)-1'"
        )
    rate = emission_rate_factor(f"{match['mass']} {match['per']}")
    return mole_fraction_factor(match["fraction"]) * molar_mass(mapping.species) / rate


def _inlets(
    sites: npt.NDArray[np.str_], inlet: float | dict[str, float], path: Path
) -> npt.NDArray[np.float64]:
    if not isinstance(inlet, dict):
        return np.full(sites.size, float(inlet))
    absent = sorted(set(sites.tolist()) - set(inlet))
    if absent:
        raise DataError(f"{path}: no inlet stated for site {', '.join(absent)}")
    return np.array([inlet[site] for site in sites.tolist()])
