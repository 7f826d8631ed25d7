"""Plants onto the grid."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metroflux import schema
from metroflux.errors import ConfigError, DataError
from metroflux.grid import Grid
from priors.errors import with_sd
from priors.point_sources import Layer, PointMapping, read_elevated_sources, read_point_sources

GRID = Grid("EPSG:32632", 600_000.0, 5_250_000.0, 2_000.0, 2_000.0, 10, 8)
EDGES = np.array(["2022-01-01", "2022-01-02", "2022-01-03"], dtype="datetime64[ns]")
MAPPING = PointMapping("co2", "t yr-1")


def plants(x: list[float], y: list[float]) -> pd.DataFrame:
    lon, lat = GRID.to_lonlat(x, y)
    n = len(x)
    return pd.DataFrame(
        {"name": [f"P{i}" for i in range(n)], "lat": lat, "lon": lon, "emission": 1e6, "sector": "power"}
    )


def test_the_mass_inside_is_conserved_and_the_rest_listed(tmp_path: Path) -> None:
    table = plants(
        [601_000.0, 601_500.0, 615_000.0, 580_000.0], [5_251_000.0, 5_251_900.0, 5_260_000.0, 5_251_000.0]
    )
    table.loc[2, "sector"] = "waste"
    table.to_csv(tmp_path / "p.csv", index=False)
    prior, listed = read_point_sources(tmp_path / "p.csv", MAPPING, GRID, EDGES)
    tonnes = (prior.flux * prior.cell_area).sum(("y", "x")) * 0.0440095 * 365.25 * 86400 / 1e3
    np.testing.assert_allclose(tonnes, [[2e6, 2e6], [1e6, 1e6]], rtol=1e-12)
    assert (prior.flux[0, 0].values > 0).sum() == 1  # two plants in one cell
    assert prior.flux[0, 0, 0, 0] > 0
    assert list(listed["name"][~listed["inside"]]) == ["P3"]
    assert listed["row"].iloc[3] == -1
    schema.check(with_sd(prior, 0.1), "prior")


def test_a_sector_wholly_outside_stays_as_zero(tmp_path: Path) -> None:
    table = plants([601_000.0, 580_000.0], [5_251_000.0, 5_251_000.0])
    table.loc[1, "sector"] = "waste"
    table.to_csv(tmp_path / "p.csv", index=False)
    prior, _ = read_point_sources(tmp_path / "p.csv", MAPPING, GRID, EDGES)
    assert list(prior.sector.values) == ["power", "waste"]
    assert not prior.flux[1].any()


def test_faults_of_the_table_are_named_all_at_once(tmp_path: Path) -> None:
    table = plants([601_000.0] * 3, [5_251_000.0] * 3)
    table["height"] = [10, -5, 100]
    table.loc[0, "lat"] = 480_261_000
    table.loc[1, "emission"] = np.nan
    path = tmp_path / "p.csv"
    table.to_csv(path, index=False)
    with pytest.raises(DataError) as raised:
        read_point_sources(path, replace(MAPPING, stack_height="height"), GRID, EDGES)
    for part in (
        "p.csv",
        "'lat' of 1 plants",
        "P0 (4.80261e+08)",
        "'emission' of 1 plants",
        "P1 (nan)",
        "'height' of 1",
    ):
        assert part in str(raised.value)
    with pytest.raises(DataError, match="no column CO2, stack; the file has: name, lat"):
        read_point_sources(path, replace(MAPPING, emission="CO2", stack_height="stack"), GRID, EDGES)
    table.assign(lat=47.4, emission=1.0).to_csv(path, index=False)
    with pytest.raises(DataError, match="unit 'tons' is not a mass rate"):
        read_point_sources(path, replace(MAPPING, units="tons"), GRID, EDGES)


def test_a_table_without_any_plant_inside_is_refused(tmp_path: Path) -> None:
    plants([580_000.0], [5_251_000.0]).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match=r"p\.csv: none of 1 plants is inside"):
        read_point_sources(tmp_path / "p.csv", MAPPING, GRID, EDGES)


@pytest.mark.realdata
def test_german_plants_with_a_broken_latitude_are_refused_and_the_rest_conserved(tmp_path: Path) -> None:
    """Capacity stands in for emission: 0.9 t CO2 per MWh at full load, the file has no emissions."""
    if "METROFLUX_DATA" not in os.environ:
        pytest.skip("METROFLUX_DATA is not set")
    path = Path(os.environ["METROFLUX_DATA"]) / "priors" / "power" / "opsd_power_plants_germany.csv"
    mapping = PointMapping("co2", "t h-1", emission="rate", sector="fuel")
    table = pd.read_csv(path).dropna(subset="capacity")
    table = table.assign(rate=0.9 * table["capacity"])
    table.to_csv(tmp_path / "all.csv", index=False)
    grid = Grid("EPSG:32632", 250_000.0, 5_230_000.0, 10_000.0, 10_000.0, 67, 90)
    with pytest.raises(
        DataError, match=r"'lat' of 1 plants is no number from -90 to 90: .* \(4.80261e\+08\)"
    ):
        read_point_sources(tmp_path / "all.csv", mapping, grid, EDGES)
    good = table[table["lat"].between(-90, 90)]
    good.to_csv(tmp_path / "good.csv", index=False)
    prior, listed = read_point_sources(tmp_path / "good.csv", mapping, grid, EDGES)
    inside = float(good["rate"].to_numpy()[listed["inside"].to_numpy()].sum())
    total = float((prior.flux[:, 0] * prior.cell_area).sum()) * 0.0440095 * 3600 / 1e3
    assert total == pytest.approx(inside, rel=1e-9)
    assert listed["inside"].mean() > 0.9


def test_elevated_plants_keep_their_rate_and_get_the_layer_around_their_height(tmp_path: Path) -> None:
    table = plants([601_000.0, 601_500.0, 580_000.0], [5_251_000.0, 5_251_900.0, 5_251_000.0])
    table["height"] = [180.0, 10.0, 50.0]
    table.to_csv(tmp_path / "p.csv", index=False)
    mapping = replace(MAPPING, stack_height="height")
    sources = read_elevated_sources(tmp_path / "p.csv", mapping, GRID, Layer(60.0, 0.2))
    assert list(sources.source.values) == ["P0", "P1"]
    assert sources.attrs["left_out"] == ["P2"]
    np.testing.assert_allclose(sources.x, [601_000.0, 601_500.0], atol=1e-3)
    np.testing.assert_array_equal(sources.bottom, [150.0, 0.0])  # no layer below the ground
    np.testing.assert_array_equal(sources.top, [210.0, 60.0])
    np.testing.assert_allclose(sources.emission * 0.0440095 * 365.25 * 86400 / 1e3, 1e6, rtol=1e-12)
    np.testing.assert_allclose(sources.emission_sd, 0.2 * sources.emission)


def test_elevated_plants_need_heights_and_names_of_their_own(tmp_path: Path) -> None:
    table = plants([601_000.0, 601_500.0], [5_251_000.0, 5_251_900.0])
    table["height"], table["name"] = 100.0, "Moorburg"
    table.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match="no stack_height in the mapping"):
        read_elevated_sources(tmp_path / "p.csv", MAPPING, GRID, Layer(60.0, 0.2))
    mapping = replace(MAPPING, stack_height="height")
    with pytest.raises(DataError, match="several plants are named Moorburg"):
        read_elevated_sources(tmp_path / "p.csv", mapping, GRID, Layer(60.0, 0.2))
    with pytest.raises(ConfigError, match="expected depth > 0"):
        Layer(0.0, 0.2)
