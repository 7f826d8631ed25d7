"""Met cubes with errors of wind and mixing height, correlated in time and space, time by time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError
from transport.met import check_axes, map_scale
from transport.meteorology.balance import continuity

Floats = npt.NDArray[np.float64]

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


def draw(axes: tuple[Floats, ...], lengths: tuple[float, ...], key: list[int]) -> Iterator[Floats]:
    """Yield a Gaussian field of mean 0 and sd 1 slice by slice of its first axis, shape of the other axes.

    Its correlation is exp(-sum_k |d_k| / length_k) on ascending axes. White noise is taken through the
    Cholesky factor of each axis. That of an exponential correlation is a recursion,
    f_i = a f_(i-1) + sqrt(1 - a^2) e_i with a = exp(-d/length), for any spacing: exact, not periodic, without
    a matrix product whose last bit depends on the processor.

    axes, lengths : one of each per dimension, in the same unit; key : of the random numbers
    """
    numbers = np.random.default_rng(key)
    factors = [_factors(axis, length) for axis, length in zip(axes, lengths, strict=True)]
    kept = np.zeros([axis.size for axis in axes[1:]])
    for i in range(axes[0].size):
        white = numbers.standard_normal(kept.shape)
        kept = white if i == 0 else factors[0][0][i - 1] * kept + factors[0][1][i - 1] * white
        field = kept.copy()
        for n, (keep, renew) in enumerate(factors[1:]):
            along = np.moveaxis(field, n, 0)
            for k in range(keep.size):
                along[k + 1] = keep[k] * along[k] + renew[k] * along[k + 1]
        yield field


def _factors(axis: Floats, length: float) -> tuple[Floats, Floats]:
    """Return the shares of the value before and of new noise at each step of an axis."""
    step = np.diff(axis) / length
    return np.exp(-step), np.sqrt(-np.expm1(-2.0 * step))


def perturb(met: xr.Dataset, settings: EnsembleSettings, member: int) -> xr.Dataset:
    """Return the met cube of one member in memory; see `perturbed_hours`."""
    hours = list(perturbed_hours(met, settings, member))
    return xr.concat(hours, "time", data_vars="minimal", coords="minimal", compat="override", join="exact",
                     combine_attrs="override")  # fmt: skip


def perturbed_hours(met: xr.Dataset, settings: EnsembleSettings, member: int) -> Iterator[xr.Dataset]:
    """Yield the met cube of one member time by time: u, v, w and mixing height changed, all else as it was.

    Mass: w is rebalanced. To w is added what `continuity` needs for the added u and v, from the ground up, so
    that the cube's mass residual is the one it had, to rounding. Friction velocity and stability stay: the
    error is of wind and mixing height alone. A field of zero sd keeps its bits.

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
    wind, height = settings.wind, settings.mixing_height
    z, y, x = (met[n].values.astype(np.float64) for n in ("level", "y", "x"))
    cube, plane = (_seconds(met), z, y, x), (_seconds(met), y, x)
    along = (wind.duration, wind.depth, wind.length, wind.length)
    east, north = (draw(cube, along, _key(settings, member, n)) for n in ("u", "v"))
    flat = (height.duration, height.length, height.length)
    deep = draw(plane, flat, _key(settings, member, "mixing_height"))
    scale = map_scale(met)
    for i in range(met.sizes["time"]):
        now = schema.check(met.isel(time=[i]).compute(scheduler="synchronous"), "met")
        changed: dict[str, Floats] = {}
        if wind.sd > 0:
            changed |= _wind(now, wind.sd * next(east), wind.sd * next(north), scale)
        if height.relative_sd > 0:
            changed["mixing_height"] = _mixing_height(now, height.relative_sd, next(deep))
        fields = {name: now[name].copy(data=v.astype(np.float32)) for name, v in changed.items()}
        yield schema.check(now.assign(fields), "met")


def _wind(now: xr.Dataset, u: Floats, v: Floats, scale: Floats) -> dict[str, Floats]:
    """Return u and v (m s-1) of one time with errors u and v added, and the w that balances them."""
    z, y, x = (now[n].values.astype(np.float64) for n in ("level", "y", "x"))
    added = {"u": u, "v": v, "rho": now.rho.values[0].astype(np.float64)}
    added["w"] = continuity(added, z, x, y, scale)
    return {name: now[name].values + added[name] for name in ("u", "v", "w")}


def _mixing_height(now: xr.Dataset, relative_sd: float, normal: Floats) -> Floats:
    """Return the mixing height (m) of one time, times a factor of mean 1."""
    variance = np.log1p(relative_sd**2)
    return now.mixing_height.values * np.exp(np.sqrt(variance) * normal - 0.5 * variance)


def _seconds(met: xr.Dataset) -> Floats:
    return (met.time.values - met.time.values[0]) / np.timedelta64(1, "s")


def _key(settings: EnsembleSettings, member: int, field: str) -> list[int]:
    return [settings.seed, member, _FIELDS.index(field)]


def _check_numbers(what: str, spreads: dict[str, float], scales: dict[str, float]) -> None:
    """Refuse an sd that is negative or not finite and a scale that is not positive; all are named."""
    faults = [f"{n} = {v}, expected finite and >= 0" for n, v in spreads.items() if not 0 <= v < np.inf]
    faults += [f"{n} = {v}, expected > 0" for n, v in scales.items() if not v > 0]
    if faults:
        raise ConfigError(f"{what} error: " + "; ".join(faults))
