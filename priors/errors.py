"""The prior's uncertainty: a share of the flux, and a floor where sources may be that no inventory knows."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from priors.build import check_flux
from priors.cells import Floats

PerSector = float | Mapping[str, float]


def with_sd(
    prior: xr.Dataset, relative: PerSector, floor: PerSector = 0.0, floor_share: xr.DataArray | None = None
) -> xr.Dataset:
    """Return the prior with flux_sd = sqrt((relative |flux|)2 + floor2), 1 sigma, cell by cell.

    Parameters
    ----------
    relative : share of the flux; one number, or one for every sector
    floor : least sd, mol m-2 s-1; one number, or one for every sector
    floor_share : 0 to 1, dims (*space) or (sector, *space): scales the floor, for example 1 over land and 0
        over water; everywhere 1 if absent

    Raises
    ------
    DataError
        For unknown, absent, negative or undefined entries, all at once; or if the sd is zero everywhere,
        which would leave nothing to estimate.
    """
    check_flux(prior, "prior")
    flux = prior["flux"]
    faults: list[str] = []
    shape = (-1,) + (1,) * (flux.ndim - 1)
    a = _per_sector(prior, relative, "relative", faults).reshape(shape)
    b = _per_sector(prior, floor, "floor", faults).reshape(shape)
    share = _share(prior, floor_share, faults)
    if faults:
        raise DataError("prior sd: " + "; ".join(faults))
    sd = np.sqrt((a * np.abs(flux.values)) ** 2 + (b * share) ** 2)
    if not sd.any():
        raise DataError("prior sd: zero everywhere; expected a relative sd or a floor in at least one sector")
    attrs = {"units": "mol m-2 s-1", "long_name": "standard uncertainty of the surface flux"}
    if "grid_mapping" in flux.attrs:
        attrs["grid_mapping"] = flux.attrs["grid_mapping"]
    return schema.check(prior.assign(flux_sd=(flux.dims, sd, attrs)), "prior")


def _per_sector(prior: xr.Dataset, given: PerSector, name: str, faults: list[str]) -> Floats:
    sectors = [str(sector) for sector in prior["sector"].values]
    table = given if isinstance(given, Mapping) else dict.fromkeys(sectors, given)
    unknown = sorted(set(table) - set(sectors))
    absent = [sector for sector in sectors if sector not in table]
    if unknown:
        faults.append(f"{name}: unknown sectors {', '.join(unknown)} (the prior has {', '.join(sectors)})")
    if absent:
        faults.append(f"{name}: nothing given for {', '.join(absent)}")
    bad = {sector: value for sector, value in table.items() if not (np.isfinite(value) and value >= 0)}
    faults += [
        f"{name}: {sector} is {value}, expected a number of at least 0" for sector, value in bad.items()
    ]
    return np.array([table.get(sector, 0.0) for sector in sectors], dtype=np.float64)


def _share(prior: xr.Dataset, share: xr.DataArray | None, faults: list[str]) -> Floats:
    flux = prior["flux"]
    if share is None:
        return np.ones(())
    space = flux.dims[2:]
    expected = {space: flux.shape[2:], ("sector", *space): (flux.shape[0], *flux.shape[2:])}
    if expected.get(share.dims) != share.shape:
        faults.append(
            f"floor_share: dims {dict(share.sizes)}, expected {space} or sector and these, as the flux"
        )
        return np.ones(())
    values = share.values.astype(np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        faults.append("floor_share: values outside 0 to 1, or NaN")
    return values[:, None] if share.ndim == 1 + len(space) else values
