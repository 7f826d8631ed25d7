"""Transport error: met cubes with errors of wind and mixing height, and what they do to modelled data.

Wind errors correlated in time and space come from Lin & Gerbig (2005, doi 10.1029/2004GL021127), errors of
the mixing height from Gerbig, Koerner & Lin (2008, Atmos. Chem. Phys. 8, 591-602). They propagate them
through single particles; here the met cube is perturbed: all receptors of a member share its error.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError, DataError
from metroflux.grid import Grid
from metroflux.parallel import Mapper, serial
from metroflux.provenance import sha256_json
from metroflux.uncertainty import Random, Shared, attach
from transport.footprints import FootprintSettings, compute_footprints
from transport.jacobian import SurfaceOperator, build_jacobian
from transport.perturbation import EnsembleSettings, perturb

Floats = npt.NDArray[np.float64]

NAME = "transport ensemble"
"""Name of the error components; shared ones have the member's number, from 1, after it."""

SOURCE = "ensemble of wind and mixing-height errors"
"""What the shared components rest on."""


def modelled_ensemble(
    met: xr.Dataset, receptors: xr.Dataset, prior: xr.Dataset, settings: EnsembleSettings,
    footprint: FootprintSettings, mapper: Mapper = serial,
) -> xr.Dataset:  # fmt: skip
    """Return the mole fractions that the prior flux gives in each member, with and without met errors.

    The footprints lie on the prior's grid. Members differ in the seeds of their particles as well;
    the unperturbed run of a member has the same seeds, so that without met errors both are the same bits.

    Returns
    -------
    perturbed, unperturbed : (member, obs), mol mol-1; datum_id (obs)

    Raises
    ------
    DataError
        As `compute_footprints` and `build_jacobian` do, or if the flux intervals have gaps.
    """
    schema.check(receptors, "receptors")
    schema.check(prior, "prior")
    runs = []
    for member in range(settings.members):
        own = reseeded(receptors, settings.seed, member)
        cubes = (perturb(met, settings, member), met)
        runs.append([_enhancement(cube, own, prior, footprint, mapper) for cube in cubes])
    with_error, without = np.moveaxis(np.array(runs), 1, 0)
    return modelled_dataset(receptors.datum_id.values, with_error, without)


def modelled_dataset(
    datum_id: npt.NDArray[np.str_], with_error: Floats, without: Floats | None = None
) -> xr.Dataset:
    """Return the dataset of modelled data, each (member, obs), mol mol-1."""
    units, both = {"units": "mol mol-1"}, ("member", "obs")
    data = {"perturbed": (both, with_error, {"long_name": "modelled with met errors", **units})}
    if without is not None:
        data["unperturbed"] = (both, without, {"long_name": "modelled without met errors", **units})
    return xr.Dataset(data).assign_coords(datum_id=("obs", datum_id))


def transport_error(modelled: xr.Dataset) -> xr.Dataset:
    """Return the standard uncertainty that met errors give each modelled datum.

    The sample variance over members with met errors holds the Monte-Carlo variance of the particles too; that
    of the members without is subtracted. Where the difference is not positive the members cannot tell met
    errors from Monte-Carlo noise: sd is 0 there and `resolved` false, which more particles cure.

    Returns
    -------
    sd, monte_carlo_sd : (obs), mol mol-1; resolved : (obs)
    shift : (obs), mol mol-1, mean with met errors minus mean without: a bias that no sd covers
    """
    with_error, without = _members(modelled, "perturbed"), _members(modelled, "unperturbed")
    total, noise = with_error.var(axis=0, ddof=1), without.var(axis=0, ddof=1)
    resolved = total > noise
    sd = np.sqrt(np.where(resolved, total - noise, 0.0))
    shift = with_error.mean(axis=0) - without.mean(axis=0)
    units = {"units": "mol mol-1"}
    spread = {"long_name": "standard uncertainty from errors of wind and mixing height", **units}
    chance = {"long_name": "Monte-Carlo standard uncertainty of one modelled datum", **units}
    bias = {"long_name": "mean with met errors minus mean without", **units}
    return xr.Dataset({
        "sd": ("obs", sd, spread),
        "monte_carlo_sd": ("obs", np.sqrt(noise), chance),
        "resolved": ("obs", resolved, {"long_name": "met errors exceed the Monte-Carlo noise"}),
        "shift": ("obs", shift, bias),
    }).assign_coords(datum_id=("obs", modelled.datum_id.values))  # fmt: skip


