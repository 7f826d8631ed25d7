"""Transport error: met cubes with errors of wind and mixing height, and what they do to modelled data.

Wind errors correlated in time and space come from Lin & Gerbig (2005, doi 10.1029/2004GL021127), errors of
the mixing height from Gerbig, Koerner & Lin (2008, Atmos. Chem. Phys. 8, 591-602). They propagate them
through single particles; here the met cube is perturbed: all receptors of a member share its error.
"""

from dataclasses import dataclass
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
from transport.met import check_axes, map_scale
from transport.meteorology.balance import continuity

Floats = npt.NDArray[np.float64]

NAME = "transport-ensemble"
"""Name of the error components; shared ones have the member's number after it."""

_FIELDS = ("u", "v", "mixing_height")


@dataclass(frozen=True)
class WindError:
    """Errors of u and v, independent of each other.

    sd : m s-1, of each component
    length, depth : m, horizontal (along x and along y) and vertical; duration : s. The distance at which the
        correlation falls to 1/e; infinite means the same error everywhere or always
    """

    sd: float
    length: float
    duration: float
    depth: float

    def __post_init__(self) -> None:
        _check_numbers(
            "wind", {"sd": self.sd}, {n: getattr(self, n) for n in ("length", "duration", "depth")}
        )


@dataclass(frozen=True)
class MixingHeightError:
    """A lognormal factor on the mixing height with mean 1.

    relative_sd : sd of the factor; length : m, duration : s, as in WindError, of the factor's logarithm
    """

    relative_sd: float
    length: float
    duration: float

    def __post_init__(self) -> None:
        scales = {"length": self.length, "duration": self.duration}
        _check_numbers("mixing height", {"relative_sd": self.relative_sd}, scales)


@dataclass(frozen=True)
class EnsembleSettings:
    """An ensemble of met cubes.

    members : how many; the relative standard error of an sd from them is about 1 / sqrt(2 (members - 1))
    seed : of all random numbers; member m is the same in an ensemble of any size
    """

    wind: WindError
    mixing_height: MixingHeightError
    members: int
    seed: int

    def __post_init__(self) -> None:
        if self.members < 2 or self.seed < 0:
            raise ConfigError(
                f"transport error: members = {self.members}, seed = {self.seed}; "
                "expected at least 2 members and a seed >= 0"
            )


def draw(axes: tuple[Floats, ...], lengths: tuple[float, ...], key: list[int]) -> Floats:
    """Return a Gaussian field of mean 0 and sd 1 on ascending axes, correlation exp(-sum_k |d_k| / length_k).

    White noise is taken through the Cholesky factor of each axis. That of an exponential correlation is a
    recursion, f_i = a f_(i-1) + sqrt(1 - a^2) e_i with a = exp(-d/length), for any spacing: exact, not
    periodic, without a matrix product whose last bit depends on the processor.

    axes, lengths : one of each per dimension, in the same unit; key : of the random numbers
    """
    field = np.random.default_rng(key).standard_normal([axis.size for axis in axes])
    for n, (axis, length) in enumerate(zip(axes, lengths, strict=True)):
        along = np.moveaxis(field, n, 0)
        step = np.diff(axis) / length
        keep, renew = np.exp(-step), np.sqrt(-np.expm1(-2.0 * step))
        for i in range(step.size):
            along[i + 1] = keep[i] * along[i] + renew[i] * along[i + 1]
    return field


