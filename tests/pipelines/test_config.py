import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from metroflux.errors import ConfigError, DataError
from pipelines.config import read_config

FILES = """
run: {name: bowen, species: ch4, start: 2022-12-07T00:00, end: 2022-12-07T06:00, flux_hours: 1}
grid: {from: prior}
observations:
  sources:
    - {reader: columns, file: soundings.csv, unit: ppb, site: TROPOMI}
met: {reader: wrf, files: wrf/*.nc}
transport: {model: particles, particles: 100, hours: 4, seed: 1}
prior:
  inventory: {reader: openmethane, file: prior.nc}
  errors:
    default: {relative: 0.5, floor: 0.1, length_km: 10, duration_h: 48}
background:
  kind: constant
  value: 1850
  error: {random: 5, unit: ppb}
"""


@pytest.fixture
def files(tmp_path) -> Path:
    for name in ("soundings.csv", "prior.nc", "wrf/b.nc", "wrf/a.nc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    path = tmp_path / "bowen.yaml"
    path.write_text(FILES)
    return path


def faults(path: Path, kind: type[Exception] = ConfigError) -> list[str]:
    with pytest.raises(kind) as error:
        read_config(path)
    return str(error.value).splitlines()


def edit(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_paths_are_relative_to_the_file_and_patterns_are_sorted(files, tmp_path):
    config = read_config(files).config
    assert config.met.files == (tmp_path / "wrf" / "a.nc", tmp_path / "wrf" / "b.nc")
    assert config.files("prior") == [tmp_path / "prior.nc"]


def test_layout_and_comments_do_not_change_the_hash_but_values_do(config):
    before = read_config(config).sha256
    edit(config, "run: {name: tiny, species: co2,", "# a comment\nrun: {species: co2, name: tiny,")
    assert read_config(config).sha256 == before
    edit(config, "seed: 3", "seed: 4")
    assert read_config(config).sha256 != before


def test_a_misspelt_key_is_refused_by_line_with_the_nearest_name(config):
    [fault] = faults(edit(config, "length_km: 10", "length_km: 10, form: gaussian, florr: 1"))
    assert "line 7: prior.errors.default.florr: unknown key; did you mean 'floor'?" in fault


def test_a_misspelt_key_among_variants_is_looked_up_in_the_chosen_one(files):
    found = faults(edit(files, "site: TROPOMI", "site: TROPOMI, min_qality: 0.5"))
    assert "did you mean 'min_quality'?" in found[0]
    found = faults(edit(files, "{from: prior}", "{fron: prior}"))
    assert any("grid.fron: unknown key" in fault for fault in found)


def test_all_faults_are_listed_in_the_order_of_lines(config):
    edit(config, "species: co2", "species: n2o")
    edit(config, "cells: 10", "cells: 3")
    edit(config, "random: 0.3", "random: -0.3")
    found = faults(config)
    assert [f.split(": ")[1] for f in found] == ["line 2", "line 3", "line 10"]


def test_a_value_with_a_unit_is_refused_and_the_unit_is_told(config):
    [fault] = faults(edit(config, "cell_size: 2000", "cell_size: 2 km"))
    assert "world.cell_size" in fault
    assert "found '2 km'; expected: cell size, m" in fault


def test_an_unknown_unit_is_refused(config):
    [fault] = faults(edit(config, "unit: ppm", "unit: mg m-3"))
    assert "'mol mol-1', 'ppm' or 'ppb', found 'mg m-3'" in fault


def test_a_missing_file_is_named_with_its_line_and_counts_as_missing_data(files, tmp_path):
    (tmp_path / "prior.nc").unlink()
    [fault] = faults(files, DataError)
    assert f"line 10: prior.inventory.file: no such file: {tmp_path / 'prior.nc'}" in fault


def test_a_pattern_without_match_counts_as_missing_data(files, tmp_path):
    edit(files, "wrf/*.nc", "wrf/*.grib")
    [fault] = faults(files, DataError)
    assert "met.files: no file matches" in fault


def test_a_missing_file_beside_a_wrong_key_is_a_configuration_error(files, tmp_path):
    (tmp_path / "prior.nc").unlink()
    assert len(faults(edit(files, "seed: 1", "seed: 1, sed: 2"))) == 2


def test_a_key_given_twice_is_refused_with_both_lines(config):
    [fault] = faults(edit(config, "background:\n", "run: {}\nbackground:\n"))
    assert "line 8: run: given twice, first in line 2" in fault


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system [true]", "!!python/name:os.system x", "!secret x", "!!float 3"]
)
def test_a_tag_is_refused_and_never_acted_upon(config, text):
    [fault] = faults(edit(config, "seed: 3}", f"seed: {text}" + "}"))
    assert "line 4" in fault
    assert "is refused" in fault


def test_an_alias_stands_for_what_it_names(config):
    edit(config, "default: {relative", "traffic: &same {relative")
    edit(config, "background:\n", "    default: *same\nbackground:\n")
    errors = read_config(config).config.prior.errors
    assert errors["default"] == errors["traffic"]


def test_aliases_that_blow_up_are_refused(config):
    rows = [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 9)]
    config.write_text("a0: &a0 [lol, lol]\n" + "\n".join(rows))
    assert "after aliases are written out" in faults(config)[0]


def test_an_alias_inside_of_itself_is_refused(config):
    config.write_text("run: &a [*a]")
    assert "after aliases are written out" in faults(config)[0]


