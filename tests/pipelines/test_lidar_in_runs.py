"""Flux lidar in a run: gates as data, planes as rows, mixing height as judge, one role for a datum."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from plans import require_fit

from metroflux import worlds
from metroflux.errors import ConfigError, DataError
from metroflux.parallel import serial
from metroflux.provenance import Stamp
from metroflux.units import molar_mass
from observations.flux_lidar.simulator import Scene, simulate_scan
from pipelines import backgrounds, lidar, model, stages
from pipelines.choosing import choose
from pipelines.config import read_config
from pipelines.engine import Job
from pipelines.inputs import read_data
from pipelines.manifest import hash_inputs, require_one_role
from pipelines.run import Options, run
from priors.errors import with_sd

ROOT = Path(__file__).parents[2]
SCENE = Scene(np.arange(300.0, 1201.0, 30.0), np.arange(0.25, 15.0, 0.5), emission=40.0)
GATES = {"reader": "dial", "file": "gates.nc", "site": "LID", "height": 2, "averaging_s": 20}
PLANE = {
    "file": "plane.nc",
    "label": "landfill",
    # the rays look north, so the normal points east or west; 20 degrees off it as in the scene
    "wind": {"speed": 5.0, "speed_sd": 0.06, "direction": 250, "direction_sd": 4},
    "background": {"value": 1950, "sd": 8, "unit": "ppb", "by_lidar": True},
    "facility": {"latitude": 40.0, "longitude": 116.0},
    "averaging_s": 20,
    "representativeness_sd": 0.2,
}
FILTER = {"role": "filter", "site": "D", "least": 2, "unknown": "keep"}
CONFIG = {
    "run": {"name": "lidar", "species": "ch4", "start": "2024-06-01", "end": "2024-06-02", "flux_hours": 3},
    "grid": {"from": "prior"},
    "observations": {
        "sources": [
            {"reader": "table", "file": "towers.csv", "unit": "ppb", "sd": {"repeatability": "sd"},
             "sites": {"A": {"latitude": 40, "longitude": 116, "inlet": 30}}},
            GATES,
        ],
        "planes": [PLANE],
    },
    "met": {"reader": "wrf", "files": "*.nc"},
    "transport": {"model": "particles", "particles": 100, "hours": 6, "seed": 3},
    "prior": {"inventory": {"reader": "openmethane", "file": "prior.nc"},
              "errors": {"default": {"relative": 0.5, "floor": 0, "length_km": 10, "duration_h": 48}}},
    "background": {"kind": "constant", "value": 1900, "error": {"random": 1, "unit": "ppb"}},
}  # fmt: skip


def scan(seed, place=(40.0, 116.0), start="2024-06-01T04"):
    """Return a scan of the simulator at another place and time."""
    ds = simulate_scan(SCENE, 0.03, np.random.default_rng(seed))
    moved = ds.assign_coords(time=ds.time - ds.time[0] + np.datetime64(start, "ns"))
    latitude, longitude = (ds[n].copy(data=v) for n, v in zip(("latitude", "longitude"), place, strict=True))
    return moved.assign(latitude=latitude, longitude=longitude)


@pytest.fixture
def folder(tmp_path):
    scan(1).to_netcdf(tmp_path / "plane.nc")
    scan(2, start="2024-06-01T05").to_netcdf(tmp_path / "gates.nc")
    rows = "\n".join(f"A,2024-06-01T{h:02d}:00:00,{1950 + h},2" for h in range(6))
    (tmp_path / "towers.csv").write_text(f"site,time,mole_fraction,sd\n{rows}\n", encoding="utf-8")
    for name in ("prior.nc", "met.nc"):
        (tmp_path / name).touch()
    return tmp_path


def written(folder, **changes):
    """Return the path of the configuration with parts of `observations` changed."""
    config = CONFIG | {"observations": CONFIG["observations"] | changes}
    path = folder / "lidar.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def job(path, **inputs):
    return Job(read_config(path).config, serial, serial, inputs, Stamp("r", "c"))


def test_gates_and_towers_are_one_dataset_with_the_cross_section_of_the_gates(folder):
    out = read_data(job(written(folder)))
    data = out["data"]
    gates = data.site.values == "LID"
    assert gates.sum() == SCENE.middle.size * SCENE.elevation.size
    assert (~gates).sum() == 6
    assert np.isnan(data["range"].values[~gates]).all()
    assert np.isfinite(data["range"].values[gates]).all()
    column = data.shared_column.sel(shared="lidar-cross-section:simulated line").values
    assert not column[~gates].any()
    assert np.all(column[gates] > 0)
    assert {s["name"]: s["kind"] for s in out["sites"]} == {"A": "tower", "LID": "lidar"}


def test_gates_with_a_kernel_and_towers_without_are_one_dataset(folder):
    ds = scan(2, start="2024-06-01T05").isel(time=slice(2))
    n = ds.sizes["range"]
    kernel = (("time", "range", "true_range"), np.broadcast_to(np.eye(n), (2, n, n)), {"units": "1"})
    ranges = ("true_range", ds["range"].values, {"units": "m"})
    ds.assign(averaging_kernel=kernel).assign_coords(true_range=ranges).to_netcdf(folder / "gates.nc")
    data = read_data(job(written(folder)))["data"]
    gates = data.site.values == "LID"
    assert np.isnan(data.gate_kernel.values[~gates]).all()
    np.testing.assert_array_equal(data.gate_kernel.values[gates], np.tile(np.eye(n), (2, 1)))


def test_a_plane_is_a_row_on_its_facility_and_holds_the_truth(folder):
    world = worlds.build(worlds.CitySettings(cells=12, days=1, lidar=False))
    lon, lat = world.grid.to_lonlat(np.array(world.grid.x[7]), np.array(world.grid.y[4]))
    facility = {"latitude": float(lat), "longitude": float(lon), "share": 0.5}
    rows = lidar.read_planes(
        job(written(folder, planes=[PLANE | {"facility": facility}]), grid=world.grid.coords())
    )
    rows = rows["planes"]
    assert rows.weight.values[0, 4, 7] == 0.5
    assert rows.weight.values.sum() == 0.5
    plane = read_config(written(folder)).config.observations.planes[0]
    scan_alone = lidar.measure(plane, "ch4").result
    assert rows.emission.values[0] == pytest.approx(scan_alone.value)
    whole = rows.emission_sd.values[0] ** 2 + (rows.emission_shared.values[0] ** 2).sum()
    assert whole == pytest.approx(scan_alone.sd**2 + (0.2 * scan_alone.value) ** 2)  # and within its interval
    sd = np.sqrt(rows.emission_sd.values[0] ** 2 + (rows.emission_shared.values[0] ** 2).sum())
    assert abs(rows.emission.values[0] - SCENE.emission) < 3 * sd
    np.testing.assert_array_equal(
        rows.time_bounds.values[0],
        np.datetime64("2024-06-01T04", "ns")
        + np.array([0, 20 * SCENE.elevation.size], dtype="timedelta64[s]"),
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            {"facility": {"latitude": 0.0, "longitude": 0.0}},
            "facility of landfill at .* inside the flux grid",
        ),
        ({"file": "towers.csv"}, "towers.csv"),
    ],
)
def test_planes_that_do_not_fit_are_data_errors(folder, change, what):
    world = worlds.build(worlds.CitySettings(cells=12, days=1, lidar=False))
    with pytest.raises(DataError, match=what):
        lidar.read_planes(job(written(folder, planes=[PLANE | change]), grid=world.grid.coords()))


def test_a_plane_of_another_gas_is_refused(folder):
    scan(1).assign_attrs(species="co2").to_netcdf(folder / "plane.nc")
    plane = read_config(written(folder)).config.observations.planes[0]
    with pytest.raises(DataError, match="species 'co2'; expected 'ch4'"):
        lidar.measure(plane, "ch4")


def test_the_stages_of_lidar_get_what_they_need_from_those_before(folder):
    (folder / "profiles.nc").touch()
    judged = {"role": "filter", "file": "profiles.nc", "site": "D", "least": 2, "unknown": "keep"}
    near = {"local_influence": {"radius_km": 4, "most": 0.5}}
    require_fit(stages.plan(read_config(written(folder, mixing=judged, selection=near)).config))
    inflated = {"role": "inflate", "file": "profiles.nc", "site": "D", "unknown": 0.3}
    require_fit(stages.plan(read_config(written(folder, mixing=inflated)).config))


def test_the_same_rays_as_gates_and_as_a_plane_stop_the_run_with_both_places_named(folder):
    scan(9).isel(time=slice(3, 5)).to_netcdf(
        folder / "gates.nc"
    )  # cut out of the plane's scan, retrieved anew
    path = written(folder)
    read = read_config(path)
    both = r"ch4 ray at 40\.0000, 116\.0000, 2024-06-01T04:01:00.000 and 1 more in " \
           r"observations\.sources\[1\] and observations\.planes\[0\]"  # fmt: skip
    with pytest.raises(DataError, match=both):
        require_one_role(read.config, hash_inputs(read))
    with pytest.raises(DataError, match=both):
        run(path, folder / "out", Options())
    assert not (folder / "out" / "manifest.json").exists()


def test_two_planes_of_one_scan_stop_the_run(folder):
    read = read_config(written(folder, planes=[PLANE, PLANE | {"label": "again"}]))
    with pytest.raises(DataError, match=r"in observations\.planes\[0\] and observations\.planes\[1\]"):
        require_one_role(read.config, hash_inputs(read))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"planes": [PLANE, PLANE]}, "observations.planes: labels landfill, landfill; expected each once"),
        ({"random": [{"name": "t", "sd": 1, "unit": "ppb", "duration_h": 3}]}, "have a duration_h"),
        ({"mixing": FILTER}, "observations.mixing.file: is missing"),
        ({"mixing": {k: v for k, v in FILTER.items() if k != "unknown"}}, "mixing.unknown: Field"),
    ],
)  # fmt: skip
def test_contradictions_are_faults_of_the_configuration(folder, changes, what):
    with pytest.raises(ConfigError, match=what):
        read_config(written(folder, **changes))


def world_config(tmp_path, mixing):
    config = {
        "run": {"name": "w", "species": "co2", "start": "2024-03-04", "end": "2024-03-05", "flux_hours": 3,
                "lead_hours": 24},
        "world": {"seed": 1, "truth_seed": 2, "cells": 12, "cell_size": 4000},
        "transport": {"model": "particles", "particles": 50, "hours": 4, "seed": 3},
        "prior": {"errors": {"default": {"relative": 0.5, "floor": 0.1, "length_km": 10, "duration_h": 48}}},
        "background": {"kind": "constant", "value": 420, "error": {"random": 0.3, "unit": "ppm"}},
        "observations": {"mixing": mixing},
    }  # fmt: skip
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def world():
    return worlds.build(worlds.CitySettings(seed=1, cells=12, cell_size=4000.0, days=1))


def filled(world, every=1):
    data = world.observations.isel(obs=slice(0, None, every))
    return data.assign(mole_fraction=data.mole_fraction.copy(data=np.full(data.sizes["obs"], 4.2e-4)))


def test_a_low_mixing_height_leaves_data_out_with_its_reason(tmp_path, world):
    path = world_config(tmp_path, {"role": "filter", "site": "LID", "least": 5, "unknown": "flag"})
    names = [stage.name for stage in stages.plan(read_config(path).config)]
    assert names.index("world") < names.index("selection")
    out = choose(job(path, data=filled(world), profiles=world.profiles))
    kept, lidar_height = out["selected"], world.profiles.mixing_height.sel(site="LID")
    height = lidar_height.sel(time=kept.time.values, method="nearest").values
    assert 0 < kept.sizes["obs"] < world.observations.sizes["obs"]
    assert np.all(height >= 5 * kept.inlet.values)
    reasons = {row["reason"] for row in out["dropped"]}
    assert any("mixing height of lidar LID below 5 inlets or not known" in reason for reason in reasons)


def test_a_wrong_mixing_height_widens_the_error_of_each_datum_in_proportion(tmp_path, world):
    path = world_config(tmp_path, {"role": "inflate", "site": "LID", "unknown": 0.3})
    inversion = next(s for s in stages.plan(read_config(path).config) if s.name == "inversion")
    assert {"profiles", "met"} <= set(inversion.inputs)
    selected = filled(world, 4)
    given = {
        "selected": selected,
        "met": world.met,
        "grid": world.grid.coords(),
        "prior": with_sd(world.prior, 0.3),
    }
    given |= model.place_receptors(job(path, **given))
    given |= model.trace(job(path, **given))
    given |= model.sum_footprints(job(path, **given))
    given["profiles"] = world.profiles.assign(mixing_height=1.25 * world.profiles.mixing_height)
    chosen = read_config(path).config.observations.mixing
    wide = lidar.widened(job(path, **given), selected, chosen)
    part = wide.random_sd.sel(random="mixing-height").values
    right = lidar.widened(job(path, **given | {"profiles": world.profiles}), selected, chosen)
    less = right.random_sd.sel(random="mixing-height").values
    seen = part > 1e-9
    assert seen.any()
    assert np.median(part[seen] / less[seen]) > 1.3
    given["observations"] = selected
    given |= backgrounds.constant_background(job(path, **given))
    posed = model.problem_of(job(path, **given))
    np.testing.assert_allclose(posed.errors.random["mixing-height"], part**2)


BOWEN = """
observations:
  planes:
    - {file: plane.nc, label: mine, averaging_s: 20, representativeness_sd: 0.1,
       facility: {latitude: LAT, longitude: LON},
       wind: {speed: 5.0, speed_sd: 0.06, direction: 250, direction_sd: 4},
       background: {value: 1950, sd: 8, unit: ppb, by_lidar: true}}
