"""The background from the field of a file in a run from files: its stage, against others and a twin."""

import numpy as np
import pytest
import xarray as xr
from pyproj import Transformer

from metroflux import worlds
from metroflux.errors import ConfigError, DataError
from metroflux.grid import Grid
from metroflux.parallel import serial
from metroflux.provenance import Stamp
from metroflux.uncertainty import ErrorModel, components
from observations.metrology.conversion import convert_scale
from pipelines import backgrounds, model, stages
from pipelines.config import read_config
from pipelines.curtain import curtain_background, read_field
from pipelines.engine import Job
from pipelines.scales import background_on_scale

CONFIG = """
run: {name: inflow, species: co2, start: 2024-03-04, end: 2024-03-05, flux_hours: 3, lead_hours: 24}
grid: {from: prior}
observations:
  sources:
    - {reader: table, file: towers.csv, unit: ppm, sites: {A: {latitude: 48, longitude: 15}}}
met: {reader: wrf, files: "met.nc"}
transport: {model: particles, particles: 100, hours: 6, seed: 3}
prior:
  inventory: {reader: openmethane, file: prior.nc}
  errors:
    default: {relative: 0.3, floor: 0, length_km: 10, duration_h: 48}
background:
  kind: curtain
  files: field*.nc
  variable: co2
  levels: {variable: level, of: altitude, unit: km}
  error: {sd: 0.5, unit: ppm, duration_h: 24, traceable_to: a model}
  parameters: [{name: offset, by: [week], sd: 0.4, unit: ppm}]
"""


