"""From what a met file holds to a `ModelState`: heights, levels above ground, vertical velocity."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from metroflux.constants import CP_DRY, GRAVITY, R_DRY, VON_KARMAN
from metroflux.errors import DataError
from transport.meteorology import boundary
from transport.meteorology.interpolate import KAPPA, VIRTUAL
from transport.meteorology.modelstate import ModelState, at_heights, obukhov_inverse

Floats = npt.NDArray[np.float64]

_P0 = 1e5  # Pa, reference of potential temperature
_SURFACE_WIND = 10.0  # m, height of a file's surface wind
_SURFACE_AIR = 2.0  # m, height of a file's surface temperature
_ROWS = 16  # of columns taken together
_SPACING = 1.0  # m, a level closer to the surface wind's height is left out


@dataclass(frozen=True)
class RawState:
    """One time of a met file on its own levels, in SI; the first seven (level, y, x) from the ground up.

    u, v : along the grid's x and y, m s-1; w : through surfaces of constant height above ground, m s-1
    t, q, p, height : K, kg kg-1 (specific), Pa, m above ground
    z0 : m, (y, x), as all below; None where the file has none
    ustar, mixing_height : m s-1, m
    sensible, latent : heat fluxes, W m-2, positive upward
    u10, v10, t2, q2 : wind at 10 m, temperature and specific humidity at 2 m
    methods : how a field was made, by name of the met cube
    """

    u: Floats
    v: Floats
    w: Floats
    t: Floats
    q: Floats
    p: Floats
    height: Floats
    z0: Floats
    ustar: Floats | None = None
    mixing_height: Floats | None = None
    sensible: Floats | None = None
    latent: Floats | None = None
    u10: Floats | None = None
    v10: Floats | None = None
    t2: Floats | None = None
    q2: Floats | None = None
    methods: dict[str, str] = field(default_factory=dict)

    def rows(self, first: int, last: int) -> "RawState":
        """Return the part of the rows first to last (y), not included."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        part: dict[str, Any] = {
            n: a[..., first:last, :] for n, a in values.items() if isinstance(a, np.ndarray)
        }
        return replace(self, **part)


def fields_at(raw: RawState, heights: Floats, where: str) -> tuple[dict[str, Floats], dict[str, str]]:
    """Return the fields of the met cube as `modelstate.at_heights`, and how each derived field was made.

    A few rows at a time: what is made on the way stays in memory that is at hand.
    """
    made: dict[str, Floats] = {}
    for first in range(0, raw.z0.shape[0], _ROWS):
        state, methods = complete(raw.rows(first, first + _ROWS), where)
        for name, values in at_heights(state, heights, where).items():
            if name not in made:
                made[name] = np.empty((*values.shape[:-2], *raw.z0.shape))
            made[name][..., first : first + _ROWS, :] = values
    return made, methods


def complete(raw: RawState, where: str) -> tuple[ModelState, dict[str, str]]:
    """Return the state with everything that particles need, and how each derived field was made.

    Absent u* or heat flux come from the surface layer (`boundary.surface_layer`), between the temperatures at
    2 m and the lowest level; an absent mixing height from the bulk Richardson number. An absent latent heat
    flux leaves the buoyancy flux to the sensible one. Surface winds become the level at 10 m.

    Raises
    ------
    DataError
        If heights do not rise, or what a derivation needs is absent; `where` is named.
    """
    if not np.all(np.diff(raw.height, axis=0) > 0.0):
        raise DataError(f"{where}: heights do not rise from level to level; expected ordered levels")
    methods = dict(raw.methods)
    zero = np.zeros_like(raw.z0)
    ustar, sensible, latent = raw.ustar, raw.sensible, zero if raw.latent is None else raw.latent
    if ustar is None or sensible is None:
        bulk = _bulk(raw, where)
        try:
            ustar_2, heat, _ = boundary.surface_layer(bulk, raw.z0)
        except DataError as fault:
            raise DataError(f"{where}: {fault}") from None
        if ustar is None:
            ustar, methods["ustar"] = ustar_2, boundary.SURFACE_LAYER_METHOD
        if sensible is None:
            density = raw.p[0] / (R_DRY * raw.t[0] * (1.0 + VIRTUAL * raw.q[0]))
            sensible, latent = density * CP_DRY * heat, zero  # the virtual flux holds the moist part
            methods["sensible_heat_flux"] = boundary.SURFACE_LAYER_METHOD + "; virtual heat flux"
    elif raw.latent is None:
        methods["inverse_obukhov"] = "from u* and the sensible heat flux; the file has no latent heat flux"
    state = ModelState(
        u=raw.u, v=raw.v, w=raw.w, t=raw.t, q=raw.q, p=raw.p, height=raw.height, ustar=ustar, z0=raw.z0,
        mixing_height=zero, sensible_heat_flux=sensible, latent_heat_flux=latent,
    )  # fmt: skip
    state = _with_surface(state, raw)
    height = raw.mixing_height
    if height is None:
        height, methods["mixing_height"] = _mixing_height(state, where), boundary.MIXING_HEIGHT_METHOD
    return replace(state, mixing_height=height), methods


