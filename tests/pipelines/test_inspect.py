"""`metroflux observations inspect` on real files and wrong ones; a file as source of a run."""

from io import StringIO
from typing import get_args

import numpy as np
import pytest
from rich.console import Console

from metroflux.errors import DataError
from metroflux.uncertainty import Shared, attach
from observations.contents import look
from observations.dataset import TruncatedFileWarning
from observations.flux_lidar.simulator import Scene, simulate_scan
from observations.head import read_head
from observations.kinds import KINDS, kind_of
from observations.metrology.certificates import COLUMNS
from observations.metrology.files import write_observations
from observations.recognise import FORMATS, read
from pipelines import sources
from pipelines.fields import paths_of
from pipelines.inputs import read_source
from pipelines.inspect_command import SHOW, inspect_file


def printed(path, width=80, **chosen):
    console = Console(file=StringIO(), width=width)
    inspect_file(path, chosen.get("name", "auto"), chosen.get("species"), chosen.get("plot", False), console)
    return console.file.getvalue()


def rows(said):
    """Return what is said of each name, lines that go on joined; of a name there twice the first counts."""
    found = {}
    for line in said.splitlines()[1:]:
        if not line.startswith(" "):
            name, _, text = line.partition("  ")
            found.setdefault(name, []).append(text.strip())
        else:
            last = list(found)[-1]
            found[last][-1] = f"{found[last][-1]} {line.strip()}"
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in found.items()}


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
    found = rows(printed(samples / "icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4"))
    assert found == {
        "format": "ICOS ATC level 2 or near-real-time text (reader icos)",
        "gas": "ch4",
        "scale": "WMO CH4 X2004A",
        "period": "2021-02-25 00:00 to 2021-02-27 01:00 UTC",
        "interval": "1 h",
        "used": "13 of 49 rows",
        "dropped": "36 rejected_by_provider",
        "range": "1981.3 to 2045.8 ppb",
        "uncertainty": "variability, median sd 2.96 ppb",
        "place": "RGL, inlet 90 m, 51.9975 N 2.5399 W",
        "note": "truncated: 94 lines of the 27189 that its header says",
    }


@pytest.mark.realdata
def test_what_gases_have_in_common_is_said_once_and_the_rest_of_each(samples):
    found = rows(printed(samples / "column/hw20230402_20230402.public.qc.nc"))
    assert found["gases"] == "co2, ch4, co, n2o"
    assert found["place"] == "harwell01, column, 51.57 N 1.32 W"
    assert found["co2"].startswith(
        "scale WMO CO2 X2019; used 64 of 64 rows; dropped none; range 420.1 to 421.89"
    )
    assert found["co"].startswith("scale unknown; used 0 of 64 rows; dropped 64 unknown_scale; range none")
    assert found["note"] == "co: calibration scale unknown: give `scale`"


@pytest.mark.realdata
def test_many_places_are_told_together(samples):
    found = rows(printed(samples / "obspack/ch4_spf_surface-flask_1_ccgg_Event.nc"))
    assert found["place"] == ("SPF, 144 inlets of -2923 to -1622 m, 89.98 to 73.8658 S, 149 W to 163.687 E")
    assert found["dropped"] == "13 rejected_by_provider, 13 out_of_range"


@pytest.mark.realdata
@pytest.mark.parametrize("width", [80, 200])
def test_every_sample_is_told_whole_at_80_columns_and_through_a_pipe(samples, width):
    told = 0
    for path in sorted(p for p in samples.rglob("*") if p.is_file()):
        try:
            said = printed(path, width)
        except DataError:
            continue
        told += 1
        assert max(map(len, said.splitlines())) <= width
        assert "\u2026" not in said
        # nothing is lost to the width: the same words, wherever lines break
        assert said.split() == printed(path, 1000).split()
    assert told == 44


