"""Backward particles against Prairie Grass (1956): python -m benchmarks.prairie_grass DATA [IMAGE] [--hanna].

DATA is the folder with runs.csv and arcs.csv; IMAGE the file for the plot. Nothing is fitted to a run.
--hanna takes the turbulence of Hanna (1982) in place of the default.

The rule for arcs, written before scoring: an arc counts unless the plume leaves it, that is unless the larger
of its two end samples exceeds a tenth of the largest sample. Scores are shown for all arcs and for those.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from pyproj import CRS

from metroflux.constants import M_AIR, VON_KARMAN
from transport.kernels.field import stability
from transport.kernels.state import Rules, Target
from transport.particles import Flight, MetTimes, fly, make_particles

LEVELS = (2.0, 4.0, 7.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0, 200.0, 500.0, 1000.0, 3000.0)
Z0, CORIOLIS = 0.006, 9.85e-5  # m; s-1 at O'Neill, Nebraska
ARCS = (50.0, 100.0, 200.0, 400.0, 800.0)
SAMPLER, RELEASE = 1.5, 0.46  # m above ground
CELL, REACH = 2.5, 1000.0  # m
AIR = 1.2  # kg m-3; it cancels
PARTICLES, SECONDS = 1000, 2160
EDGE = 0.1


def run_met(ustar: float, length: float, mixing_height: float) -> xr.Dataset:
    """Return the similarity profile of a run; where not measured, h = 0.4 sqrt(u* L / f) (Zilitinkevich)."""
    h = mixing_height if mixing_height > 0 else 0.4 * np.sqrt(ustar * length / CORIOLIS)
    z, x = np.array(LEVELS), np.linspace(-5e3, 5e3, 3)
    wind = np.array([
        np.log(v / Z0) - stability(v / length) + stability(Z0 / length) for v in np.minimum(z, max(h, 10.0))
    ])  # fmt: skip
    volume = {"u": wind * ustar / VON_KARMAN, "v": 0 * z, "w": 0 * z, "rho": AIR + 0 * z, "q": 0 * z}
    flat = {"mixing_height": h, "ustar": ustar, "inverse_obukhov": 1.0 / length, "z0": Z0}
    ones = np.ones((2, z.size, 3, 3))
    data = {n: (("time", "level", "y", "x"), ones * v[:, None, None]) for n, v in volume.items()}
    data |= {n: (("time", "y", "x"), ones[:, 0] * v) for n, v in flat.items()}
    hours = np.datetime64("1956-07-03T00", "ns") + np.arange(2) * np.timedelta64(1, "h")
    crs = CRS("+proj=tmerc +lat_0=42.5 +lon_0=-98.6 +ellps=WGS84 +units=m")
    coords = {"time": hours, "level": z, "y": x, "x": x, "spatial_ref": ((), 0, crs.to_cf())}
    return xr.Dataset(data, coords=coords)


def predicted(met: xr.Dataset, by_hanna: int = 0) -> NDArray[np.float64]:
    """Return the crosswind-integrated concentration per release rate (s m-2) at each arc's distance."""
    n, times = PARTICLES, MetTimes(met)
    zero, end = np.zeros(n, np.int64), int(times.time[-1])
    place = np.tile([0.0, 0.0, SAMPLER], (n, 1))
    p = make_particles(place, np.full(n, M_AIR / n), zero, zero + 1234567, np.arange(n))
    p.floor[:] = 2 * RELEASE  # the thinnest layer is centred on the release height
    corner, cell = np.array([-REACH, -1e6]), np.array([CELL, 2e6])
    target = Target(np.zeros((1, 1, 1, int(REACH / CELL))), np.zeros(1), np.zeros(1, np.int64), corner, cell)
    flight = Flight(p, zero + end, zero + end - SECONDS * 10**9, zero, np.array([end]))
    fly(flight, times, target, Rules(0.1, 0.1, 0.0, 0, by_hanna))
    along = target.foot[0, 0, 0] / CELL * AIR / M_AIR
    upwind = REACH - CELL * (np.arange(along.size) + 0.5)
    return np.array([along[np.abs(upwind - arc) < max(0.05 * arc, CELL)].mean() for arc in ARCS])


def observed(samples: pd.DataFrame, wind_direction: float, rate: float) -> tuple[float, bool]:
    """Return the arc integral of concentration per release rate (s m-2), and whether the arc holds it."""
    samples = samples[samples.concentration_mg_m3 >= 0]  # -9 stands for no sample
    angle = (samples.azimuth_deg.to_numpy() - wind_direction) % 360.0 - 180.0
    order = np.argsort(angle)
    across = np.radians(angle[order]) * samples.arc_distance_m.iloc[0]
    c = samples.concentration_mg_m3.to_numpy()[order]
    whole = bool(max(c[0], c[-1]) <= EDGE * c.max())
    return float(np.trapezoid(c, across)) * 1e-3 / rate, whole