def _mixing_height(state: ModelState, where: str) -> Floats:
    theta = potential(state.t, state.p) * (1.0 + VIRTUAL * state.q)
    buoyancy = -obukhov_inverse(state) * theta[0] * state.ustar**3 / (VON_KARMAN * GRAVITY)
    try:
        return boundary.mixing_height(state.height, theta, state.u, state.v, state.ustar, buoyancy)
    except DataError as fault:
        raise DataError(f"{where}: {fault}") from None


def potential(t: Floats, p: Floats) -> Floats:
    """Return the potential temperature, K."""
    return t * (_P0 / p) ** KAPPA


def specific_humidity(dewpoint: Floats, p: Floats) -> Floats:
    """Return the specific humidity (kg kg-1) at pressure p (Pa) of a dew point (K) (Bolton 1980, eq. 10)."""
    celsius = dewpoint - 273.15
    vapour = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    return 0.622 * vapour / (p - 0.378 * vapour)


def _bulk(raw: RawState, where: str) -> boundary.Bulk:
    if raw.t2 is None:
        raise DataError(
            f"{where}: neither friction velocity with heat flux nor a temperature at 2 m; expected either"
        )
    q2 = raw.q[0] if raw.q2 is None else raw.q2
    # hydrostatic from the lowest level: pressure at 2 m
    p2 = raw.p[0] * np.exp(GRAVITY * (raw.height[0] - _SURFACE_AIR) / (R_DRY * raw.t2 * (1.0 + VIRTUAL * q2)))
    if raw.u10 is None or raw.v10 is None:
        wind, wind_height = np.hypot(raw.u[0], raw.v[0]), raw.height[0]
    else:
        wind, wind_height = np.hypot(raw.u10, raw.v10), np.full_like(raw.z0, _SURFACE_WIND)
    return boundary.Bulk(
        wind=wind, wind_height=wind_height,
        low=potential(raw.t2, p2) * (1.0 + VIRTUAL * q2), low_height=np.full_like(raw.z0, _SURFACE_AIR),
        high=potential(raw.t[0], raw.p[0]) * (1.0 + VIRTUAL * raw.q[0]), high_height=raw.height[0],
    )  # fmt: skip


def _with_surface(state: ModelState, raw: RawState) -> ModelState:
    """Return the state with a level at 10 m added below, if the file has a surface wind.

    Its potential temperature follows the surface layer up from that at 2 m, and stays between that and the
    lowest level's. Only where the lowest level is above 10 m everywhere: `above_ground` cuts columns so.
    """
    z = state.height[0]
    if raw.u10 is None or raw.v10 is None or not np.all(z > _SURFACE_WIND + 0.5 * _SPACING):
        return state
    warm = R_DRY * state.t[0] * (1.0 + VIRTUAL * state.q[0])
    p, p2 = (state.p[0] * np.exp(GRAVITY * (z - height) / warm) for height in (_SURFACE_WIND, _SURFACE_AIR))
    theta = potential(state.t[0], state.p[0])
    if raw.t2 is not None:
        low = potential(raw.t2, p2)
        theta = np.clip(low + _surface_rise(state), np.minimum(low, theta), np.maximum(low, theta))
    surface = {
        "u": raw.u10, "v": raw.v10, "w": state.w[0] * _SURFACE_WIND / z,
        "t": theta * (p / _P0) ** KAPPA, "q": state.q[0], "p": p, "height": np.full_like(z, _SURFACE_WIND),
    }  # fmt: skip
    return replace(state, **{n: np.concatenate([new[None], getattr(state, n)]) for n, new in surface.items()})


