"""Plants above the ground in a run: their stages, what they add, and their emission recovered."""

import numpy as np
import pandas as pd
import pytest

from metroflux import worlds
from metroflux.errors import ConfigError, DataError
from metroflux.grid import Grid
from metroflux.parallel import serial
from metroflux.provenance import Stamp
from observations import background as air
from pipelines import model, stages
from pipelines.config import read_config
from pipelines.engine import Job
from pipelines.plants import with_plants
from priors.errors import with_sd
from transport.elevated import plant_parts
from transport.jacobian import SurfaceOperator

CONFIG = """
run: {name: tall, species: co2, start: 2024-03-04, end: 2024-03-05, flux_hours: 3, lead_hours: 24}
grid: {from: prior}
observations:
  sources:
    - {reader: table, file: towers.csv, unit: ppm, sites: {A: {latitude: 48, longitude: 15}}}
met: {reader: wrf, files: "*.nc"}
transport: {model: particles, particles: 300, hours: 6, seed: 3}
plants: {file: plants.csv, units: t yr-1, height: height, relative_sd: 0.5, layer_depth: 100}
prior:
  inventory: {reader: openmethane, file: prior.nc}
  errors:
    default: {relative: 0.3, floor: 0, length_km: 10, duration_h: 48}
background:
  kind: constant
  value: 410
  error: {random: 0.01, unit: ppm}
"""


@pytest.fixture(scope="module")
def world():
    return worlds.build(worlds.CitySettings(cells=12, days=1, lidar=False))


@pytest.fixture
def config(tmp_path, world):
    x, y = np.array(world.grid.x[[4, 8]]), np.array(world.grid.y[[6, 3]])
    lon, lat = world.grid.to_lonlat(x, y)
    table = {
        "name": ["Nord", "Sued"],
        "lat": lat,
        "lon": lon,
        "emission": [4e6, 2e6],
        "height": [120.0, 60.0],
    }
    pd.DataFrame(table).to_csv(tmp_path / "plants.csv", index=False)
    for name in ("towers.csv", "prior.nc", "met.nc"):
        (tmp_path / name).touch()
    path = tmp_path / "tall.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def job(config, **inputs):
    return Job(read_config(config).config, serial, serial, inputs, Stamp("r", "c"))


def test_plants_enter_the_plan_only_where_they_are_configured(config):
    names = [stage.name for stage in stages.plan(read_config(config).config)]
    assert names.index("plants") < names.index("plant footprints") < names.index("inversion")
    text = config.read_text()
    config.write_text(text.replace("plants: {", "# plants: {"))
    assert "plants" not in [stage.name for stage in stages.plan(read_config(config).config)]


def test_plants_without_footprints_of_our_own_are_refused(tmp_path, config):
    lines = [line for line in config.read_text().splitlines() if not line.startswith(("met", "grid"))]
    response = "transport: {model: response, file: prior.nc, response: r, inlet: {A: 10}}"
    config.write_text("\n".join(response if line.startswith("transport") else line for line in lines))
    with pytest.raises(ConfigError, match="plants: is superfluous with inputs from responses"):
        read_config(config)


@pytest.mark.slow
def test_a_plant_that_emits_more_than_thought_is_found(config, world):
    selected = world.observations.isel(obs=slice(0, None, 3))
    filled = np.full(selected.sizes["obs"], 4e-4)
    selected = selected.assign(mole_fraction=selected.mole_fraction.copy(data=filled))
    grid = Grid.from_dataset(world.prior)
    given = {"selected": selected, "met": world.met, "grid": grid.coords()}
    given |= model.place_receptors(job(config, **given))
    given |= model.read_plants(job(config, **given))
    given |= model.trace_plants(job(config, **given))
    given |= model.trace(job(config, **given))
    given |= model.sum_footprints(job(config, **given))
    given["background"] = air.constant(selected, 4.1e-4, air.BackgroundError(random=1e-8))
    given["prior"] = with_sd(world.prior, 0.3)

    parts = plant_parts(given["plant_footprints"], given["plants"])
    assert list(parts.source.values) == ["Nord", "Sued"]
    assert np.all(parts.mean("receptor") > 1e-8)  # 0.01 ppm: the towers see them
    surface = SurfaceOperator.of(given["jacobian"]).forward(world.prior.flux.values)
    true = 4.1e-4 + surface + parts.values @ [1.4, 0.8]
    given["observations"] = selected.assign(mole_fraction=selected.mole_fraction.copy(data=true))
    posterior = model.invert(job(config, **given))["solution"].posterior()
    named = list(posterior.parameter.values)
    for name, change in (("plant:Nord", 0.4), ("plant:Sued", -0.2)):
        k = named.index(name)
        scale = 0.5 / posterior.prior_parameter_sd.values[k]  # relative_sd over the prior sd
        assert scale * posterior.parameter_sd.values[k] < 0.25  # half the prior's
        assert scale * posterior.parameter_mean.values[k] == pytest.approx(change, abs=0.15)


def test_footprints_of_other_data_are_refused(config, world):
    selected = world.observations.isel(obs=slice(0, 6))
    filled = np.full(selected.sizes["obs"], 4e-4)
    selected = selected.assign(mole_fraction=selected.mole_fraction.copy(data=filled))
    given = {"selected": selected, "met": world.met, "grid": Grid.from_dataset(world.prior).coords()}
    for stage in (model.place_receptors, model.read_plants, model.trace_plants):
        given |= stage(job(config, **given))
    background = air.constant(selected, 4.1e-4, air.BackgroundError())
    with pytest.raises(DataError, match="of other data than the background"):
        with_plants(background.isel(obs=slice(None, None, -1)), given["plant_footprints"], given["plants"])