AXES = {
    "time": np.arange("2024-03-02T21", "2024-03-05T06", 3, dtype="datetime64[h]").astype("datetime64[ns]"),
    "level": np.array([-0.5, 0.5, 1.5, 3.0, 30.0]),
    "lat": np.arange(45.0, 51.0, 0.25),
    "lon": np.arange(12.0, 18.0, 0.25),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("inflow")
    for name in ("towers.csv", "prior.nc", "met.nc"):
        (path / name).touch()
    (path / "inflow.yaml").write_text(CONFIG, encoding="utf-8")
    return path


def write(folder, function, units="ppm"):
    grid = np.meshgrid(*AXES.values(), indexing="ij")
    values = (tuple(AXES), function(*grid), {"units": units})
    xr.Dataset({"co2": values}, AXES).to_netcdf(folder / "field.nc")


def job(folder, given=None, text=CONFIG):
    (folder / "inflow.yaml").write_text(text, encoding="utf-8")
    return Job(read_config(folder / "inflow.yaml").config, serial, serial, given or {}, Stamp("r", "c"))


@pytest.fixture(scope="module")
def given(folder):
    """What the stages before the background make of a small world, by name."""
    world = worlds.build(worlds.CitySettings(cells=12, days=1, lidar=False))
    selected = world.observations.isel(obs=slice(0, None, 8))
    filled = np.full(selected.sizes["obs"], 4e-4)
    selected = selected.assign(mole_fraction=selected.mole_fraction.copy(data=filled))
    known = {"selected": selected, "met": world.met, "grid": world.grid.coords()}
    write(folder, lambda time, level, lat, lon: 412.0 + 0 * lat)
    for stage in (model.place_receptors, model.trace):
        known |= stage(job(folder, known))
    return known


def curtain(folder, given, text=CONFIG):
    field = read_field(job(folder, given, text))
    return curtain_background(job(folder, given | field, text))["background"]


def test_the_plan_of_files_reads_the_field_where_the_particles_ended(folder, given):
    plan = stages.plan(job(folder).config)
    names = [stage.name for stage in plan]
    stage = plan[names.index("background")]
    assert stage.function is curtain_background
    assert names.index("footprints") < names.index("background") < names.index("inversion")
    assert names.index("background field") < names.index("receptors")  # faults before the long work
    assert set(stage.inputs) <= {
        name for earlier in plan[: names.index("background")] for name in earlier.outputs
    }
    assert job(folder).config.files("background") == [folder / "field.nc"]


def test_a_constant_field_is_the_constant_background_with_the_errors_of_the_curtain(folder, given):
    write(folder, lambda time, level, lat, lon: 412.0 + 0 * lat)
    got = curtain(folder, given)
    text = CONFIG[: CONFIG.index("background:")]
    text += "background: {kind: constant, value: 412, error: {unit: ppm}}"
    known = backgrounds.constant_background(job(folder, given, text))["background"]
    assert got.background.values == pytest.approx(known.background.values, rel=2e-15)  # the mean's rounding
    assert got.datum_id.values.tolist() == known.datum_id.values.tolist()
    random, shared = components(got)
    assert [(r.name, r.sd.max()) for r in random] == [("background-sampling", pytest.approx(0, abs=1e-18))]
    assert {(s.cause, s.traceable_to) for s in shared} == {("background", "a model")}
    assert (ErrorModel.from_datasets(given["selected"], got).variance > 0.2499e-12).all()
    assert got.attrs["end_points_beyond_field"] == 0


def test_a_field_linear_in_easting_is_recovered_at_the_end_points(folder, given):
    grid = Grid.from_dataset(given["grid"])
    write(folder, lambda time, level, lat, lon: 412 + grid.to_xy(lon, lat)[0] * 1e-5)
    wanted = (412 + given["footprints"].end_x.mean("particle").values * 1e-5) * 1e-6
    # a quarter of a degree of a meridian bends by 0.1 km on this map: 0.001 ppm
    assert curtain(folder, given).background.values == pytest.approx(wanted, abs=1e-9)


def test_a_field_is_read_as_by_a_slow_twin_one_point_at_a_time(folder, given):
    def field(time, level, lat, lon):
        hours = (time - AXES["time"][0]) / np.timedelta64(1, "h")
        return 400 + 0.1 * hours - 2.0 * level + 0.8 * lat + 1.1 * lon

    write(folder, field)
    data = given["selected"].isel(obs=[0, -1])
    ends, met = given["footprints"], given["met"]
    ends = ends.isel(receptor=np.isin(ends.datum_id.values, data.datum_id.values))
    assert ends.datum_id.values.tolist() == data.datum_id.values.tolist()
    to_degrees = Transformer.from_crs(ends.spatial_ref.attrs["crs_wkt"], "EPSG:4326", always_xy=True)
    found = np.full(ends.end_x.shape, np.nan)  # slots without a particle stay so
    for r, p in np.argwhere(np.isfinite(ends.end_x.values)):
        one = ends.isel(receptor=r, particle=p)
        x, y = float(one.end_x), float(one.end_y)
        lon, lat = to_degrees.transform(x, y)
        ground = float(
            met.terrain.interp(x=np.clip(x, *met.x.values[[0, -1]]), y=np.clip(y, *met.y.values[[0, -1]]))
        )
        time = one.time.values - np.timedelta64(round(float(one.end_hours) * 3600e9), "ns")
        found[r, p] = field(time, (float(one.end_height) + ground) / 1e3, lat, lon) * 1e-6
    got = curtain(folder, given | {"selected": data})
    assert got.background.values == pytest.approx(np.nanmean(found, axis=1), rel=1e-9)
    sampling = np.nanstd(found, axis=1, ddof=1) / np.sqrt(np.isfinite(found).sum(axis=1))
    assert components(got)[0][0].sd == pytest.approx(sampling, rel=1e-6)


def test_what_lies_beyond_the_field_is_told(folder, given):
    write(folder, lambda time, level, lat, lon: 412.0 + 0 * lat)
    with xr.open_dataset(folder / "field.nc") as ds:
        low = ds.isel(level=[2, 3, 4]).load()
    low.to_netcdf(folder / "field.nc")
    told = []
    one = job(folder, given)
    one = Job(one.config, serial, serial, given | read_field(one), one.stamp, told.append)
    share = curtain_background(one)["background"].attrs["end_points_beyond_level"]
    assert 0 < share < 1
    assert told == [f"{share:.1%} of end points lie beyond the field and take the value at its edge"]


def test_offsets_are_solved_with_a_curtain_as_with_any_background(folder, given):
    [one] = model.parameters(job(folder).config, given["selected"])
    assert one.name.startswith("offset:2024-03-04")
    assert one.sd == pytest.approx(0.4e-6)


SCALED = CONFIG.replace("met: {", "  scale: {target: WMO CO2 X2019, unstated_sd: 0.05}\nmet: {").replace(
    "  variable: co2\n", "  variable: co2\n  scale: WMO CO2 X2007\n"
)


def test_a_field_on_another_scale_is_converted_and_the_conversion_cancels(folder, given):
    write(folder, lambda time, level, lat, lon: 412.0 + 0 * lat)
    old = given["selected"].assign_attrs(scale="WMO CO2 X2007")
    data = convert_scale(old, "WMO CO2 X2019", unstated_sd=5e-8)
    got = curtain(folder, given | {"selected": data}, SCALED)
    assert got.background.values * 1e6 == pytest.approx(
        np.full(got.obs.size, 1.00079 * 412 - 0.142), rel=1e-12
    )
    name = "scale:WMO CO2 X2007 -> WMO CO2 X2019"
    columns = {s.name: s.column for s in components(got)[1]}
    assert columns[name] == pytest.approx(np.full(got.obs.size, 5e-8))
    assert columns["background-method:0"][0] == pytest.approx(0.5e-6 * 1.00079)
    both = ErrorModel.from_datasets(data, got)
    assert both.columns[:, [both.causes.index("scale conversion")]] == pytest.approx(0, abs=1e-20)
    fresh = ErrorModel.from_datasets(old.assign_attrs(scale="WMO CO2 X2019"), got)
    assert fresh.columns[:, [fresh.causes.index("scale conversion")]] == pytest.approx(-5e-8)


def test_scales_that_differ_or_are_not_known_are_refused(folder, given):
    background, data = curtain(folder, given), given["selected"].assign_attrs(scale="WMO CO2 X2019")
    with pytest.raises(
        DataError, match=r"background.scale: the background is on X2007, the data on WMO CO2 X2019"
    ):
        background_on_scale(background, data, "X2007", None)
    assert background_on_scale(background, data, "NOAA X2019", None) is background
    chosen = job(folder, text=SCALED).config.observations.scale
    with pytest.raises(DataError, match=r"background\.scale: scale 'not stated' is unknown for co2"):
        background_on_scale(background, data, "not stated", chosen)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("unit: km}", "unit: hPa}", "line 17: background.levels.unit: altitude in 'hPa'; expected 'm'"),
        ("of: altitude", "of: depth", "line 17: background.levels.of: .*'height', 'altitude' or 'pressure'"),
        ("field*.nc", "camera*.nc", "line 15: background.files: no file matches"),
        ("  variable: co2\n", "", "line 13: background.variable: Field required"),
        ("variable: co2\n", "variable: co2\n  unit: percent\n", "background.unit: .*'ppm' or 'ppb'"),
    ],
)  # fmt: skip
def test_a_wrong_section_is_refused_by_line_and_key(folder, old, new, fault):
    assert old in CONFIG
    with pytest.raises((ConfigError, DataError), match=fault):
        job(folder, text=CONFIG.replace(old, new))


def test_the_field_of_a_world_is_not_given_to_a_run_from_files(folder):
    text = CONFIG[: CONFIG.index("background:")]
    text += "background: {kind: edge_field, error: {random: 0.3, unit: ppm}}"
    with pytest.raises(
        ConfigError, match=r"background\.kind: 'edge_field' is the field of a synthetic world"
    ):
        job(folder, text=text)


def test_a_curtain_without_particles_is_refused(responses):
    text = responses.read_text()
    field = (
        "background: {kind: curtain, files: towers.nc, variable: c, error: {sd: 1, unit: ppm, duration_h: 1}}"
    )
    responses.write_text(text[: text.index("background:")] + field)
    with pytest.raises(
        ConfigError, match=r"background\.kind: 'curtain' needs particles; expected 'constant', 'series'"
    ):
        read_config(responses)
