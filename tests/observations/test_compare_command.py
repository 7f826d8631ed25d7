"""`metroflux observations compare`: the table and its refusals."""

import csv

import numpy as np
import pytest
from rich.console import Console

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import Random, Shared, attach
from observations.metrology.files import write_observations
from pipelines.compare_command import compare_sites
from pipelines.tracing import observations_of


@pytest.fixture
def two_towers(tmp_path, make_observations):
    """Return a file of two towers in one air, 0.3 ppm apart, on one tank, with 0.2 ppm of noise each hour."""
    bare = make_observations()
    site = bare.site.values
    n = site.size
    away = np.where(site == sorted(set(site))[0], 0.3e-6, 0.0)
    ds = bare.assign(mole_fraction=("obs", 4e-4 + away, {"units": "mol mol-1"}))
    tank = Shared("tank", "calibration", np.full(n, 0.5e-6), "certificate 1")
    path = tmp_path / "towers.nc"
    write_observations(attach(ds, [Random("noise", np.full(n, 0.2e-6))], [tank]), path)
    return path


def test_a_common_tank_drops_out_of_the_difference(two_towers, tmp_path):
    ds = observations_of(two_towers)
    first, second = sorted(set(ds.site.values.tolist()))[:2]
    n = int((ds.site == first).sum())
    compare_sites(two_towers, (first, second), tmp_path / "table.csv", Console(quiet=True))
    (row,) = csv.DictReader((tmp_path / "table.csv").read_text().splitlines())
    sd = np.sqrt(2) * 0.2 / np.sqrt(n)
    assert float(row["difference"]) == pytest.approx(0.3, rel=1e-6)
    assert float(row["sd"]) == pytest.approx(sd, rel=1e-9)
    assert float(row["zeta"]) == pytest.approx(0.3 / sd, rel=1e-6)


def test_unknown_sites_and_values_that_are_missing_are_named(two_towers):
    with pytest.raises(ConfigError, match=r"sites Nowhere; expected two or more of"):
        compare_sites(two_towers, ("Nowhere",), None, Console(quiet=True))
    ds = observations_of(two_towers)
    ds["mole_fraction"][0] = np.nan
    write_observations(ds, two_towers)
    with pytest.raises(DataError, match=r"1 of \d+ mole fractions are NaN"):
        compare_sites(two_towers, (), None, Console(quiet=True))
