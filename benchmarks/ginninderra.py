"""Release 1 of Ginninderra (2015), methane at 5.8 g/min: python -m benchmarks.ginninderra DATA [IMAGE].

DATA is the folder with release_1.csv (Geoscience Australia, doi 10.26186/5cb7f14abd710). Backward particles from
each point sensor give the concentration per rate of the source. The rules, written before scoring:

- Point sensors. A time counts if u* >= 0.15 m/s and |L| >= 10 m (Flesch et al. 2005, who drop the rest for any
  model of the surface layer). "On" is a stated rate within 0.05 of 5.8 g/min, "off" is 0; ramps and other rates
  do not count.
- The file gives neither u* nor the height of its wind: u* follows from the wind, L and z0 = 0.03 m (open grass,
  Wieringa 1992) with the wind at 2.3 m, the height of the sonic anemometer of EC.A, nearest the source. Mixing
  height: 1000 m if unstable, 0.4 sqrt(u* L / f) if stable. Source at 0.3 m (Cartwright et al. 2019).
- A sensor is downwind within 45 degrees of the plume's axis and upwind beyond 90. Each has a constant offset,
  fitted to upwind sensors only (on or off), beside one background for each time. The enhancement of a downwind
  sensor is what it shows above the mean of the upwind ones at that time, offsets removed.
- Error model of the regression through the origin: variance in proportion to the prediction, so the best rate is
  sum of enhancements over sum of predictions: a plume beside its predicted place, but in the sector, is counted.
  Errors of one day are taken as wholly dependent: days are drawn anew, offsets included, 4000 times.
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


def estimate(rows: pd.DataFrame, on: bool) -> tuple[float, float, float]:
    """Return the rate (g/min) and the ends of its 95 % interval, days drawn anew."""
    days = sums(rows, on)
    count, rng = days.predicted.size, np.random.default_rng(SEED)
    drawn = [rate(days, rng.integers(0, count, count)) for _ in range(DRAWS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return rate(days, np.arange(count)), float(low), float(high)


def with_enhancements(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the predicted rows with their enhancement over upwind sensors, ppm."""
    found = dict(
        zip(
            sorted(rows.inst_name.unique()), offsets(Sums(*(p.sum(0) for p in sums(rows, True)))), strict=True
        )
    )
    plain = rows.assign(plain=rows.Concentration - rows.inst_name.map(found))
    below = plain[plain.angle > UPWIND].groupby("Time").plain.mean()
    seen = plain[plain.predicted.notna()]
    return seen.assign(enhancement=seen.plain - seen.Time.map(below))


def run(folder: Path, site: Site) -> pd.DataFrame:
    """Return the rows of the release with predictions."""
    return with_predictions(read(folder / "release_1.csv", site), site)


if __name__ == "__main__":
    found = run(Path(sys.argv[1]), Site())
    print(len(found), found.predicted.notna().sum())