def shared_columns(modelled: xr.Dataset) -> Floats:
    """Return U (obs, member), mol mol-1, with U U' the sample covariance over the members with met errors.

    U = deviations / sqrt(members - 1): one bad wind makes all data of its hours wrong together. The rank is
    members - 1; the diagonal holds the Monte-Carlo variance, which a modelled datum has as well.
    """
    values = _members(modelled, "perturbed")
    return (values - values.mean(axis=0)).T / np.sqrt(values.shape[0] - 1.0)


def with_transport_error(
    observations: xr.Dataset, modelled: xr.Dataset, structure: Literal["random", "shared"]
) -> xr.Dataset:
    """Return the observations with the transport error among their error components.

    structure : "random" adds each datum's sd as if independent; "shared" the columns of `shared_columns`

    Raises
    ------
    ConfigError
        If the structure is unknown.
    DataError
        If the modelled data are not those observations in that order, or have the component already.
    """
    if structure not in ("random", "shared"):
        raise ConfigError(f"transport error: structure '{structure}'; expected 'random' or 'shared'")
    schema.check(observations, "observations")
    if not np.array_equal(observations.datum_id.values, modelled.datum_id.values):
        raise DataError("transport error: 'datum_id' differs; expected one modelled datum per observation")
    if structure == "random":
        return attach(observations, [Random(NAME, transport_error(modelled).sd.values)], [])
    columns = shared_columns(modelled).T
    parts = [Shared(f"{NAME} {k}", "transport", column, SOURCE) for k, column in enumerate(columns, 1)]
    return attach(observations, [], parts)


def _members(modelled: xr.Dataset, name: str) -> Floats:
    """Return the modelled data of all members, (member, obs); refuse too few or not finite ones."""
    values = modelled[name].transpose("member", "obs").values
    if values.shape[0] < 2 or not np.all(np.isfinite(values)):
        bad = int(np.sum(~np.isfinite(values)))
        raise DataError(
            f"transport error: '{name}' has {values.shape[0]} members and {bad} values that are not finite; "
            "expected at least 2 members, all finite"
        )
    return values


def reseeded(receptors: xr.Dataset, seed: int, member: int) -> xr.Dataset:
    """Return the receptors with particles of their own for a member."""
    seeds = [int(sha256_json([seed, member, int(s)])[:15], 16) for s in receptors.seed.values]
    return receptors.assign(seed=("receptor", np.array(seeds, dtype=np.int64)))


def _enhancement(
    met: xr.Dataset, receptors: xr.Dataset, prior: xr.Dataset, footprint: FootprintSettings, mapper: Mapper
) -> Floats:
    """Return the mole fraction that the prior flux adds to each datum, mol mol-1, shape (obs,)."""
    feet = compute_footprints(met, receptors, Grid.from_dataset(prior), footprint, mapper)
    return enhancement(feet, prior)


def enhancement(footprints: xr.Dataset, prior: xr.Dataset, drop_early: bool = False) -> Floats:
    """Return the mole fraction that the prior flux adds to each datum, mol mol-1, shape (obs,).

    Raises
    ------
    DataError
        If the flux intervals have gaps, or do not hold a footprint that may not be dropped.
    """
    bounds = prior.flux_time_bounds.values
    if np.any(bounds[1:, 0] != bounds[:-1, 1]):
        raise DataError("prior: 'flux_time_bounds' have gaps; expected intervals that follow each other")
    jacobian = build_jacobian(footprints, np.append(bounds[:, 0], bounds[-1, 1]), drop_early)
    return SurfaceOperator.of(jacobian).forward(prior.flux.values)
