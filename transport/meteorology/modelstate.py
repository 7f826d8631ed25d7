"""A weather model's columns to fixed heights above ground: what every met reader shares."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metroflux.constants import CP_DRY, GRAVITY, R_DRY, VON_KARMAN
from metroflux.errors import DataError
from transport.meteorology.interpolate import VIRTUAL, columns

Floats = npt.NDArray[np.float64]

EVAPORATION = 2.5e6
"""Latent heat of evaporation at 0 degrees C, J kg-1 (Stull 1988)."""

UNITS = {
    "u": "m s-1", "v": "m s-1", "w": "m s-1", "rho": "kg m-3", "t": "K", "q": "kg kg-1", "p": "Pa",
    "mixing_height": "m", "ustar": "m s-1", "inverse_obukhov": "m-1", "z0": "m",
    "sensible_heat_flux": "W m-2",
}  # fmt: skip
"""The time-dependent fields of a met cube and their units."""

_VOLUMES = ("u", "v", "w", "t", "q", "p", "rho")  # in the order of `interpolate.columns`


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
    shape, size = state.height.shape, state.ustar.size
    volumes = tuple(a.reshape(shape[0], size) for a in (state.u, state.v, state.w, state.t, state.q, state.p))
    out = np.empty((len(_VOLUMES), heights.size, size))
    flat = (state.height.reshape(shape[0], size), state.z0.ravel(), inverse_obukhov.ravel())
    columns(volumes, *flat, heights, out)
    fields = dict(zip(_VOLUMES, out.reshape(len(_VOLUMES), heights.size, *shape[1:]), strict=True))
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
