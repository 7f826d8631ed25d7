"""Figures of the observations room against what they should be: python -m benchmarks.metrology [DATA].

DATA is the folder of real files; without it the lines that need one are left out, and say so.
"""

import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.stats import t

from metroflux.uncertainty import ErrorModel
from observations.dataset import GOOD
from observations.flux_lidar.plane import PlaneSettings
from observations.flux_lidar.rays import Rays
from observations.flux_lidar.simulator import Scene, simulate_fluxes
from observations.flux_lidar.wind import FitSettings, fit_wind
from observations.formats.series import Supplement
from observations.metrology.picarro import read_log
from observations.metrology.scales import EDGES, Scales
from observations.metrology.water import published
from observations.recognise import read

Line = tuple[str, str, str]
"""What, the figure, what it should be."""
BAO, ESP = ("ch4_bao_tower-insitu_1_ccgg_all.nc", "ch4_esp_surface-flask_2_representative.nc")
RGL = "ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4"


def scales() -> Iterator[Line]:
    """Yield the published conversions."""
    scale = Scales()
    x2019 = float(scale.convert(np.array([400e-6]), "WMO CO2 X2007", "WMO CO2 X2019")[0]) * 1e6
    yield "X2007 to X2019 at 400 ppm", f"{x2019:.3f} ppm", "400.174"
    sf6 = float(scale.convert(np.array([10e-12]), "WMO SF6 X2006", "SIO-05")[0]) * 1e12
    yield "SF6 X2006 to X2014 to SIO-05 at 10 ppt", f"{sf6:.5f} ppt", "10.05872"
    worst = 0.0
    for edge in EDGES:
        x = np.linspace(*edge.valid, 101) * {"ppm": 1e-6, "ppb": 1e-9, "ppt": 1e-12}[edge.unit]
        back = scale.convert(scale.convert(x, edge.source, edge.target), edge.target, edge.source)
        worst = max(worst, float(np.abs(back / x - 1).max()))
    yield f"round trips of {len(EDGES)} conversions, worst", f"{worst:.1e}", "1e-9"


def shared_errors() -> Iterator[Line]:
    """Yield what a year of four sites on two tanks costs and gives."""
    rng, n = np.random.default_rng(0), 35_040
    model = ErrorModel({"noise": rng.uniform(1, 2, n)}, rng.normal(size=(n, 4)), ("c",) * 4)
    rhs, began = rng.normal(size=(n, 50)), time.process_time()
    model.solve(rhs)
    yield "R^-1 on 50 vectors, n = 35,040, rank 4", f"{time.process_time() - began:.2f} CPU s", "under 2"
    share = np.linspace(0.4923 - 0.308, 0.4923 + 0.308, n)
    tanks = np.stack([(1 - share) * 0.07, share * 0.09], axis=1)
    model = ErrorModel({"repeatability": np.full(n, 0.03**2)}, tanks, ("calibration",) * 2)
    mean = np.full(n, 1 / n)
    u = np.sqrt(sum(model.budget(mean).values()))
    yield "mean of 35,040 data on two tanks", f"u = {u:.4f} ppm", "0.0568"
    yield "the same with a diagonal R", f"u = {np.sqrt(mean**2 @ model.variance):.5f} ppm", "0.00036"


def winds() -> Iterator[Line]:
    """Yield how often the wind of 2,000 gates of 12 noisy rays lies within its stated intervals."""
    rng, gates = np.random.default_rng(1), 2000
    azimuth, up = np.arange(0.0, 360.0, 30.0), np.radians(75.0)
    truth = np.array([4.0, -3.0, 0.2])
    around = np.radians(azimuth)
    design = np.stack(
        [np.sin(around) * np.cos(up), np.cos(around) * np.cos(up), np.full(12, np.sin(up))], axis=1
    )
    velocity = (design @ truth)[:, None] + 0.5 * rng.standard_normal((12, gates))
    blank, start = np.ones((12, gates)), np.datetime64("2024-06-01", "ns")
    seconds = np.arange(12) * np.timedelta64(5, "s")
    rays = Rays("synthetic", "VAD", start + seconds, azimuth, np.full(12, 75.0),
                np.broadcast_to(200.0 + 30.0 * np.arange(gates), (12, gates)), velocity, blank, blank,
                np.full((12, gates), np.nan), 30.0)  # fmt: skip
    found = fit_wind(rays, FitSettings(), "synthetic")
    for k, name in enumerate("uvw"):
        away = np.abs(found.wind[:, k] - truth[k]) / np.sqrt(found.covariance[:, k, k])
        inside = [100 * np.mean(away <= t.ppf(0.5 + p / 2, found.degrees_of_freedom)) for p in (0.683, 0.95)]
        yield (
            f"VAD, {name} within its 68.3 and 95 % intervals",
            f"{inside[0]:.1f}, {inside[1]:.1f} %",
            "68.3, 95",
        )


def planes() -> Iterator[Line]:
    """Yield how often the flux through a simulated plane lies within its 95 % interval."""
    scene = Scene(np.arange(300.0, 1201.0, 30.0), np.arange(0.25, 15.0, 0.5))
    stated = PlaneSettings(5.0, 0.06, 20.0, 4.0, scene.background, 8e-9, 0.03)
    for by_lidar in (True, False):
        settings = replace(stated, background_by_lidar=by_lidar)
        flux, terms = simulate_fluxes(scene, settings, 1000, np.random.default_rng(7))
        away = np.abs(flux - scene.emission)
        inside = 100 * np.mean(away <= 1.96 * np.sqrt(sum(term**2 for term in terms.values())))
        noise = 100 * np.mean(away <= 1.96 * terms["lidar-noise"])
        whose = "lidar" if by_lidar else "tower"
        yield (
            f"DIAL plane flux, background by {whose}",
            f"{inside:.1f} % (noise alone {noise:.1f})",
            "93 to 97",
        )


def files(data: Path) -> Iterator[Line]:
    """Yield what real files give."""
    root = data / "observations"
    raw = root / "picarro_raw" / "CFADS2283-20150831-171845Z-DataLog_User.dat"
    log = read_log(raw, "co2")
    error = np.median(np.abs(published("co2", 0, 0).dry(log.wet, log.water) - log.reported_dry)) * 1e6
    yield "Picarro CO2_dry from wet, median error", f"{error:.4f} ppm", "under 0.01"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        towers = [read(root / "obspack" / name, given=Supplement("ch4")) for name in (BAO, ESP)]
        rgl = read(root / "icos" / RGL, given=Supplement("ch4"))
    away = 0.0
    for name, ds, factor in zip((BAO, ESP), towers, (1e-9, 1.0), strict=True):  # ppb, mol mol-1
        with xr.open_dataset(root / "obspack" / name) as file:
            away = max(
                away,
                float(
                    np.nanmax(
                        np.abs(ds.mole_fraction.values / (file.value.values.astype(np.float64) * factor) - 1)
                    )
                ),
            )
    yield "ObsPack in ppb (BAO) and mol/mol (ESP), relative", f"{away:.1e}", "1e-9"
    used = int((rgl.flag.values == GOOD).sum())
    yield "ICOS RGL: rows used of all", f"{used} of {rgl.sizes['obs']}, {rgl.attrs['scale']}", "13 of 49"


def main() -> None:
    """Print the figures."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    lines = [*scales(), *shared_errors(), *winds(), *planes(), *(files(data) if data else ())]
    for what, figure, want in lines:
        print(f"{what:52s} {figure:28s} ({want})")
    if data is None:
        print("left out: no folder of real files given")


if __name__ == "__main__":
    main()
