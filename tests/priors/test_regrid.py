"""Conservative regridding: totals, constants, transposes, and another program's overlaps."""

import numpy as np
import pytest
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from hypothesis import given, settings
from hypothesis import strategies as st

from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.cells import EqualAreaPlane, Lattice, LonLatCells, derive_bounds, source_area
from priors.regrid import Regridder, conservative_weights

UTM = Grid("EPSG:32632", 600_000.0, 5_250_000.0, 2_000.0, 2_500.0, 30, 24)


def lonlat(lon: np.ndarray, lat: np.ndarray) -> LonLatCells:
    return LonLatCells(derive_bounds(lon, "lon"), derive_bounds(lat, "lat"))


def around_utm(step: float) -> LonLatCells:
    """Cells that reach well beyond UTM (about 10.3-11.2 E, 47.4-48.0 N)."""
    return lonlat(np.arange(9.0, 12.5, step), np.arange(46.5, 49.0, step))


@pytest.mark.parametrize("step", [0.03, 0.1, 0.37])
def test_the_total_of_a_source_inside_the_grid_is_conserved(step: float) -> None:
    cells = around_utm(step)
    regrid = Regridder.between(cells, UTM)
    inside = np.asarray(regrid.weights.sum(axis=0)).ravel() > 0.999_999
    assert inside.any()
    flux = np.where(inside, np.random.default_rng(1).random(inside.size), 0.0)
    before = float((flux * regrid.source_area).sum())
    after = float((regrid(flux) * UTM.cell_area).sum())
    assert after == pytest.approx(before, rel=1e-9)
    assert regrid.outside_share(flux) == pytest.approx(0.0, abs=1e-9)


def test_what_falls_outside_is_reported_and_nothing_else_is_missing() -> None:
    cells = around_utm(0.1)
    regrid = Regridder.between(cells, UTM)
    flux = np.random.default_rng(2).random(cells.shape).ravel()
    before = float((flux * regrid.source_area).sum())
    after = float((regrid(flux) * UTM.cell_area).sum())
    share = regrid.outside_share(flux)
    assert 0.5 < share < 1
    assert after == pytest.approx(before * (1 - share), rel=1e-9)


@pytest.mark.parametrize(
    "crs", ["EPSG:32632", "EPSG:3035", "+proj=lcc +lat_1=30 +lat_2=60 +lon_0=10 +R=6370000"]
)
def test_a_constant_field_stays_constant(crs: str) -> None:
    x, y = Grid(crs, 0, 0, 1, 1, 1, 1).to_xy(10.5, 47.5)
    grid = Grid(crs, float(x), float(y), 2_000.0, 2_000.0, 20, 15)
    flux = np.ones(around_utm(0.1).shape).ravel()
    # Grid.cell_area draws a cell by eight geodesics; at 2 km that is 3e-9 from the true curve
    np.testing.assert_allclose(Regridder.between(around_utm(0.1), grid)(flux), 1.0, rtol=1e-8)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:3035"])
def test_a_constant_field_stays_constant_from_a_projected_source(crs: str) -> None:
    x, y = Grid(crs, 0, 0, 1, 1, 1, 1).to_xy(9.8, 47.0)
    source = Grid(crs, float(x), float(y), 7_300.0, 5_900.0, 30, 40)
    regrid = Regridder.between(source, UTM)
    assert not regrid.uncovered.any()
    np.testing.assert_allclose(regrid(np.ones(source.nx * source.ny)), 1.0, rtol=1e-7)


def test_projected_overlaps_conserve_the_total() -> None:
    source = Grid("EPSG:32632", 610_000.0, 5_260_000.0, 3_300.0, 4_100.0, 9, 7)
    regrid = Regridder.between(source, UTM)
    flux = np.random.default_rng(3).standard_normal(63)
    total = float((flux.reshape(7, 9) * source.cell_area).sum())
    assert float((regrid(flux) * UTM.cell_area).sum()) == pytest.approx(total, rel=1e-9)


