"""Regions: shares of cells, outlines, and named faults."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.regions import region_outlines, region_weights

GRID = Grid("EPSG:32632", 600_000.0, 5_250_000.0, 2_000.0, 2_000.0, 20, 16)


def feature(name: str | None, polygon: shapely.Geometry) -> dict[str, object]:
    properties = {} if name is None else {"name": name}
    return {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(polygon)}


def collection(**polygons: shapely.Geometry) -> dict[str, object]:
    return {"type": "FeatureCollection", "features": [feature(name, p) for name, p in polygons.items()]}


def lonlat(polygon: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(polygon, lambda p: np.stack(GRID.to_lonlat(p[:, 0], p[:, 1]), axis=1))


def test_districts_that_tile_the_grid_add_up_to_the_domain() -> None:
    """Ten sectors of a disc around the grid share every cell among them, wherever their sides run."""
    angle = np.linspace(0, 2 * np.pi, 11)
    rim = np.stack([10.6 + np.cos(angle), 47.6 + np.sin(angle)], axis=1)
    wedges = {f"w{i}": shapely.Polygon([(10.6, 47.6), rim[i], rim[i + 1]]) for i in range(10)}
    inside = {
        name: wedge
        for name, wedge in wedges.items()
        if wedge.intersects(lonlat(shapely.box(600e3, 5250e3, 640e3, 5282e3)))
    }
    regions = schema.check(region_weights(GRID, collection(**inside), "name"), "regions")
    assert regions.region.values[0] == "domain"
    assert (regions.weight[0] == 1).all()
    np.testing.assert_allclose(regions.weight[1:].sum("region"), 1.0, rtol=1e-9)


def test_shares_equal_those_of_exactextract() -> None:
    rng = np.random.default_rng(10)
    angle = np.sort(rng.random(40)) * 2 * np.pi
    radius = 4_000 + 8_000 * rng.random(40)
    star = shapely.Polygon(
        np.stack([619_000 + radius * np.cos(angle), 5_266_000 + radius * np.sin(angle)], axis=1)
    )
    weight = region_weights(
        GRID, collection(star=lonlat(shapely.segmentize(star, 100.0))), "name"
    ).weight.values[1]
    raster = NumPyRasterSource(np.ones(GRID.shape), GRID.west, GRID.south, GRID.x_edges[-1], GRID.y_edges[-1])
    found = exact_extract(raster, feature("star", star), ["cell_id", "coverage"])[0]["properties"]
    expected = np.zeros(GRID.shape)
    row, col = np.divmod(np.asarray(found["cell_id"]).astype(int), GRID.nx)
    expected[GRID.ny - 1 - row, col] = found["coverage"]
    np.testing.assert_allclose(weight, expected, atol=1e-6)
    assert weight.sum() * 4e6 == pytest.approx(star.area, rel=1e-7)


def test_long_sides_follow_the_parallel() -> None:
    """The side of a country along 47.5 N bends by kilometres in the projection."""
    polygon = shapely.box(0.0, 47.5, 20.0, 55.0)
    weight = region_weights(GRID, collection(north=polygon), "name").weight.values[1]
    _, lat = GRID.to_lonlat(*np.meshgrid(GRID.x, GRID.y))
    clear = np.abs(lat - 47.5) > 0.01
    np.testing.assert_allclose(weight[clear], (lat > 47.5)[clear])


def test_parts_of_one_name_are_one_region_and_holes_are_left_out() -> None:
    ring = shapely.Polygon(
        shapely.box(602e3, 5252e3, 612e3, 5262e3).exterior,
        [shapely.box(604e3, 5254e3, 606e3, 5256e3).exterior],
    )
    part = shapely.box(620e3, 5252e3, 624e3, 5254e3)
    source = {
        "type": "FeatureCollection",
        "features": [feature("city", lonlat(ring)), feature("city", lonlat(part))],
    }
    weight = region_weights(GRID, source, "name").weight.values
    assert weight.shape[0] == 2
    assert weight[1].sum() * 4e6 == pytest.approx(ring.area + part.area, rel=1e-6)
    assert weight[1, 2, 2] == pytest.approx(0, abs=1e-3)
    rings = region_outlines(GRID, source, "name", 50.0)["city"]
    assert sorted(len(r) for r in rings) == [5, 5, 5]
    assert max(shapely.Polygon(r).area for r in rings) == pytest.approx(100e6, rel=1e-3)


def test_bad_regions_are_named_all_at_once() -> None:
    bow = shapely.Polygon([(10.4, 47.5), (10.6, 47.7), (10.6, 47.5), (10.4, 47.7)])
    source = {
        "type": "FeatureCollection",
        "features": [
            feature("bow", bow),
            feature(None, shapely.box(10.4, 47.5, 10.5, 47.6)),
            feature("line", shapely.LineString([(10, 47), (11, 48)])),
            feature("metres", shapely.box(601e3, 5251e3, 603e3, 5253e3)),
            feature("domain", shapely.box(10.4, 47.5, 10.5, 47.6)),
            {"type": "Feature", "properties": {"name": "bare"}, "geometry": None},
        ],
    }
    with pytest.raises(DataError) as raised:
        region_weights(GRID, source, "name")
    for part in (
        "'bow' (feature 0) is not a valid polygon: Self-intersection",
        "feature 1 has no 'name'",
        "'line' (feature 2) is a LineString",
        "'metres' (feature 3) reaches 601000",
        "feature 4 is named 'domain'",
        "'bare' (feature 5) has no readable geometry",
    ):
        assert part in str(raised.value)


def test_regions_outside_the_grid_are_named(tmp_path: Path) -> None:
    path = tmp_path / "city.geojson"
    path.write_text(
        json.dumps(collection(here=shapely.box(10.4, 47.5, 10.5, 47.6), paris=shapely.box(2, 48, 3, 49)))
    )
    with pytest.raises(DataError, match=r"city\.geojson: regions wholly outside the grid: paris"):
        region_weights(GRID, path, "name")


def test_files_that_are_no_lonlat_geojson_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "city.geojson"
    for text, fault in (
        ("{", "cannot be read as GeoJSON"),
        ('{"type": "Topology"}', "no 'features'"),
        ('{"features": []}', "no features"),
        (
            '{"features": [], "crs": {"properties": {"name": "EPSG:3857"}}}',
            "3857.*expected longitude and latitude",
        ),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=rf"city\.geojson: .*{fault}"):
            region_weights(GRID, path, "name")


@pytest.mark.realdata
def test_the_districts_of_beijing_cover_their_city() -> None:
    if "METROFLUX_DATA" not in os.environ:
        pytest.skip("METROFLUX_DATA is not set")
    path = Path(os.environ["METROFLUX_DATA"]) / "boundaries" / "bei_jing_geo.json"
    grid = Grid("EPSG:32650", 340_000.0, 4_360_000.0, 4_000.0, 4_000.0, 50, 50)
    regions = region_weights(grid, path, "name")
    area = (regions.weight * grid.cell_area).sum(("y", "x"))
    assert regions.sizes["region"] == 19
    assert float(area[1:].sum()) == pytest.approx(16_410e6, rel=0.02)  # official area of the city, km2
    assert len(region_outlines(grid, path, "name", 2_000.0)) == 18
