"""Release 1 of Ginninderra (2015), methane at 5.8 g/min: python -m benchmarks.ginninderra DATA [IMAGE].

DATA is the folder with release_1.csv (Geoscience Australia, doi 10.26186/5cb7f14abd710). Backward particles
from each point sensor give the concentration per rate of the source. The rules, written before scoring:

- Point sensors. A time counts if u* >= 0.15 m/s and |L| >= 10 m (Flesch et al. 2005, who drop the rest for
  any model of the surface layer). "On": stated rate within 0.05 of 5.8 g/min; "off": 0; no others count.
- The file gives neither u* nor the height of its wind: u* follows from the wind, L and z0 = 0.03 m (open
  grass, Wieringa 1992) with the wind at 2.3 m, the height of EC.A, nearest the source. Mixing height: 1000 m
  if unstable, 0.4 sqrt(u* L / f) if stable. Source at 0.3 m (Cartwright et al. 2019).
- A sensor is downwind within 45 degrees of the plume's axis and upwind beyond 90. Each has a constant offset,
  fitted to upwind sensors only (on or off), beside one background for each time. The enhancement of a
  downwind sensor is what it shows above the mean of the upwind ones at that time, offsets removed.
- Error model of the regression through the origin: variance in proportion to the prediction, so the best rate
  is the sum of enhancements over the sum of predictions: a plume beside its predicted place, but in the
  sector, is counted. Errors of one day are taken as wholly dependent: days are drawn anew, offsets included,
  4000 times.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from pyproj import CRS

from metroflux.constants import GAS_CONSTANT, M_AIR, VON_KARMAN
from transport.kernels.field import stability
from transport.kernels.state import Rules, Target
from transport.particles import Flight, MetTimes, fly, make_particles

Floats = NDArray[np.float64]

LEVELS = (2.0, 4.0, 7.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0, 200.0, 500.0, 1000.0, 3000.0)
RATE, NEAR_RATE = 5.8, 0.05  # g/min
CORIOLIS, CONVECTIVE = 8.4e-5, 1000.0  # s-1 at Canberra; m
SOURCE, CELL, HALF = 0.3, 3.0, 250.0  # m: height, cell about the source, half of the domain
M_METHANE = 0.0160425  # kg mol-1
PARTICLES, SECONDS = 1000, 600
MIN_USTAR, MIN_LENGTH = 0.15, 10.0
SECTOR, UPWIND = 45.0, 90.0  # degrees
DRAWS, SEED = 4000, 20150521


@dataclass(frozen=True)
class Site:
    """What the file does not say: roughness length and height of the wind, m."""

    z0: float = 0.03
    wind_height: float = 2.3


def friction_velocity(wind: float, length: float, site: Site) -> float:
    """Return u* (m s-1) of a wind in the surface layer."""
    z, z0 = site.wind_height, site.z0
    shape = np.log(z / z0) - stability(z / length) + stability(z0 / length)
    return VON_KARMAN * wind / float(shape)


def read(path: Path, site: Site) -> pd.DataFrame:
    """Return the rows that count, with ustar, along and across (m from the source, in the wind) and angle."""
    rows = pd.read_csv(path, na_values="NA")
    rows = rows[rows.x2.isna()].copy()
    pairs = zip(rows.wind_speed, rows.L, strict=True)
    rows["ustar"] = [friction_velocity(u, length, site) for u, length in pairs]
    rows["on"] = (rows.release_rate - RATE).abs() <= NEAR_RATE
    rows = rows[(rows.ustar >= MIN_USTAR) & (rows.L.abs() >= MIN_LENGTH)]
    rows = rows[rows.on | (rows.release_rate == 0.0)].copy()
    toward = np.radians(rows.wind_dir + 180.0)
    east, north = rows.x1 - rows.source_x, rows.y1 - rows.source_y
    rows["along"] = east * np.sin(toward) + north * np.cos(toward)
    rows["across"] = east * np.cos(toward) - north * np.sin(toward)
    rows["angle"] = np.degrees(np.arctan2(rows.across, rows.along)).abs()
    rows["day"] = rows.Time.str[:10]
    return rows.reset_index(drop=True)


def weather(row: NamedTuple, site: Site) -> xr.Dataset:
    """Return the similarity profile at the time of a row, wind along x, the same everywhere for an hour."""
    length, ustar = float(row.L), float(row.ustar)  # type: ignore[attr-defined]
    h = CONVECTIVE if length < 0 else 0.4 * np.sqrt(ustar * length / CORIOLIS)
    z, x = np.array(LEVELS), np.linspace(-HALF, HALF, 3)
    below = np.minimum(z, max(h, 10.0))
    wind = [np.log(v / site.z0) - stability(v / length) + stability(site.z0 / length) for v in below]
    rho = row.air_pressure * M_AIR / (GAS_CONSTANT * row.air_temp)  # type: ignore[attr-defined]
    along = np.array(wind) * ustar / VON_KARMAN
    volume = {"u": along, "v": 0 * z, "w": 0 * z, "rho": rho + 0 * z, "q": 0 * z}
    flat = {"mixing_height": h, "ustar": ustar, "inverse_obukhov": 1.0 / length, "z0": site.z0}
    ones = np.ones((2, z.size, 3, 3))
    data = {n: (("time", "level", "y", "x"), ones * v[:, None, None]) for n, v in volume.items()}
    data |= {n: (("time", "y", "x"), ones[:, 0] * v) for n, v in flat.items()}
    hours = np.datetime64("2015-05-21T00", "ns") + np.arange(2) * np.timedelta64(1, "h")
    crs = CRS("+proj=tmerc +lat_0=-35.2 +lon_0=149.1 +ellps=WGS84 +units=m")
    coords = {"time": hours, "level": z, "y": x, "x": x, "spatial_ref": ((), 0, crs.to_cf())}
    return xr.Dataset(data, coords=coords)


def predicted(met: xr.Dataset, place: Floats, seed: int) -> Floats:
    """Return ppm per g/min at sensors at `place` (sensor, 3): along, across, height in m; source at 0, 0."""
    n, times = len(place), MetTimes(met)
    receptor = np.repeat(np.arange(n, dtype=np.int64), PARTICLES)
    each = np.zeros(receptor.size, np.int64)
    number = np.arange(receptor.size, dtype=np.int64)
    weight = np.full(receptor.size, M_AIR / PARTICLES)
    p = make_particles(np.repeat(place, PARTICLES, axis=0), weight, receptor, each + seed, number)
    p.floor[:] = 2 * SOURCE  # the thinnest layer is centred on the source
    corner = np.full(2, -CELL / 2)
    target = Target(np.zeros((n, 1, 1, 1)), np.zeros(n), np.zeros(n, np.int64), corner, np.full(2, CELL))
    end = int(times.time[-1])
    flight = Flight(p, each + end, each + end - SECONDS * 10**9, receptor, np.full(n, end))
    fly(flight, times, target, Rules(0.1, 0.1, 0.0, 0))
    flux = 1.0 / (60.0 * 1e3 * M_METHANE) / CELL**2  # mol m-2 s-1 of 1 g/min over the cell
    return target.foot[:, 0, 0, 0] * flux * 1e6


def with_predictions(rows: pd.DataFrame, site: Site) -> pd.DataFrame:
    """Return the rows with `predicted`, ppm per g/min, of downwind sensors at times with an upwind one."""
    rows = rows.assign(predicted=np.nan)
    for k, (_, now) in enumerate(rows.groupby("Time", sort=True)):
        seen = now[now.angle <= SECTOR]
        if seen.empty or not (now.angle > UPWIND).any():
            continue
        met = weather(next(now.itertuples()), site)
        places = seen[["along", "across", "z"]].to_numpy(np.float64)
        rows.loc[seen.index, "predicted"] = predicted(met, places, SEED + k)
    return rows


class Sums(NamedTuple):
    """What the estimate needs of each day, so that days can be drawn anew.

    normal, right : of the offsets, (day, sensor, sensor) and (day, sensor)
    level, slope : sums of enhancements are level - slope @ offsets, (day,) and (day, sensor)
    predicted : ppm per g/min, (day,)
    """

    normal: Floats
    right: Floats
    level: Floats
    slope: Floats
    predicted: Floats


def sums(rows: pd.DataFrame, on: bool) -> Sums:
    """Return the daily sums of the times when the source was on, or off; offsets come from all times."""
    names, days = sorted(rows.inst_name.unique()), sorted(rows.day.unique())
    s = len(names)
    out = Sums(*(np.zeros((len(days), *shape)) for shape in ((s, s), (s,), (), (s,), ())))
    for (day, _), now in rows.groupby(["day", "Time"]):
        d, upwind = days.index(day), now[now.angle > UPWIND]
        if upwind.empty:
            continue
        at = np.eye(s)[[names.index(n) for n in upwind.inst_name]]
        mean, y = at.mean(axis=0), upwind.Concentration.to_numpy()
        out.normal[d] += (at - mean).T @ (at - mean)
        out.right[d] += (at - mean).T @ (y - y.mean())
        seen = now[now.predicted.notna() & (now.on == on)]
        for row in seen.itertuples():
            out.level[d] += row.Concentration - y.mean()
            out.slope[d] += np.eye(s)[names.index(row.inst_name)] - mean
            out.predicted[d] += row.predicted
    return out


def offsets(total: Sums) -> Floats:
    """Return the offset of each sensor (ppm), their sum zero; `total` is summed over days."""
    return np.asarray(np.linalg.lstsq(total.normal, total.right, rcond=1e-9)[0])


def rate(days: Sums, drawn: NDArray[np.int64]) -> float:
    """Return the rate (g/min) from the days drawn, repetitions counted."""
    total = Sums(*(part[drawn].sum(axis=0) for part in days))
    return float((total.level - total.slope @ offsets(total)) / total.predicted)


class Estimate(NamedTuple):
    """Rates (g/min), each as best value, low and high end of its 95 % interval.

    on, off : while the source was on, and the same computed while it was off
    contrast : on - off
    """

    on: tuple[float, float, float]
    off: tuple[float, float, float]
    contrast: tuple[float, float, float]


def estimate(rows: pd.DataFrame) -> Estimate:
    """Return the rates and their intervals, days drawn anew."""
    parts = [sums(rows, on) for on in (True, False)]
    count, rng = rows.day.nunique(), np.random.default_rng(SEED)
    draws = [np.arange(count), *(rng.integers(0, count, count) for _ in range(DRAWS))]
    on, off = (np.array([rate(days, drawn) for drawn in draws]) for days in parts)
    return Estimate(*(_interval(rates) for rates in (on, off, on - off)))


def _interval(rates: Floats) -> tuple[float, float, float]:
    low, high = np.percentile(rates[1:], [2.5, 97.5])
    return float(rates[0]), float(low), float(high)


def with_enhancements(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the predicted rows with their enhancement over upwind sensors, ppm."""
    fitted = offsets(Sums(*(part.sum(axis=0) for part in sums(rows, True))))
    own = dict(zip(sorted(rows.inst_name.unique()), fitted, strict=True))
    plain = rows.assign(plain=rows.Concentration - rows.inst_name.map(own))
    below = plain[plain.angle > UPWIND].groupby("Time").plain.mean()
    seen = plain[plain.predicted.notna()]
    return seen.assign(enhancement=seen.plain - seen.Time.map(below))


