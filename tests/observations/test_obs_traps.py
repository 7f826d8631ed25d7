"""What real samples do that a reader must not fall for; other traps have tests beside their readers."""

import shutil
import warnings
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from metroflux.errors import DataError
from observations.dataset import FLAG_MEANINGS, TruncatedFileWarning
from observations.formats.series import Supplement
from observations.metrology.picarro import read_log
from observations.metrology.water import published
from observations.recognise import read
from observations.table import Site

pytestmark = pytest.mark.realdata

RIDGE_HILL = "icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4"
PICARRO = "picarro_raw/CFADS2283-20150831-171845Z-DataLog_User.dat"


@pytest.fixture
def folder(data_root):
    return data_root / "observations"


def counts(ds):
    values, n = np.unique(ds.flag.values, return_counts=True)
    return {FLAG_MEANINGS[v]: int(k) for v, k in zip(values, n, strict=True)}


def anywhere(path, species=None, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedFileWarning)
        return read(path, given=Supplement(species, anywhere=Site(0.0, 0.0), **given))


def changed(folder, tmp_path, old, new, many):
    text = (folder / RIDGE_HILL).read_text(encoding="utf-8")
    assert text.count(old) >= many
    path = tmp_path / "changed"
    path.write_text(text.replace(old, new, many), encoding="utf-8")
    return path


def test_icos_missing_values_are_missing_even_under_a_good_flag(folder, tmp_path):
    # -999.990 for the value, -9.990 for its spread, and fields that are empty
    as_good = changed(folder, tmp_path, ";-999.990;-9.990;0;K;115;", ";-999.990;-9.990;0;O;115;", 29)
    ds = anywhere(as_good)
    assert counts(ds) == {"good": 13, "rejected_by_provider": 7, "missing": 29}
    assert np.isnan(ds.mole_fraction.values[:36]).all()
    assert (ds.random_sd.values[:36] == 0).all()
    assert (ds.n_samples.values[:36] == 0).all()


def test_an_hour_of_the_icos_instrument_of_unknown_scale_is_refused_unless_accepted(folder, tmp_path):
    # the header says 530: Unknown; 115: WMO X2004A
    path = changed(folder, tmp_path, ";49;O;115;", ";49;O;530;", 1)
    assert counts(anywhere(path)) == {"good": 12, "rejected_by_provider": 36, "unknown_scale": 1}
    assert anywhere(path).attrs["scale"] == "WMO CH4 X2004A"
    accepted = anywhere(path, accept_unknown_scale=True)
    assert counts(accepted)["good"] == 13
    assert accepted.attrs["scale"] == "WMO CH4 X2004A and unknown"
    given = anywhere(path, scale="WMO CH4 X2004A")
    assert (counts(given)["good"], given.attrs["scale"]) == (13, "WMO CH4 X2004A")


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("ch4_spf_surface-flask_1_ccgg_Event.nc", {"...": 397, "A..": 9, "N..": 3, "*..": 1}),
        ("ch4_bao_tower-insitu_1_ccgg_all.nc", {"..P": 4190}),
    ],
)
def test_the_first_column_of_an_obspack_flag_rejects_and_the_third_does_not(folder, name, flags):
    with xr.open_dataset(folder / "obspack" / name) as file:
        said = file.qcflag.values.astype(str)
    words, n = np.unique(said, return_counts=True)
    assert dict(zip(words.tolist(), n.tolist(), strict=True)) == flags
    ds = anywhere(folder / "obspack" / name)
    rejected = ds.flag.values == FLAG_MEANINGS.index("rejected_by_provider")
    assert set(said[rejected]) == {flag for flag in flags if flag[0] != "."}
    assert not rejected[np.char.startswith(said, ".")].any()