def test_deep_nesting_is_refused_before_it_exhausts_the_stack(config):
    config.write_text("run: " + "[" * 5000 + "]" * 5000)
    assert "nested deeper" in faults(config)[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("just words", "is not a mapping"),
        ("run: [unclosed", "not YAML"),
        ("run: {}\n---\nrun: {}", "a second document"),
        ("run: \x00", "not YAML"),
        ("- 1\n", "is not a mapping"),
    ],
)
def test_a_file_that_is_no_configuration_says_why(config, text, told):
    config.write_text(text)
    assert told in faults(config)[0]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    assert "absent.yaml: line 1: cannot be read" in faults(tmp_path / "absent.yaml")[0]


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "x" * 65])
def test_a_run_name_cannot_leave_the_folder(config, name):
    [fault] = faults(edit(config, "name: tiny", f"name: '{name}'"))
    assert "run.name" in fault


def test_the_data_folder_cannot_be_left(files, monkeypatch, tmp_path):
    monkeypatch.setenv("METROFLUX_DATA", str(tmp_path / "wrf"))
    [fault] = faults(edit(files, "file: prior.nc", "file: '${METROFLUX_DATA}/../prior.nc'"))
    assert "'..' leads out of the folder of real data" in fault


def test_the_archive_cannot_climb_out_of_the_output(config):
    config.write_text(config.read_text() + "archive: {path: ../../elsewhere}\n")
    [fault] = faults(config)
    assert "archive.path" in fault


def test_only_the_data_folder_is_expanded(files, monkeypatch, tmp_path):
    monkeypatch.setenv("METROFLUX_DATA", str(tmp_path))
    edit(files, "file: prior.nc", "file: '${METROFLUX_DATA}/prior.nc'")
    assert read_config(files).config.prior.inventory.file == tmp_path / "prior.nc"
    [fault] = faults(edit(files, "${METROFLUX_DATA}", "${HOME}"))
    assert "only ${METROFLUX_DATA}/ at the start of a path is expanded" in fault


def test_an_unset_data_folder_is_a_clear_configuration_error(files, monkeypatch):
    monkeypatch.delenv("METROFLUX_DATA", raising=False)
    [fault] = faults(edit(files, "file: prior.nc", "file: '${METROFLUX_DATA}/prior.nc'"))
    assert "METROFLUX_DATA is not set; expected the folder of real data" in fault


@pytest.mark.parametrize(
    ("old", "new", "key", "told"),
    [
        ("end: 2022-12-07T06:00", "end: 2022-12-07T00:00", "run.end", "the period is empty"),
        ("met: {reader: wrf, files: wrf/*.nc}", "", "met", "is missing"),
        ("grid: {from: prior}", "", "grid", "is missing"),
        ("grid: {from: prior}", "grid: {from: prior}\nworld: {seed: 1, truth_seed: 2, cells: 10, cell_size: 9}",  # noqa: E501
         "grid", "is superfluous"),
        ("start: 2022-12-07T00:00", "start: 2022", "run.start", "not a time"),
        ("value: 1850", "value: .nan", "background.value", "finite"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused_by_key(files, old, new, key, told):
    assert any(f"{key}: " in fault and told in fault for fault in faults(edit(files, old, new)))


def test_times_are_utc_unless_they_say_otherwise(config):
    edit(config, "start: 2024-03-04", "start: 2024-03-04T08:00:00+08:00")
    assert read_config(config).config.run.start.isoformat() == "2024-03-04T00:00:00+00:00"


def test_every_field_is_described_and_every_quantity_names_its_unit():
    from pydantic import BaseModel

    from pipelines import air, config, quality, sections, sources, stacks

    models = {
        m
        for module in (air, config, quality, sections, sources, stacks)
        for m in vars(module).values()
        if isinstance(m, type) and issubclass(m, BaseModel)
    }
    models -= {config.Read}
    bare = [
        f"{m.__name__}.{name}"
        for m in models
        for name, field in m.model_fields.items()
        if not field.description
    ]
    assert not bare
    units = (", m", ", 1", ", h", ", km", ", s", ", GB", "UTC", "in `unit`", "degrees", "umol", "of `error`")
    unitless = [
        f"{m.__name__}.{name}"
        for m in models
        for name, field in m.model_fields.items()
        if field.annotation is float and not any(unit in field.description for unit in units)
    ]
    assert not unitless


def test_validating_and_help_do_not_import_the_engines(config):
    script = (
        "import sys; from pipelines.cli import cli\n"
        "for arguments in (['--help'], ['run', '--help'], ['validate', sys.argv[1]]):\n"
        "    cli(arguments, standalone_mode=False)\n"
        "heavy = {m.split('.')[0] for m in sys.modules} & {'prefect', 'dask', 'distributed', 'numba'}\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(config)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_date_moves_the_period_and_the_data_and_keeps_their_length(files):
    plain = read_config(files)
    moved = read_config(files, plain.config.run.start.date() + timedelta(days=40))
    before, after = plain.config.run, moved.config.run
    assert after.start - before.start == timedelta(days=40)
    assert after.end - after.start == before.end - before.start
    assert moved.values["run"]["start"] == f"{after.start:%Y-%m-%dT%H:%M:%S}"
    assert moved.sha256 != plain.sha256
    assert read_config(files, before.start.date()).config == plain.config
