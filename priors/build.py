"""The prior dataset: put together from its parts, and joined from several inventories."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema, time
from metroflux.errors import DataError
from metroflux.units import molar_mass

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Inventory:
    """Where a prior comes from: name, version and DOI, as its publisher states them."""

    name: str = "not stated"
    version: str = "not stated"
    doi: str = "not stated"


def make_prior(
    space: xr.Dataset, flux: dict[str, Floats], edges: time.Times, species: str, inventory: Inventory
) -> xr.Dataset:
    """Return a prior without `flux_sd`: `errors.with_sd` completes it, there is no uncertainty by default.

    Parameters
    ----------
    space : coordinates with cell_area, `Grid.coords()` or a region table
    flux : flux of each sector, mol m-2 s-1, positive upward, shape (flux_time, *space)
    edges : edges of the flux intervals, shape (flux_time + 1,)

    Raises
    ------
    DataError
        If a cell area is not positive, or the dataset misses its contract.
    """
    molar_mass(species)
    if edges.size < 2 or (np.diff(edges) <= np.timedelta64(0, "ns")).any():
        raise DataError(f"flux_time_edges: {edges.size} edges; expected at least two, ascending")
    edges = edges.astype("datetime64[ns]")
    area = space["cell_area"]
    if not (area.values > 0).all():
        bad = float(area.values.min())
        raise DataError(f"cell_area: {int((area.values <= 0).sum())} not positive, least {bad:g} m2")
    mapped = {"grid_mapping": "spatial_ref"} if "spatial_ref" in space.variables else {}
    ds = space.assign(
        flux=(
            ("sector", "flux_time", *area.dims),
            np.stack(list(flux.values())).astype(np.float64),
            {"units": "mol m-2 s-1", "long_name": f"surface flux of {species}, positive upward"} | mapped,
        )
    ).assign_coords(
        sector=("sector", np.array(list(flux), dtype=str), {"long_name": "emission sector"}),
        flux_time=(
            "flux_time",
            edges[:-1],
            {
                "standard_name": "time",
                "long_name": "start of the flux interval, UTC",
                "bounds": "flux_time_bounds",
            },
            {"units": "minutes since 1970-01-01", "dtype": "int64"},  # bounds and labels alike when written
        ),
        flux_time_bounds=(("flux_time", "bounds"), time.bounds(edges)),
    )
    ds.attrs = {
        "species": species,
        "inventory": inventory.name,
        "inventory_version": inventory.version,
        "inventory_doi": inventory.doi,
    }
    check_flux(ds, inventory.name)
    return ds


def with_outside_share(prior: xr.Dataset, share: Floats) -> xr.Dataset:
    """Return the prior with the share of its inventory's emission outside the grid, shape (sector,)."""
    attrs = {"units": "1", "long_name": "share of the inventory's emission outside the grid, signs ignored"}
    return prior.assign_coords(outside_share=("sector", share, attrs))


def check_flux(prior: xr.Dataset, where: str) -> xr.Dataset:
    """Return the prior if it keeps its contract, apart from a flux_sd it may not have yet."""
    whole = prior if "flux_sd" in prior.variables else prior.assign(flux_sd=prior["flux"])
    schema.check(whole, "prior", where)
    return prior


def join(priors: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return one prior with the sectors of all, for example an inventory and a list of plants.

    A plant that is also inside an inventory's cells is counted twice: only the caller can know.

    Raises
    ------
    DataError
        If species, space or flux intervals differ, a sector is given twice, or only some have a flux_sd.
    """
    if not priors:
        raise DataError("join: no prior given; expected at least one")
    faults = [fault for other in priors[1:] for fault in _differences(priors[0], other)]
    names = [str(name) for prior in priors for name in prior["sector"].values]
    faults += [
        f"sector '{name}' is given {names.count(name)} times"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    if len({"flux_sd" in prior.variables for prior in priors}) > 1:
        faults.append("only some priors have flux_sd")
    if faults:
        raise DataError("join: " + "; ".join(faults))
    if not all("outside_share" in prior.variables for prior in priors):
        priors = [prior.drop_vars("outside_share", errors="ignore") for prior in priors]
    joined = xr.concat(
        priors, "sector", data_vars="minimal", coords="minimal", compat="override", join="exact"
    )
    sources = {
        name: " + ".join(dict.fromkeys(str(p.attrs[name]) for p in priors))
        for name in ("inventory", "inventory_version", "inventory_doi")
    }
    joined.attrs = dict(priors[0].attrs) | sources
    return check_flux(joined, "join")


def _differences(one: xr.Dataset, other: xr.Dataset) -> list[str]:
    names = f"'{one.attrs['inventory']}' and '{other.attrs['inventory']}'"
    faults = []
    if one.attrs["species"] != other.attrs["species"]:
        faults.append(f"{names} are of {one.attrs['species']} and {other.attrs['species']}")
    for name in ("flux_time_bounds", "cell_area", "x", "y", "region"):
        mine, theirs = (ds[name].values if name in ds.variables else np.empty(0) for ds in (one, other))
        if not np.array_equal(mine, theirs):
            faults.append(f"{names} differ in {name}")
    return faults
