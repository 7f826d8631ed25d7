"""`metroflux observations inspect` on real files and wrong ones; a file as source of a run."""

from io import StringIO
from typing import get_args

import pytest
from rich.console import Console

from metroflux.errors import DataError
from observations.contents import look
from observations.dataset import TruncatedFileWarning
from observations.recognise import FORMATS
from pipelines import sources
from pipelines.cli import observations as group
from pipelines.inputs import read_source
from pipelines.inspect_command import inspect_file


def printed(path, **chosen):
    console = Console(file=StringIO(), width=200)
    inspect_file(path, chosen.get("name", "auto"), chosen.get("species"), chosen.get("plot", False), console)
    return console.file.getvalue()


@pytest.fixture
def samples(monkeypatch):
    import os
    from pathlib import Path

    root = os.environ.get("METROFLUX_DATA")
    if not root:
        pytest.skip("METROFLUX_DATA is not set: no real data")
    return Path(root) / "observations"


@pytest.mark.realdata
def test_a_truncated_icos_file_is_told_with_used_and_dropped_rows(samples):
    said = printed(samples / "icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4")
    assert "WMO CH4 X2004A" in said
    assert "49   │ 13   │ 36 rejected_by_provider" in said
    assert "truncated: 94 lines of the 27189" in said


@pytest.mark.realdata
def test_what_a_file_does_not_say_is_asked_for(samples):
    said = printed(samples / "crds_gcwerks/bsd.picarro.1minute.108m.min.dat")
    assert "ch4, co2, co: the file does not say where BSD is: give `sites`" in said
    assert "ch4, co2, co: calibration scale not stated" in said
    columns = printed(samples / "column/em27/mc220602-combined-invparms.csv", species="co2")
    assert "columns without averaging kernel" in columns


@pytest.mark.realdata
def test_a_gas_that_cannot_be_read_does_not_hide_the_others(samples):
    contents = look(samples / "agage/shangdianzi-medusa.18.C")
    assert len(contents.gases) + len(contents.refused) == 61
    assert sorted(contents.refused) == ["c-propane", "ethene", "ethyne"]


@pytest.mark.realdata
def test_the_drawing_is_written_where_one_stands(samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed(samples / "obspack/ch4_spf_surface-flask_1_ccgg_Event.nc", plot=True)
    (png,) = tmp_path.glob("*.png")
    assert png.name == "ch4_spf_surface-flask_1_ccgg_Event.nc.ch4.png"
    assert png.stat().st_size > 10_000


def test_a_wrong_file_or_format_is_a_data_error(tmp_path):
    wrong = tmp_path / "notes.txt"
    wrong.write_text("milk, eggs\n")
    with pytest.raises(DataError, match="not in a known format; it begins with 'milk, eggs'"):
        printed(wrong)
    with pytest.raises(DataError, match="format 'icoss' is unknown; expected auto, icos"):
        printed(wrong, name="icoss")
    wrong.write_text("local_timestamp,datetime,node_id,epoch\n1,2,3,4\n")
    with pytest.raises(DataError, match="BEACO2N node CSV, but no gas of it can be read: it names no gas"):
        printed(wrong)


def test_the_configuration_knows_every_format():
    words = get_args(sources.FormatSource.model_fields["reader"].annotation)
    assert set(words) == {"auto", *FORMATS}
    assert [command.name or command.callback.__name__ for command in group.registered_commands] == [
        "inspect",
        "compare",
    ]


@pytest.mark.realdata
def test_a_source_reads_a_file_by_its_content_with_place_and_scale_of_the_configuration(samples):
    source = sources.FormatSource.model_validate(
        {
            "reader": "auto",
            "file": str(samples / "crds_gcwerks/tac.picarro.hourly.100m.test.dat"),
            "sites": {"TAC": {"latitude": 52.52, "longitude": 1.14}},
            "scale": "WMO CH4 X2004A",
        },
        context={"folder": samples},
    )
    ds = read_source(source, "ch4")
    assert (ds.attrs["format"], ds.attrs["scale"], ds.attrs["place"]) == (
        "gcwerks",
        "WMO CH4 X2004A",
        "given",
    )
    assert set(ds.inlet.values) == {100.0}


@pytest.mark.realdata
def test_a_truncated_source_warns_and_the_dataset_says_so(samples):
    file = samples / "icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4"
    source = sources.FormatSource.model_validate(
        {"reader": "icos", "file": str(file)}, context={"folder": samples}
    )
    with pytest.warns(TruncatedFileWarning, match="94 lines of the 27189"):
        ds = read_source(source, "ch4")
    assert ds.attrs["truncated"] == "truncated: 94 lines of the 27189 that its header says"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "lidar_halo/pass/soverato-2021-10-01-VAD_194_20210624_170110.hpl",
            ["2 of 6", "the file announces 6"],
        ),
        (
            "lidar_halo/pass/warsaw-2022-12-13-Stare_213_20221213_04.hpl",
            ["HALO 213", "not declared", "point up"],
        ),
        (
            "lidar_halo/xfail/warsaw-2021-10-01-Stare_213_20211001_18.hpl",
            ["truncated: 1 whole ray", "overlap"],
        ),
        ("lidar_halo/pass/hyytiala-2023-08-15-background/Background_150823-122811.txt", ["400 gates"]),
        ("lidar_arm/sgpdlppiC1.b1.20191015.120023.cdf", ["ARM Doppler", "36.6053", "wind profile: "]),
    ],
)
def test_lidar_files_are_recognised_and_told(samples, name, says):
    said = printed(samples / name)
    assert [word for word in says if word not in said] == []


@pytest.mark.realdata
def test_an_empty_lidar_file_is_refused(samples):
    with pytest.raises(DataError, match="empty"):
        printed(samples / "lidar_halo/xfail/empty.hpl")