@pytest.mark.realdata
def test_samples_that_are_refused_are_no_observations(samples):
    refused = {}
    for path in sorted(p for p in samples.rglob("*") if p.is_file()):
        try:
            printed(path)
        except DataError as fault:
            refused[path.name] = str(fault).removeprefix(f"{path}: ")
    unknown = [name for name, why in refused.items() if why.startswith("not in a known format")]
    assert unknown == [
        "averaged_gases.csv", "sites.csv", "incorrect_format.csv", "campaigns.json", "events.json",
        "locations.json", "sensors.json", "toh_metadata.json",
    ]  # fmt: skip
    assert {name: why for name, why in refused.items() if name not in unknown} == {
        "Unknown_site.csv": "BEACO2N node CSV, but no gas of it can be read: the averaging interval cannot "
        "be told from 1 rows, at no two different minutes; in the source of the configuration, give "
        "averaging_s (s)",
        "siliziumkugel_wrong_schema.xml": "DCC schema version '2.4.0'; expected 3.x.y",
        "empty.hpl": "empty; expected observations",
    }


@pytest.mark.realdata
def test_what_a_file_does_not_say_is_asked_for(samples):
    said = rows(printed(samples / "crds_gcwerks/bsd.picarro.1minute.108m.min.dat"))
    assert said["note"] == [
        "the file does not say where BSD is: give `sites`",
        "calibration scale not stated: give `scale`",
    ]
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
def test_a_source_takes_its_uncertainty_from_the_file_beside_which_is_an_input_of_the_run(samples):
    beside = samples / "agage/shangdianzi-medusa.18.precisions.C"
    source = sources.FormatSource.model_validate(
        {
            "reader": "agage-text",
            "file": str(samples / "agage/shangdianzi-medusa.18.C"),
            "uncertainty_file": str(beside),
            "sites": {"shangdianzi": {"latitude": 40.65, "longitude": 117.12}},
        },
        context={"folder": samples},
    )
    ds = read_source(source, "sf6")
    assert ds.random.values.tolist() == ["repeatability"]
    assert ds.random_sd.values.max() == pytest.approx(0.04499e-12, rel=1e-12)
    assert beside in set(paths_of(source))


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
def test_observations_that_metroflux_wrote_are_told_with_their_shared_errors(samples, tmp_path):
    ds = read(samples / "obspack/ch4_bao_tower-insitu_1_ccgg_all.nc")
    tank = Shared("tank:CB1", "certificate", np.full(ds.sizes["obs"], 1e-9), "CB1")
    path = tmp_path / "x.nc"
    write_observations(attach(ds, [], [tank]), path)
    found = rows(printed(path))
    assert found["format"] == "observations that metroflux wrote"
    assert (found["gas"], found["scale"], found["used"]) == ("ch4", "NOAA 2004A CH4", "4190 of 4190 rows")
    assert found["uncertainty"] == "measurement, median sd 8.21 ppb; shared: tank:CB1"
    assert found["taken by"].startswith("reader `calibrated` of a configuration")


@pytest.mark.realdata
@pytest.mark.filterwarnings("error")
def test_a_sample_that_breaks_off_anywhere_is_told_or_refused_with_a_reason(samples, tmp_path):
    files = [p for p in sorted(samples.rglob("*")) if p.is_file()]
    texts = [p for p in files if p.suffix != ".nc" and 0 < p.stat().st_size < 40_000]
    told = refused = 0
    for sample in texts:
        whole = sample.read_bytes()
        path = tmp_path / sample.name
        for share in (0.05, 0.37, 0.61, 0.9, 0.97, 0.995):
            path.write_bytes(whole[: int(share * len(whole))])
            try:
                printed(path)
                told += 1
            except DataError as fault:
                assert str(fault).startswith(str(path))  # noqa: PT017 - either way is right
                refused += 1
    assert told > 40 < refused