def test_a_grid_onto_itself_is_the_identity() -> None:
    weights = conservative_weights(UTM, UTM)
    assert (weights != np.eye(UTM.nx * UTM.ny)).sum() == 0


def test_both_ways_through_the_plane_agree() -> None:
    """The same projection spelled so that it is not recognised goes through polygons instead of lines."""
    source = Grid("EPSG:32632", 590_000.0, 5_240_000.0, 12_345.0, 9_876.0, 8, 10)
    twin = Grid(
        "+proj=tmerc +lon_0=9 +k=0.9996 +x_0=500000 +ellps=WGS84",
        *(590_000.0, 5_240_000.0),
        12_345.0,
        9_876.0,
        8,
        10,
    )
    gap = abs(conservative_weights(source, UTM) - conservative_weights(twin, UTM)).max()
    assert gap < 2e-6  # a 12 km side in eight straight pieces


@given(seed=st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_the_transpose_carries_totals_back(seed: int) -> None:
    """The sum over any part of the grid is the source weighted by the transpose: <w, W m> = <W' w, m>."""
    rng = np.random.default_rng(seed)
    regrid = Regridder.between(around_utm(0.37), UTM)
    flux, part = rng.standard_normal(regrid.source_area.size), rng.random(UTM.nx * UTM.ny)
    forward = float((part * (regrid(flux) * UTM.cell_area).ravel()).sum())
    back = float(((regrid.weights.T @ part) * flux * regrid.source_area).sum())
    assert forward == pytest.approx(back, rel=1e-10, abs=1e-3 * np.sqrt(np.abs(forward) + 1))


def test_weights_equal_the_overlaps_of_exactextract() -> None:
    """In an equal-area projection exactextract's planar overlaps are true areas."""
    x, y = Grid("EPSG:3035", 0, 0, 1, 1, 1, 1).to_xy(10.0, 47.0)
    grid = Grid("EPSG:3035", float(x), float(y), 2_000.0, 2_000.0, 40, 40)
    cells = around_utm(0.1)
    weights = conservative_weights(cells, grid).tocsc()
    raster = NumPyRasterSource(
        np.ones(grid.shape), *(grid.west, grid.south, grid.x_edges[-1], grid.y_edges[-1])
    )
    whole = source_area(cells, EqualAreaPlane.around(grid)).ravel()
    for column in np.flatnonzero(np.diff(weights.indptr))[::29]:
        j, i = divmod(int(column), cells.shape[1])
        side = shapely.segmentize(
            shapely.box(
                *cells.lon_bounds[i, :1],
                cells.lat_bounds[j, 0],
                cells.lon_bounds[i, 1],
                cells.lat_bounds[j, 1],
            ),
            0.002,
        )
        outline = shapely.transform(side, lambda p: np.stack(grid.to_xy(p[:, 0], p[:, 1]), axis=1))
        feature = {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(outline)}
        found = exact_extract(raster, feature, ["cell_id", "coverage"])[0]["properties"]
        expected = np.zeros(grid.shape)
        row, col = np.divmod(np.asarray(found["cell_id"]).astype(int), grid.nx)
        expected[grid.ny - 1 - row, col] = found["coverage"]
        expected *= grid.dx * grid.dy / whole[column]
        np.testing.assert_allclose(weights[:, [column]].toarray().reshape(grid.shape), expected, atol=2e-6)


def test_order_and_longitude_convention_of_the_source_do_not_matter() -> None:
    lon, lat = np.arange(-4.9, 15.0, 0.2), np.arange(46.5, 49.0, 0.2)
    field = np.random.default_rng(4).random((lat.size, lon.size))
    reference = Regridder.between(lonlat(lon, lat), UTM)(field.ravel())
    north_first = Regridder.between(lonlat(lon, lat[::-1]), UTM)(field[::-1].ravel())
    np.testing.assert_allclose(north_first, reference, rtol=1e-12)
    east = np.roll(derive_bounds(lon, "lon"), -25, axis=0)  # 0.1 ... 14.9, then 355.1 ... 359.9
    east = np.where(east.mean(axis=1, keepdims=True) < 0, east + 360, east)
    turned = Regridder.between(LonLatCells(east, derive_bounds(lat, "lat")), UTM)
    np.testing.assert_allclose(turned(np.roll(field, -25, axis=1).ravel()), reference, rtol=1e-9)


def test_a_grid_across_the_date_line_is_filled_from_both_sides() -> None:
    grid = Grid("EPSG:32601", 400_000.0, 6_000_000.0, 20_000.0, 20_000.0, 4, 4)  # zone 1: 180 to 174 W
    west = Grid("EPSG:32601", 200_000.0, 6_000_000.0, 20_000.0, 20_000.0, 8, 4)
    for target in (grid, west):
        for lon in (np.arange(-179.5, 180.0, 1.0), np.arange(0.5, 360.0, 1.0)):
            flux = Regridder.between(lonlat(lon, np.arange(50.5, 60.0, 1.0)), target)(np.ones(3600))
            np.testing.assert_allclose(flux, 1.0, rtol=1e-6)


def test_source_areas_add_up_to_the_ellipsoid() -> None:
    cells = lonlat(np.arange(5.0, 360.0, 10.0), np.arange(-85.0, 90.0, 10.0))
    earth = 510_065_621.724e6  # m2, WGS 84
    assert source_area(cells, EqualAreaPlane.around(UTM)).sum() == pytest.approx(earth, rel=1e-9)


def test_lattice_areas_agree_with_geodesic_areas() -> None:
    np.testing.assert_allclose(Lattice.of(UTM).areas(EqualAreaPlane.around(UTM)), UTM.cell_area, rtol=1e-8)


def test_mass_over_projected_area_is_kept() -> None:
    lambert = "+proj=lcc +lat_1=-15 +lat_2=-40 +lat_0=-23.27 +lon_0=133.3 +R=6370000"
    grid = Grid(lambert, 1_480_000.0, 0.0, 10_000.0, 10_000.0, 5, 5)
    flux = np.random.default_rng(5).random(25)
    given_true = Regridder.between(grid, grid, per_projected_area=True)(flux)
    assert (given_true * grid.cell_area).sum() == pytest.approx(flux.sum() * 1e8, rel=1e-12)
    with pytest.raises(DataError, match="per_projected_area"):
        Regridder.between(around_utm(0.1), UTM, per_projected_area=True)


def test_grid_cells_beyond_the_source_are_told() -> None:
    cells = lonlat(np.arange(10.75, 12.5, 0.1), np.arange(46.5, 49.0, 0.1))
    uncovered = Regridder.between(cells, UTM).uncovered
    assert uncovered[:, 0].all()
    assert not uncovered[:, -1].any()


@pytest.mark.parametrize(
    ("lon", "lat", "fault"),
    [
        ([[0, 1], [0.5, 2]], [[0, 1]], "longitude: cells overlap by up to 0.5"),
        ([[0, 1]], [[0, 1], [1, 1]], "latitude: 1 cells without width"),
        ([[0, 1]], [[88, 91]], "latitude: edges reach 91"),
        ([[0, 200], [200, 365]], [[0, 1]], "longitude: the cells span 365 degrees"),
        ([[0, np.nan]], [[0, 1]], "longitude: bounds"),
    ],
)
def test_impossible_cells_are_refused(lon: list[list[float]], lat: list[list[float]], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        LonLatCells(np.array(lon, dtype=float), np.array(lat, dtype=float))


def test_edges_of_uneven_centres_are_not_guessed() -> None:
    with pytest.raises(DataError, match="lon: no bounds and centres unevenly spaced"):
        derive_bounds(np.array([0.0, 1.0, 2.5]), "lon")
    with pytest.raises(DataError, match="one value and no bounds"):
        derive_bounds(np.array([0.0]), "lon")
