import json

import numpy as np
import pytest
import xarray as xr
from matplotlib.image import imread

from metroflux.errors import DataError
from products import colours
from products.fields import mean_fields
from products.maps import draw_maps
from products.places import Site, outlines_from_geojson

NAMES = ["prior", "posterior", "change", "posterior_sd", "uncertainty_reduction", "footprint_sum"]


def test_all_maps_are_drawn_without_any_download(city, tmp_path, monkeypatch):
    import urllib.request

    def refuse(*_, **__):
        raise AssertionError("a map asked the network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    foot = xr.DataArray(np.random.default_rng(0).gamma(1, 1, city.grid.shape), dims=("y", "x"))
    paths = draw_maps(mean_fields(city.solution), tmp_path, city.sites, city.outlines, foot)
    assert [p.stem for p in paths] == NAMES
    for path in paths:
        picture = imread(path)
        assert min(picture.shape[:2]) > 600
        assert np.unique(picture[::7, ::7, :3].reshape(-1, 3), axis=0).shape[0] > 20
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths)


def test_the_same_fields_give_the_same_bytes(city, tmp_path):
    fields = mean_fields(city.solution)
    for folder in ("a", "b"):
        draw_maps(fields, tmp_path / folder)
    assert (tmp_path / "a/change.png").read_bytes() == (tmp_path / "b/change.png").read_bytes()


def test_regions_without_outlines_are_drawn_as_bars(country, tmp_path):
    paths = draw_maps(mean_fields(country.solution), tmp_path, country.sites)
    assert [p.name for p in paths] == ["regions.png"]


def test_a_projection_without_area_of_use_is_drawn(city, tmp_path):
    from metroflux.grid import Grid

    fields = mean_fields(city.solution)
    lcc = Grid(
        "+proj=lcc +lat_0=40 +lon_0=116 +lat_1=30 +lat_2=60 +a=6370000 +b=6370000",
        -36e3,
        -30e3,
        6e3,
        6e3,
        12,
        10,
    )
    moved = fields.drop_vars(["x", "y", "lat", "lon", "spatial_ref", "x_bounds", "y_bounds"]).assign_coords(
        lcc.coords().coords
    )
    assert len(draw_maps(moved, tmp_path, [Site("$\\bad{math", 116.0, 40.0)])) == 5


def test_fields_without_the_sum_of_sectors_are_refused(city, tmp_path):
    with pytest.raises(DataError, match="'total'"):
        draw_maps(mean_fields(city.solution).isel(sector=[0]), tmp_path)


@pytest.mark.parametrize("name", ["sequential", "information", "doubt"])
def test_colour_maps_grow_darker_evenly(name):
    steps = np.diff(_lightness(getattr(colours, name)()))
    assert steps.max() < 0
    assert np.ptp(steps) < 0.006


def test_the_diverging_map_is_lightest_in_the_middle_and_even_on_both_sides():
    light = _lightness(colours.diverging())
    assert abs(int(np.argmax(light)) - 127.5) <= 1
    np.testing.assert_allclose(light[:128], light[::-1][:128], atol=0.01)


def _lightness(palette):
    rgb = palette(np.linspace(0, 1, 256))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lms = (
        linear
        @ np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        ).T
    )
    return np.cbrt(lms) @ np.array([0.2104542553, 0.7936177850, -0.0040720468])


def test_outlines_come_from_polygons_and_multipolygons(tmp_path):
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    features = [
        {"properties": {"n": "A"}, "geometry": {"type": "Polygon", "coordinates": [ring]}},
        {"properties": {"n": "B"}, "geometry": {"type": "MultiPolygon", "coordinates": [[ring], [ring]]}},
    ]
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = outlines_from_geojson(path, "n")
    assert [(o.name, len(o.rings)) for o in found] == [("A", 1), ("B", 2)]


def test_bad_outlines_are_all_named():
    features = [
        {"properties": {}, "geometry": {"type": "Polygon"}},
        {"properties": {"n": "p"}, "geometry": {"type": "Point"}},
    ]
    with pytest.raises(DataError, match="feature 0 has no property 'n'; feature 1 is a Point"):
        outlines_from_geojson({"features": features}, "n")