def run(folder: Path, site: Site) -> pd.DataFrame:
    """Return the rows of the release with predictions."""
    return with_predictions(read(folder / "release_1.csv", site), site)


def sites() -> dict[str, Site]:
    """Return the assumptions about the site: the one of the rules, then others for comparison."""
    return {
        "as in the rules: z0 0.03 m, wind at 2.3 m": Site(),
        "z0 0.01 m": Site(z0=0.01),
        "z0 0.06 m": Site(z0=0.06),
        "wind at 4.7 m": Site(wind_height=4.7),
        "wind at 10 m": Site(wind_height=10.0),
    }


def rate_line(name: str, found: Estimate) -> str:
    """Return a row of the table of rates."""
    cells = [f"{best:.1f} ({low:.1f} to {high:.1f})" for best, low, high in found]
    return "| " + " | ".join([name, *cells]) + " |"


def sensor_table(seen: pd.DataFrame) -> str:
    """Return mean enhancements (ppm) of each sensor while it was downwind as a Markdown table."""
    lines = [
        "| sensor | rows on | measured, ppm | 5.8 g/min predicts | rows off | measured, ppm |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in seen.groupby("inst_name"):
        on, off = rows[rows.on], rows[~rows.on]
        still = f"{off.enhancement.mean():+.3f}" if len(off) else ""
        shown = (
            len(on),
            f"{on.enhancement.mean():+.3f}",
            f"{RATE * on.predicted.mean():.3f}",
            len(off),
            still,
        )
        lines.append("| " + " | ".join(map(str, (name, *shown))) + " |")
    return "\n".join(lines)


def draw(seen: pd.DataFrame, found: Estimate, path: Path) -> None:
    """Draw mean enhancements against predictions in ten classes of equal size, on and off."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.8), layout="constrained")
    for on, colour, word in ((True, "#b2182b", "source on"), (False, "#2166ac", "source off")):
        rows = seen[seen.on == on]
        classes = pd.qcut(rows.predicted.rank(method="first"), 10, labels=False)
        mean = rows.groupby(classes)[["predicted", "enhancement"]].mean()
        spread = rows.groupby(classes).enhancement.sem()
        axes.errorbar(mean.predicted * RATE, mean.enhancement, 2 * spread, fmt="o", color=colour, label=word)
    end = np.array([0.0, float(axes.get_xlim()[1])])
    axes.plot(end, end, "-", color="0.4", label=f"{RATE} g/min")
    axes.fill_between(end, end * found.on[1] / RATE, end * found.on[2] / RATE, color="#b2182b", alpha=0.15,
                      label=f"estimate {found.on[0]:.1f} g/min, 95 %")  # fmt: skip
    axes.axhline(0.0, color="0.7", linewidth=0.8)
    axes.set(xlabel="predicted for 5.8 g/min, ppm", ylabel="measured above upwind sensors, ppm",
             title="Ginninderra release 1: methane at downwind sensors")  # fmt: skip
    axes.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main(folder: Path, image: Path | None) -> None:
    """Print the tables, and draw."""
    print("| assumption | rate, g/min (95 %) | same while off | on - off |\n|---|---|---|---|")
    results = {name: run(folder, site) for name, site in sites().items()}
    for name, rows in results.items():
        print(rate_line(name, estimate(rows)))
    first = next(iter(results.values()))
    seen = with_enhancements(first)
    print("\n" + sensor_table(seen))
    if image is not None:
        draw(seen, estimate(first), image)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
