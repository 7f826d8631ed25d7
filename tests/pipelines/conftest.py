"""A run without science: four stages on a tiny dataset, so that the machinery is tested by itself."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

CONFIG = """
run: {name: tiny, species: co2, start: 2024-03-04, end: 2024-03-05, flux_hours: 3, lead_hours: 24}
world: {seed: 1, truth_seed: 2, cells: 10, cell_size: 2000}
transport: {model: particles, particles: 20, hours: 6, seed: 3}
prior:
  errors:
    default: {relative: 0.5, floor: 0.1, length_km: 10, duration_h: 48}
background:
  kind: edge_field
  error: {random: 0.3, unit: ppm}
gate: {chi2_max: 100}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the path of a valid configuration."""
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


RESPONSES = """
run: {name: small, species: co2, start: 2011-01-01, end: 2011-05-01, flux_hours: month}
observations:
  sources:
    - {reader: table, file: towers.nc, unit: ppm, time: time, site: site, scale: none,
       sd: {within-hour: sd}, sites: {A: {latitude: -41, longitude: 174, inlet: 10},
                                      B: {latitude: -45, longitude: 170, inlet: 10}}}
  random: [{name: transport, sd: 2.0, unit: ppm, duration_h: 12}]
  shared: [{name: offset, cause: calibration, sd: 0.1, unit: ppm, by: [site]}]
transport: {model: response, file: towers.nc, response: response, inlet: {A: 10, B: 10}}
prior:
  inventory: {reader: regional, file: towers.nc, sector: land, emission: prior, emission_sd: prior_sd,
              area: region_area, area_units: m2, time: month}
  errors: {land: {stated: true, length_km: 0, duration_h: 1000}}
background:
  kind: constant
  value: 390
  error: {random: 0.3, unit: ppm}
  parameters: [{name: bg, by: [site], sd: 0.5, unit: ppm}]
products: {periods: [run, month], groups: {both: [north, south]}}
"""


def _towers() -> xr.Dataset:
    rng, n = np.random.default_rng(0), 80
    regions, months = ["north", "south", "sea"], np.arange("2011-01", "2011-05", dtype="datetime64[M]")
    time = np.datetime64("2011-01-10T01", "ns") + np.arange(n) * np.timedelta64(31, "h")
    response = rng.exponential(0.01, (n, 3, 4))
    response *= np.arange(4) <= time.astype("datetime64[M]").astype(int)[:, None, None] - months[0].astype(
        int
    )
    rate = {"units": "Tg CO2 yr-1"}
    return xr.Dataset(
        {
            "mole_fraction": ("obs", 391 + rng.normal(0, 2, n), {"units": "ppm"}),
            "sd": ("obs", rng.uniform(0.1, 0.4, n), {"units": "ppm"}),
            "site": ("obs", np.array(["A", "B"])[np.arange(n) % 2]),
            "time": ("obs", time),
            "response": (("obs", "region", "month"), response, {"units": "umol mol-1 (Tg CO2 yr-1)-1"}),
            "prior": (("region", "month"), rng.normal(0, 50, (3, 4)), rate),
            "prior_sd": (("region", "month"), rng.uniform(20, 60, (3, 4)), rate),
            "region_area": ("region", np.array([1e11, 1.5e11, 9e11]), {"units": "m2"}),
        },
        coords={"region": regions, "month": months.astype("datetime64[ns]")},
    )


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    """Return the path of a configuration of two towers, three regions and four months, with its data."""
    _towers().to_netcdf(tmp_path / "towers.nc")
    path = tmp_path / "small.yaml"
    path.write_text(RESPONSES, encoding="utf-8")
    return path