def _surface_rise(state: ModelState) -> Floats:
    """Return the difference of potential temperature between 2 and 10 m by the surface-layer profile, K."""
    density = state.p[0] / (R_DRY * state.t[0] * (1.0 + VIRTUAL * state.q[0]))
    scale = -state.sensible_heat_flux / (density * CP_DRY * state.ustar)
    s = obukhov_inverse(state)
    profile = np.log(_SURFACE_WIND / _SURFACE_AIR)
    profile = profile - boundary.psi_heat(_SURFACE_WIND * s) + boundary.psi_heat(_SURFACE_AIR * s)
    return scale / VON_KARMAN * profile


def hypsometric(p: Floats, t: Floats, q: Floats, ground: Floats) -> Floats:
    """Return the height above ground (m) of each level; negative where a level lies in the ground.

    p : Pa, (level, y, x), falling; t, q : K, kg kg-1, the same; ground : Pa, surface pressure (y, x)

    Layers have the mean virtual temperature of their two levels, the lowest that of its upper one
    (hypsometric equation, Wallace & Hobbs 2006, sec. 3.2).
    """
    warm = t * (1.0 + VIRTUAL * q)
    height = R_DRY / GRAVITY * warm * np.log(ground / p)  # of buried levels and the first above the ground
    for k in range(1, p.shape[0]):
        rise = R_DRY / GRAVITY * 0.5 * (warm[k] + warm[k - 1]) * np.log(p[k - 1] / p[k])
        height[k] = np.where(p[k - 1] < ground, height[k - 1] + rise, height[k])
    return height


def above_ground(levels: dict[str, Floats], lowest: float, where: str) -> dict[str, Floats]:
    """Return the columns from their first level above `lowest` (m above ground) on.

    A column that loses more levels than another is filled up at its top with copies of its highest level a
    metre apart, so that all have as many levels and the top of the lowest column still bounds the met cube.

    levels : fields (level, y, x) by name, one of them "height"
    """
    height = levels["height"]
    lost = np.sum(height <= lowest, axis=0)
    size = height.shape[0]
    if lost.max() > size - 2:
        raise DataError(f"{where}: fewer than two levels above ground in some columns")
    if lost.max() == lost.min():
        return {name: values[int(lost.min()) :] for name, values in levels.items()}
    wanted = np.arange(size - int(lost.min()))[:, None, None] + lost[None]
    beyond = np.maximum(wanted - (size - 1), 0)
    source = np.minimum(wanted, size - 1)
    cut = {name: np.take_along_axis(values, source, axis=0) for name, values in levels.items()}
    cut["height"] = cut["height"] + beyond
    return cut


def vertical_velocity(
    omega: Floats,
    levels: dict[str, Floats],
    slopes: tuple[Floats, Floats],
    pressure_slopes: tuple[Floats, Floats],
) -> Floats:
    """Return the velocity (m s-1) through surfaces of constant height above ground from omega (Pa s-1).

    By the chain rule for z(x, y, p, t): w = v . (grad z + grad p/(rho g)) - omega/(rho g), omega = dp/dt, the
    gradients of height above ground and pressure along the model's levels, per metre on the ground. The
    levels' own change with time is left out.
    """
    rho = levels["p"] / (R_DRY * levels["t"] * (1.0 + VIRTUAL * levels["q"]))
    weight = rho * GRAVITY
    along_x = slopes[0] + pressure_slopes[0] / weight
    along_y = slopes[1] + pressure_slopes[1] / weight
    return levels["u"] * along_x + levels["v"] * along_y - omega / weight