def compare(folder: Path, by_hanna: int = 0) -> pd.DataFrame:
    """Return one row per run and arc: run, arc (m), length (L, m), whole, seen and modelled (s m-2)."""
    runs, arcs = pd.read_csv(folder / "runs.csv"), pd.read_csv(folder / "arcs.csv")
    rows = []
    for run in runs.itertuples():
        met = run_met(run.friction_velocity_m_s, run.obukhov_length_m, run.mixing_height_m)
        modelled = predicted(met, by_hanna)
        for arc, value in zip(ARCS, modelled, strict=True):
            samples = arcs[(arcs.run == run.run) & (arcs.arc_distance_m == arc)]
            seen, whole = observed(samples, run.wind_direction_deg, run.release_rate_g_s)
            rows.append((run.run, arc, run.obukhov_length_m, whole, seen, value))
    return pd.DataFrame(rows, columns=["run", "arc", "length", "whole", "seen", "modelled"])


def score(pairs: pd.DataFrame) -> dict[str, float]:
    """Return number, FAC2, FB (positive: too low) and NMSE of pairs (Chang & Hanna 2004)."""
    seen, modelled = pairs.seen.to_numpy(), pairs.modelled.to_numpy()
    ratio = modelled / seen
    return {
        "arcs": len(pairs),
        "FAC2": float(np.mean((ratio >= 0.5) & (ratio <= 2.0))),
        "FB": float(2 * (seen.mean() - modelled.mean()) / (seen.mean() + modelled.mean())),
        "NMSE": float(np.mean((seen - modelled) ** 2) / (seen.mean() * modelled.mean())),
    }


def groups(pairs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the parts of the pairs that have a row of the table each."""
    whole, length = pairs[pairs.whole], pairs.length
    parts = {"all arcs": pairs, "arcs that hold the plume": whole}
    parts |= {f"{arc:.0f} m": pairs[pairs.arc == arc] for arc in ARCS}
    parts["unstable, -L < 30 m"] = pairs[(length < 0) & (length > -30)]
    parts["nearly neutral, L beyond 30 m"] = pairs[length.abs() >= 30]
    parts["stable, L < 30 m"] = pairs[(length > 0) & (length < 30)]
    return parts


def table(pairs: pd.DataFrame) -> str:
    """Return the scores as a Markdown table."""
    lines = ["| part | arcs | FAC2 | FB | NMSE |", "|---|---|---|---|---|"]
    for name, part in groups(pairs).items():
        if len(part):
            s = score(part)
            lines.append(f"| {name} | {s['arcs']} | {s['FAC2']:.2f} | {s['FB']:+.2f} | {s['NMSE']:.2f} |")
    return "\n".join(lines)


def draw(pairs: pd.DataFrame, path: Path) -> None:
    """Draw modelled against observed, the colour by distance, the shape by stability."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
    colours = dict(zip(ARCS, plt.get_cmap("viridis")(np.linspace(0, 0.9, len(ARCS))), strict=True))
    for arc in ARCS:
        for shape, sign in (("o", -1), ("s", 1)):
            part = pairs[(pairs.arc == arc) & (np.sign(pairs.length) == sign)]
            kind = f"{arc:.0f} m" if sign < 0 else None
            axes.scatter(part.seen, part.modelled, marker=shape, s=26, color=colours[arc], label=kind)
    shown = pairs[["seen", "modelled"]].to_numpy()
    ends = np.array([shown[shown > 0].min() / 1.5, shown.max() * 1.5])  # a zero lies below the plot
    for factor, style in ((1.0, "-"), (0.5, ":"), (2.0, ":")):
        axes.plot(ends, factor * ends, style, color="0.4", linewidth=1)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends,
             xlabel="observed, s m$^{-2}$", ylabel="modelled, s m$^{-2}$",
             title="Prairie Grass: crosswind-integrated concentration per release rate")  # fmt: skip
    axes.legend(title="distance (circle: unstable, square: stable)", fontsize="small", title_fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    paths = [Path(word) for word in sys.argv[1:] if word != "--hanna"]
    result = compare(paths[0], int("--hanna" in sys.argv))
    print(table(result))
    if len(paths) > 1:
        draw(result, paths[1])