@pytest.mark.parametrize(
    ("name", "gas", "value", "sd"),
    [
        ("obspack/ch4_bao_tower-insitu_1_ccgg_all.nc", "ch4", "value", "value_unc"),
        ("obspack/ch4_esp_surface-flask_2_representative.nc", "ch4", "value", "value_std_dev"),
        ("agage/agage_cgo_hcfc-133a_20240703-test.nc", "hcfc-133a", "mf", "mf_repeatability"),
        ("icos/test_toh_co2_147m.nc", "co2", "co2", "co2_variability"),
        ("column/hw20230402_20230402.public.qc.nc", "ch4", "xch4", "xch4_error"),
        ("column/gosat-fts_gosat_20160101_ch4-column.nc", "ch4", "xch4", "xch4_uncertainty"),
    ],
)
def test_a_fill_value_of_1e36_that_no_file_declares_is_flagged_and_never_used(
    folder, tmp_path, name, gas, value, sd
):
    whole = anywhere(folder / name, gas, accept_unknown_scale=True)
    first, second = np.flatnonzero(whole.flag.values == 0)[:2]
    path = Path(shutil.copy(folder / name, tmp_path / "filled.nc"))
    path.chmod(0o600)
    with netCDF4.Dataset(path, "a") as file:
        file[value][first], file[sd][second] = 1e36, 1e36
    found = anywhere(path, gas, accept_unknown_scale=True)
    assert FLAG_MEANINGS[found.flag.values[first]] == "out_of_range"
    assert np.isnan(found.mole_fraction.values[first])
    assert FLAG_MEANINGS[found.flag.values[second]] == "uncertainty_missing"
    assert counts(found)["good"] == counts(whole)["good"] - 2
    assert found.random_sd.values.max() < 1e-6


@pytest.mark.parametrize(
    ("name", "gas", "header"),
    [
        (RIDGE_HILL, "ch4", 0),
        ("icos/tta.co2.1minute.222m.min.dat", "co2", 1),
        ("obspack/co_pocn25_surface-flask_1_ccgg_event.txt", "co", 0),
        ("wdcgg/ch4_syo_surface-flask_2_3001-9999_event.txt", "ch4", 0),
        ("wdcgg/hfc134a_mhd_surface-insitu_4_2023-2022_monthly.txt", "hfc134a", 0),
        ("crds_gcwerks/bsd.picarro.1minute.108m.min.dat", "co2", 3),
        ("agage/shangdianzi-medusa.18.C", "sf6", 5),
        ("beaco2n/171_UNIVERSITYOFSTRATHCLYDE.csv", "co2", 1),
        ("column/em27/mc220602-combined-invparms.csv", "co", 1),
    ],
)
def test_every_line_of_data_is_in_the_dataset_with_a_flag_and_none_is_deleted(folder, name, gas, header):
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    data = [line for line in lines if line.strip() and not line.startswith("#")][header:]
    ds = anywhere(folder / name, gas)
    assert ds.sizes["obs"] == len(data)
    assert not np.isnan(ds.mole_fraction.values[ds.flag.values == 0]).any()
    assert (ds.flag.values != 0)[np.isnan(ds.mole_fraction.values)].all()


def test_a_picarro_log_is_forward_filled_and_corrects_with_the_reported_water(folder):
    log = read_log(folder / PICARRO, "co2")
    lines = [line.split() for line in (folder / PICARRO).read_text().splitlines()]
    columns = dict(zip(lines[0], np.array(lines[1:], dtype=str).T, strict=True))
    own = np.round(columns["species"].astype(float)) == 1
    assert (own.size, log.time.size) == (2679, 884)
    assert own.sum() - log.time.size <= 1  # the last row may have no water after it
    # a row that is not its own repeats the number before it
    wet = columns["CO2"].astype(float)
    repeated = ~own[1:] & (wet[1:] == wet[:-1])
    assert repeated.sum() / (~own[1:]).sum() > 0.99
    # the other column, H2O, would be wrong by more than the analyser's noise
    water = published("co2", 0.0, 0.0)
    other = columns["H2O"].astype(float)[own][: log.time.size]
    right, wrong = (np.abs(water.dry(log.wet, w) - log.reported_dry) for w in (log.water, other))
    assert np.median(right) < 0.01e-6
    assert np.median(wrong) > 10 * np.median(right)


def test_the_local_timestamp_of_beaco2n_is_not_the_time_of_glasgow(folder, tmp_path):
    name = "beaco2n/175_BELLAHOUSTONACADEMY.csv"
    text = (folder / name).read_text()
    header, first = text.splitlines()[:2]
    fields = dict(zip(header.split(","), first.split(","), strict=True))
    # Glasgow's summer time is UTC + 1 h, the column is UTC - 7 h
    assert (fields["local_timestamp"], fields["datetime"]) == ("2021-07-15 04:00:00", "2021-07-15 11:00:00")
    whole = anywhere(folder / name, "co2")
    path = tmp_path / "node.csv"
    path.write_text(text.replace(fields["local_timestamp"], "1999-01-01 00:00:00"))
    assert anywhere(path, "co2").identical(whole)
    path.write_text(text.replace(",datetime,", ",date,"))
    with pytest.raises(DataError, match="not in a known format"):
        anywhere(path, "co2")