"""


@pytest.mark.slow
@pytest.mark.realdata
def test_a_plane_at_a_mine_decides_its_cell_in_a_real_run(data_dir, tmp_path, monkeypatch):
    """Real weather, columns and inventory; the scan is simulated, 40 mol s-1 through it."""
    monkeypatch.setenv("METROFLUX_DATA", str(data_dir))
    config = yaml.safe_load((ROOT / "configs" / "bowen_basin.yaml").read_text(encoding="utf-8"))
    config["transport"]["particles"] = 100
    with xr.open_dataset(data_dir / "bowen_basin_ch4" / "prior-emissions.nc") as prior:
        j, i = np.unravel_index(int(prior.ch4_total.values[0, 0].argmax()), (10, 10))
        place = float(prior.lat[j, i]), float(prior.lon[j, i])
    scan(5, place, "2022-12-07T02:00").to_netcdf(tmp_path / "plane.nc")
    added = yaml.safe_load(BOWEN.replace("LAT", str(place[0])).replace("LON", str(place[1])))
    config["observations"] |= added["observations"]
    path = tmp_path / "bowen.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    outcome = run(path, tmp_path / "out", Options())
    with xr.open_dataset(tmp_path / "out" / "diagnostics.nc") as fit:
        assert fit.direct.values.tolist() == ["mine"]
        z = (float(fit.direct_posterior[0]) - float(fit.direct_emission[0])) / float(fit.direct_sd[0])
        assert abs(z) < abs(float(fit.direct_prior[0] - fit.direct_emission[0])) / float(fit.direct_sd[0])
        assert "mine" not in fit.site_name.values
        shown = float(fit.direct_emission[0]) * molar_mass("ch4") * 3600
    with xr.open_dataset(tmp_path / "out" / "posterior.nc") as posterior:
        cell = posterior.isel(y=j, x=i, flux_time=0)
        assert float(cell.uncertainty_reduction.max()) > 0.5
    report = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert 'id="planes"' in report
    assert f"<td>{shown:.3g}</td>" in report
    assert outcome.summary["observations"] > 100