def test_a_tanks_csv_that_breaks_off_says_so(tmp_path):
    path = tmp_path / "x"
    row = "C{0},CB{0},co2,400.12,ppm,0.14,2,WMO CO2 X2019,2024-01-01,2027-01-01,P1,0.1\n"
    path.write_text(",".join(COLUMNS) + "\n" + row.format(1) + row.format(2)[:30])
    assert printed(path).endswith("truncated: line 3 breaks off and is left out\n")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("picarro_raw/CFADS2283-20180801-003712Z-DataLog_User.dat", "picarro-log"),
        ("cems/campd_hourly_AL_barry_unit4_20190101_sample.json", "stacks"),
        ("dcc/dcc_gp_humidity_v1.0.xml", "certificate"),
        ("dcc/siliziumkugel_wrong_schema.xml", "certificate"),
        ("agage/shangdianzi-medusa.18.precisions.C", "precisions"),
        ("lidar_halo/pass/eriswil-2022-12-14-Stare_91_20221214_11.hpl", "halo"),
        ("lidar_arm/sgpdlppiC1.b1.20191015.120023.cdf", "arm"),
    ],
)
def test_kinds_are_recognised_by_content_not_by_name(samples, tmp_path, name, kind):
    blind = tmp_path / "file"
    blind.write_bytes((samples / name).read_bytes())
    assert kind_of(read_head(blind)).name == kind


def test_every_kind_of_file_has_a_screen():
    assert set(SHOW) == {kind.name for kind in KINDS}


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "lidar_halo/pass/soverato-2021-10-01-VAD_194_20210624_170110.hpl",
            {
                "rays": "2 of 6, elevation 75 degrees",
                "period": "2021-06-24 17:01:14 to 2021-06-24 17:01:19 UTC",
            },
        ),
        (
            "lidar_halo/pass/warsaw-2022-12-13-Stare_213_20221213_04.hpl",
            {
                "instrument": "HALO 213",
                "note": "spectral width not declared in the header, but present",
                "wind": "all rays point up: variance of w and mixing height, no wind profile",
            },
        ),
        (
            "lidar_halo/xfail/warsaw-2021-10-01-Stare_213_20211001_18.hpl",
            {
                "note": [
                    "truncated: 1 whole rays of 3000 gates in 3601 lines",
                    "gates of 90 m overlap: their middles are 3 m apart",
                ]
            },
        ),
        (
            "lidar_halo/pass/hyytiala-2023-08-15-background/Background_150823-122811.txt",
            {"noise": "400 gates, median 2.11502e+07 counts", "time": "2023-08-15 12:28:11 UTC"},
        ),
        (
            "lidar_arm/sgpdlppiC1.b1.20191015.120023.cdf",
            {
                "format": "ARM Doppler lidar netCDF",
                "place": "36.6053 N 97.4865 W",
                "wind": "wind profile: 138 gates up to 436 m, median sd 0.23 m s-1",
            },
        ),
        (
            "picarro_raw/CFADS2283-20150831-171845Z-DataLog_User.dat",
            {
                "rows": "2679, most of them repeats: each gas has rows of its own",
                "co2": "884 rows of its own, 2015-08-31 17:18:40 to 2015-08-31 18:18:42 UTC "
                "wet 426.04 to 960.71 ppm, water 2.02 to 2.99 % valve turning: 5 rows, port 1: 40 rows, "
                "port 6: 78 rows, port 10: 520 rows, port 11: 40 rows, port 13: 79 rows, port 14: 42 rows, "
                "port 16: 80 rows",
                "taken by": "`metroflux calibrate`, as one of its `logs`",
            },
        ),
        (
            "cems/campd_hourly_AL_barry_unit4_20190101_sample.json",
            {
                "unit": "Barry-3-4",
                "period": "2019-01-01 00:00 to 2019-01-01 03:00, standard time of the plant",
                "used": "3 of 3 hours",
                "co2": "42.386 to 42.537 kg s-1",
            },
        ),
        (
            "dcc/dcc_gp_temperature_typical_v12.xml",
            {
                "certificate": "GP_DCC_temperature_typical_1.2",
                "valid": "from 1957-08-13, when the measurement ended; no end stated",
                "quantity": [
                    "Reference value, basic_referenceValue [\\kelvin] "
                    "306.248, 373.121, 448.253, 523.319, 593.154; no uncertainty",
                    "Indicated measured value probe, basic_measuredValue [\\kelvin] "
                    "306.32, 373.21, 448.36, 523.31, 593.07; no uncertainty",
                    "Measurement error, basic_measurementError [\\kelvin] "
                    "0.072±0.061, 0.089±0.061, 0.107±0.061, -0.009±0.061, -0.084±0.061; value±U, k = 2",
                ],
            },
        ),
        (
            "agage/shangdianzi-medusa.18.precisions.C",
            {
                "period": "2018-01-16 to 2018-01-21, 6 days",
                "gases": "52 of 61 with a standard deviation",
                "taken by": "reader `agage-text`, as `uncertainty_file` beside its .C file",
            },
        ),
    ],
)
def test_files_that_are_no_observations_are_told_with_what_takes_them(samples, name, says):
    found = rows(printed(samples / name))
    assert {key: found.get(key) for key in says} == says