def perturb(met: xr.Dataset, settings: EnsembleSettings, member: int) -> xr.Dataset:
    """Return the met cube of one member: u, v, w and mixing height changed, all else as it was.

    Mass: w is rebalanced. To w is added what `continuity` needs for the added u and v, from the ground up, so
    that the cube's mass residual is the one it had, to rounding. Friction velocity and stability stay: the
    error is of wind and mixing height alone. A field of zero sd keeps its bits. The cube is read into memory.

    Raises
    ------
    ConfigError
        If the ensemble has no such member.
    DataError
        If the axes or a field cannot be used.
    """
    check_axes(met)
    if not 0 <= member < settings.members:
        raise ConfigError(f"transport error: member {member}; expected 0 to {settings.members - 1}")
    met = schema.check(met.compute(), "met")
    changed: dict[str, Floats] = {}
    if settings.wind.sd > 0:
        changed |= _wind(met, settings, member)
    if settings.mixing_height.relative_sd > 0:
        changed["mixing_height"] = _mixing_height(met, settings, member)
    fields = {name: met[name].copy(data=v.astype(np.float32)) for name, v in changed.items()}
    return schema.check(met.assign(fields), "met")


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
        own = _reseeded(receptors, settings.seed, member)
        cubes = (perturb(met, settings, member), met)
        runs.append([_enhancement(cube, own, prior, footprint, mapper) for cube in cubes])
    with_error, without = np.moveaxis(np.array(runs), 1, 0)
    units = {"units": "mol mol-1"}
    return xr.Dataset({
        "perturbed": (("member", "obs"), with_error, {"long_name": "modelled with met errors", **units}),
        "unperturbed": (("member", "obs"), without, {"long_name": "modelled without met errors", **units}),
    }).assign_coords(datum_id=("obs", receptors.datum_id.values))  # fmt: skip


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
    return attach(observations, [], [Shared(f"{NAME}-{k}", "transport", c) for k, c in enumerate(columns)])


def _check_numbers(what: str, spreads: dict[str, float], scales: dict[str, float]) -> None:
    """Refuse an sd that is negative or not finite and a scale that is not positive; all are named."""
    faults = [f"{n} = {v}, expected finite and >= 0" for n, v in spreads.items() if not 0 <= v < np.inf]
    faults += [f"{n} = {v}, expected > 0" for n, v in scales.items() if not v > 0]
    if faults:
        raise ConfigError(f"{what} error: " + "; ".join(faults))


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


def _seconds(met: xr.Dataset) -> Floats:
    return (met.time.values - met.time.values[0]) / np.timedelta64(1, "s")


def _key(settings: EnsembleSettings, member: int, field: str) -> list[int]:
    return [settings.seed, member, _FIELDS.index(field)]


def _wind(met: xr.Dataset, settings: EnsembleSettings, member: int) -> dict[str, Floats]:
    """Return u and v (m s-1) with errors, and the w that balances them."""
    wind, (z, y, x) = settings.wind, (met[n].values.astype(np.float64) for n in ("level", "y", "x"))
    axes, lengths = (_seconds(met), z, y, x), (wind.duration, wind.depth, wind.length, wind.length)
    added = {n: wind.sd * draw(axes, lengths, _key(settings, member, n)) for n in ("u", "v")}
    scale, added["w"] = map_scale(met), np.empty(met.w.shape)
    for i in range(met.sizes["time"]):
        now = {"u": added["u"][i], "v": added["v"][i], "rho": met.rho.values[i].astype(np.float64)}
        added["w"][i] = continuity(now, z, x, y, scale)
    return {name: met[name].values + values for name, values in added.items()}


def _mixing_height(met: xr.Dataset, settings: EnsembleSettings, member: int) -> Floats:
    """Return the mixing height (m) times a factor of mean 1."""
    error, (y, x) = settings.mixing_height, (met[n].values.astype(np.float64) for n in ("y", "x"))
    axes, lengths = (_seconds(met), y, x), (error.duration, error.length, error.length)
    variance = np.log1p(error.relative_sd**2)
    normal = draw(axes, lengths, _key(settings, member, "mixing_height"))
    return met.mixing_height.values * np.exp(np.sqrt(variance) * normal - 0.5 * variance)


def _reseeded(receptors: xr.Dataset, seed: int, member: int) -> xr.Dataset:
    """Return the receptors with particles of their own for a member."""
    seeds = [int(sha256_json([seed, member, int(s)])[:15], 16) for s in receptors.seed.values]
    return receptors.assign(seed=("receptor", np.array(seeds, dtype=np.int64)))


def _enhancement(
    met: xr.Dataset, receptors: xr.Dataset, prior: xr.Dataset, footprint: FootprintSettings, mapper: Mapper
) -> Floats:
    """Return the mole fraction that the prior flux adds to each datum, mol mol-1, shape (obs,)."""
    bounds = prior.flux_time_bounds.values
    if np.any(bounds[1:, 0] != bounds[:-1, 1]):
        raise DataError("prior: 'flux_time_bounds' have gaps; expected intervals that follow each other")
    feet = compute_footprints(met, receptors, Grid.from_dataset(prior), footprint, mapper)
    jacobian = build_jacobian(feet, np.append(bounds[:, 0], bounds[-1, 1]))
    return SurfaceOperator.of(jacobian).forward(prior.flux.values)
