"""A weather model's columns to fixed heights above ground: what every met reader shares."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metroflux.constants import CP_DRY, GRAVITY, R_DRY, VON_KARMAN
from metroflux.errors import DataError
from transport.meteorology.boundary import psi_momentum

Floats = npt.NDArray[np.float64]

KAPPA = R_DRY / CP_DRY
VIRTUAL = 0.608
"""R_vapour/R_dry - 1: virtual temperature is t (1 + VIRTUAL q)."""
EVAPORATION = 2.5e6
"""Latent heat of evaporation at 0 degrees C, J kg-1 (Stull 1988)."""

UNITS = {
    "u": "m s-1", "v": "m s-1", "w": "m s-1", "rho": "kg m-3", "t": "K", "q": "kg kg-1", "p": "Pa",
    "mixing_height": "m", "ustar": "m s-1", "inverse_obukhov": "m-1", "z0": "m",
    "sensible_heat_flux": "W m-2",
}  # fmt: skip
"""The time-dependent fields of a met cube and their units."""


@dataclass(frozen=True)
class ModelState:
    """One model time; the first seven (level, y, x) from the ground up, the rest (y, x).

    u, v : wind along the grid's x and y, m s-1
    w : velocity through surfaces of constant height above ground, m s-1
    t, q, p : K, kg kg-1 (specific humidity), Pa
    height : of each level above ground, m
    ustar, z0, mixing_height : m s-1, m, m
    sensible_heat_flux, latent_heat_flux : W m-2, positive upward
    """

    u: Floats
    v: Floats
    w: Floats
    t: Floats
    q: Floats
    p: Floats
    height: Floats
    ustar: Floats
    z0: Floats
    mixing_height: Floats
    sensible_heat_flux: Floats
    latent_heat_flux: Floats


def at_heights(state: ModelState, heights: Floats, where: str) -> dict[str, Floats]:
    """Return the fields of the met cube, named as `UNITS`: (level, y, x) and (y, x).

    Between model levels all are linear in height, pressure in its logarithm; wind between the two lowest in
    the shape of the surface-layer profile through both. Below the lowest: wind by that profile, w linear to
    zero at the ground, potential temperature and humidity constant, pressure hydrostatic.

    Raises
    ------
    DataError
        If u* is not positive or a height is above the model's highest level.
    """
    highest = float(state.height[-1].min())
    if heights[-1] > highest:
        raise DataError(f"{where}: level {heights[-1]:g} m is above the highest model level, {highest:g} m")
    if not np.all(state.ustar > 0):
        raise DataError(
            f"{where}: friction velocity is {state.ustar.min():g} m s-1 somewhere, expected > 0 "
            "(the first output of a run often has none: leave it out)"
        )
    inverse_obukhov = obukhov_inverse(state)
    layers = [_layer(state, float(z), inverse_obukhov) for z in heights]
    fields = {name: np.stack([layer[name] for layer in layers]) for name in layers[0]}
    return fields | {
        "mixing_height": state.mixing_height,
        "ustar": state.ustar,
        "inverse_obukhov": inverse_obukhov,
        "z0": state.z0,
        "sensible_heat_flux": state.sensible_heat_flux,
    }


def obukhov_inverse(state: ModelState) -> Floats:
    """Return 1/L = -k g (w' theta_v') / (theta_v u*^3), m-1, from the heat fluxes (Stull 1988, eq. 5.7c)."""
    virtual = state.t[0] * (1.0 + VIRTUAL * state.q[0])
    density = state.p[0] / (R_DRY * virtual)
    kinematic = state.sensible_heat_flux / (density * CP_DRY)
    moist = VIRTUAL * state.t[0] * state.latent_heat_flux / (density * EVAPORATION)
    return -VON_KARMAN * GRAVITY * (kinematic + moist) / (virtual * state.ustar**3)


def _layer(state: ModelState, z: float, inverse_obukhov: Floats) -> dict[str, Floats]:
    """Return all volume fields at one height, (y, x)."""
    lower = np.clip(np.sum(state.height <= z, axis=0) - 1, 0, state.height.shape[0] - 2)[None]
    bottom, top = (np.take_along_axis(state.height, lower + k, axis=0)[0] for k in (0, 1))
    up = np.maximum((z - bottom) / (top - bottom), 0.0)

    def between(values: Floats) -> Floats:
        low, high = (np.take_along_axis(values, lower + k, axis=0)[0] for k in (0, 1))
        return (1.0 - up) * low + up * high

    w, t, q = (between(a) for a in (state.w, state.t, state.q))
    p = np.exp(between(np.log(state.p)))
    shape = _profile_share(state, z, inverse_obukhov)
    up = np.where((lower[0] == 0) & (z >= state.height[0]), shape, up)
    u, v = between(state.u), between(state.v)
    under = z < state.height[0]
    if under.any():
        first = state.height[0][under]
        ratio = _wind_ratio(z, first, state.z0[under], inverse_obukhov[under])
        u[under], v[under] = u[under] * ratio, v[under] * ratio
        w[under] *= z / first
        virtual = t[under] * (1.0 + VIRTUAL * q[under])
        rise = np.exp(GRAVITY * (first - z) / (R_DRY * virtual))
        p[under], t[under] = p[under] * rise, t[under] * rise**KAPPA
    rho = p / (R_DRY * t * (1.0 + VIRTUAL * q))
    return {"u": u, "v": v, "w": w, "rho": rho, "t": t, "q": q, "p": p}


def _profile_share(state: ModelState, z: float, inverse_obukhov: Floats) -> Floats:
    """Return the weight of the second model level in the wind at z by the surface-layer profile, (y, x)."""

    def profile_at(height: Floats) -> Floats:
        return np.log(height) - psi_momentum(height * inverse_obukhov)

    low, high = profile_at(state.height[0]), profile_at(state.height[1])
    return (profile_at(np.full_like(low, z)) - low) / (high - low)


def _wind_ratio(z: float, known: Floats, z0: Floats, inverse_obukhov: Floats) -> Floats:
    """Return the wind at z over that at the height `known` in the surface layer; 0 at and below z0."""
    above = np.maximum(z, z0)
    ground = psi_momentum(z0 * inverse_obukhov)
    here = np.log(above / z0) - psi_momentum(above * inverse_obukhov) + ground
    return np.divide(here, np.log(known / z0) - psi_momentum(known * inverse_obukhov) + ground)
