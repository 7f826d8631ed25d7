"""How well the winds of a met cube conserve mass."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import xarray as xr

from transport.met import map_scale

Floats = npt.NDArray[np.float64]

LIMIT = 1e-5
"""s-1: rms of the mass residual above which `mass_balance` says "poor": a well-mixed tracer then drifts by
4 % an hour. Vertical velocity by continuity leaves below 1e-6, that of hourly model output 3e-5 to 1e-4."""


def mass_balance(met: xr.Dataset) -> dict[str, object]:
    """Return how far the winds of a met cube are from conserving mass.

    The residual is (1/rho) [d rho/dt + div(rho u) + d(rho w)/dz] in coordinates that follow the terrain, in
    the layers between levels and away from the outermost points; zero for winds and density that a model
    itself marched, so what is left is due to the model's output interval and the interpolation.

    Returns
    -------
    residual, divergence : rms over all points of the residual and of the horizontal mass divergence, s-1
    ratio : the first over the second
    layers : rms residual of each layer between levels, s-1
    limit : s-1; verdict : "ok" or "poor" as the residual is below it or not
    """
    balance = Balance()
    for n in range(met.sizes["time"]):
        report = balance.add(met.isel(time=[n]).load())
    return report


@dataclass
class Balance:
    """The balance over met times given one after another."""

    _before: tuple[float, Floats] | None = None
    _scale: Floats | None = None
    _squares: list[Floats] = field(default_factory=list)
    _divergence: list[float] = field(default_factory=list)

    def add(self, hour: xr.Dataset) -> dict[str, object]:
        """Return the report of all times so far; the density's change needs two."""
        if self._scale is None:
            self._scale = map_scale(hour)
        rho, now = (
            hour.rho.values[0].astype(np.float64),
            hour.time.values[0].astype("datetime64[s]").astype(float),
        )
        across, upward = _fluxes(hour, self._scale)
        middle = 0.5 * (rho[1:] + rho[:-1])[:, 1:-1, 1:-1]
        change = np.zeros_like(middle)
        if self._before is not None:
            change = (middle - self._before[1]) / (now - self._before[0])
        self._before = (now, middle)
        residual = (change + across + upward) / middle
        self._squares.append(np.mean(residual**2, axis=(1, 2)))
        self._divergence.append(float(np.mean((across / middle) ** 2)))
        layers = np.sqrt(np.mean(self._squares, axis=0))
        total = float(np.sqrt(np.mean(self._squares)))
        divergence = float(np.sqrt(np.mean(self._divergence)))
        return {
            "residual": total,
            "divergence": divergence,
            "ratio": total / divergence if divergence > 0.0 else 0.0,
            "layers": [float(v) for v in layers],
            "limit": LIMIT,
            "verdict": "ok" if total < LIMIT else "poor",
        }


def _fluxes(hour: xr.Dataset, scale: Floats) -> tuple[Floats, Floats]:
    """Return the horizontal and vertical mass divergence, kg m-3 s-1, inner points only."""
    fields = {name: hour[name].values[0].astype(np.float64) for name in ("rho", "u", "v", "w")}
    x, y, z = (hour[name].values.astype(np.float64) for name in ("x", "y", "level"))
    level = _divergence(fields, x, y, scale)[:, 1:-1, 1:-1]
    flux = (fields["rho"] * fields["w"])[:, 1:-1, 1:-1]
    return 0.5 * (level[1:] + level[:-1]), np.diff(flux, axis=0) / np.diff(z)[:, None, None]


def _divergence(fields: dict[str, Floats], x: Floats, y: Floats, scale: Floats) -> Floats:
    """Return m^2 [d(rho u/m)/dx + d(rho v/m)/dy] on a conformal map of scale m, kg m-3 s-1, (level, y, x)."""
    east = np.gradient(fields["rho"] * fields["u"] / scale, x, axis=2)
    north = np.gradient(fields["rho"] * fields["v"] / scale, y, axis=1)
    return scale**2 * (east + north)


def continuity(fields: dict[str, Floats], z: Floats, x: Floats, y: Floats, scale: Floats) -> Floats:
    """Return the w (m s-1) that balances the divergence of u and v from the ground up, (level, y, x).

    d(rho w)/dz = -div(rho u), no flow through the ground, the divergence linear in height between levels
    and constant below the lowest; the density's change with time is left out (about 1e-6 s-1 of it).

    fields : u, v (m s-1), rho (kg m-3), (level, y, x); z, x, y : m; scale : of the map, (y, x)
    """
    level = _divergence(fields, x, y, scale)
    layer = np.concatenate([level[:1], 0.5 * (level[1:] + level[:-1])])
    flux = -np.cumsum(layer * np.diff(z, prepend=0.0)[:, None, None], axis=0)
    return np.divide(flux, fields["rho"])