def test_a_tanks_csv_is_told_with_its_expanded_uncertainties(tmp_path):
    path = tmp_path / "x"
    path.write_text(
        ",".join(COLUMNS) + "\n"
        "C1,CB1,co2,400.12,ppm,0.14,2,WMO CO2 X2019,2024-01-01,2027-01-01,P1,0.1\n"
        "C2,CB2,ch4,1900,ppb,2,2,WMO CH4 X2004A,2024-01-01,,,\n"
    )
    found = rows(printed(path))
    assert found["CB1"] == (
        "co2 400.12±0.14 ppm, k = 2 WMO CO2 X2019, certificate C1, of P1 valid from 2024-01-01, to 2027-01-01"
    )
    assert found["CB2"].endswith("certificate C2 valid from 2024-01-01, no end stated")
    assert found["taken by"] == "`metroflux calibrate`, as its `tanks`"


def test_manual_edits_are_told_with_who_and_why(tmp_path):
    path = tmp_path / "x"
    path.write_text(
        "site,instrument,start,end,reason,who,when\nA,*,2024-06-01,2024-06-02,pump,M. Li,2024-07-02\n"
    )
    assert rows(printed(path))["A"] == (
        "all instruments, 2024-06-01 00:00 to 2024-06-02 00:00 UTC pump (M. Li, 2024-07-02)"
    )


def test_a_dial_scan_is_told_with_both_errors_and_whether_it_is_a_whole_plane(tmp_path):
    scene = Scene(np.arange(300.0, 1201.0, 30.0), np.arange(0.25, 15.0, 0.5))
    scan = simulate_scan(scene, 0.03, np.random.default_rng(11))
    path = tmp_path / "scan"
    scan.to_netcdf(path)
    found = rows(printed(path))
    assert found["rays"] == "30, elevation 0.25 to 14.75 degrees, azimuth 0 degrees"
    assert found["gates"] == "30 of 30 m, 315 to 1185 m"
    assert found["common sd"] == "3 % by the cross-section (simulated line)"
    assert found["plane"] == "whole: a flux through it can be had"
    assert found["random sd"].endswith(" ppb of a gate")
    scan.mole_fraction[3, 4] = np.nan
    scan.to_netcdf(path)
    found = rows(printed(path))
    assert found["missing"] == "1 of 900 gates"
    assert found["plane"].startswith("1 cells missing")


@pytest.mark.realdata
def test_an_empty_lidar_file_is_refused(samples):
    with pytest.raises(DataError, match="empty"):
        printed(samples / "lidar_halo/xfail/empty.hpl")
