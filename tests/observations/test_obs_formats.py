"""Every format read from its real sample: value, unit, scale, time bounds, flag."""

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import DataError
from observations.dataset import FLAG_MEANINGS
from observations.formats.obspack import read_obspack
from observations.formats.series import Supplement
from observations.recognise import FORMATS, read, recognise
from observations.table import Site

pytestmark = pytest.mark.realdata

BSD = "crds_gcwerks/bsd.picarro.1minute.108m.min.dat"
MEDUSA = "agage/shangdianzi-medusa.18.C"
GLASGOW = "beaco2n/175_BELLAHOUSTONACADEMY.csv"
PROFFAST1, PROFFAST2 = "em27/mc220602-combined-invparms.csv", "em27/comb_invparms_so_SN039_170608-170608.csv"


def counts(ds):
    values, n = np.unique(ds.flag.values, return_counts=True)
    return {FLAG_MEANINGS[v]: int(k) for v, k in zip(values, n, strict=True)}


@pytest.fixture
def sample(data_root):
    """Read a sample by its content."""

    def read_sample(name, **given):
        return read(data_root / "observations" / name, given=Supplement(**given))

    return read_sample


# file; gas; rows by flag; index, value in the file, factor, start and end of one row; scale; place
CASES = [
    ("obspack/ch4_bao_tower-insitu_1_ccgg_all.nc", "ch4", {"good": 4190},
     (0, np.float32(1969.01), 1e-9, "2012-05-04T00:00", "2012-05-04T01:00"), "NOAA 2004A CH4",
     ("BAO", 40.05, -105.004, 22.0)),
    ("obspack/ch4_esp_surface-flask_2_representative.nc", "ch4", {"good": 96, "uncertainty_missing": 13},
     (0, np.float32(1.76763e-06), 1.0, "1993-06-17T00:12:30", "1993-06-17T00:12:30"), "WMO CH4 X2004A",
     ("ESP", 49.383, -126.533, 40.0)),
    ("obspack/ch4_spf_surface-flask_1_ccgg_Event.nc", "ch4",
     {"good": 384, "rejected_by_provider": 13, "out_of_range": 13},
     (0, np.float32(1673.89), 1e-9, "1995-01-28T19:20", "1995-01-28T19:20"), "NOAA 2004A CH4",
     ("SPF", -89.98, -24.8, -2820.0)),
    ("obspack/ch4_scsn06_surface-flask_1_ccgg_event.txt", "ch4", {"good": 10},
     (1, 1710.440, 1e-9, "1991-07-05T17:00", "1991-07-05T17:00"), "not stated", ("SCS", 6.05, 107.98, 20.0)),
    ("obspack/co_pocn25_surface-flask_1_ccgg_event.txt", "co", {"good": 57, "rejected_by_provider": 10},
     (66, 73.230, 1e-9, "2017-07-15T04:15", "2017-07-15T04:15"), "not stated",
     ("POC", 25.0, -147.5333, 20.0)),
    ("wdcgg/ch4_syo_surface-flask_2_3001-9999_event.txt", "ch4",
     {"good": 1460, "rejected_by_provider": 105},
     (1564, 1826.96, 1e-9, "2020-12-23T06:15", "2020-12-23T06:15"), "WMO CH4 X2004A",
     ("SYO", -69.0125, 39.59, 5.0)),
    ("wdcgg/ch4_syo_surface-flask_2_3001-9999_monthly.txt", "ch4", {"good": 404},
     (0, 1604.58, 1e-9, "1986-04-01", "1986-05-01"), "WMO CH4 X2004A", ("SYO", -69.0053, 39.5811, np.nan)),
    ("wdcgg/hfc134a_mhd_surface-insitu_4_2023-2022_monthly.txt", "hfc134a",
     {"good": 196, "rejected_by_provider": 1},
     (3, 33.405, 1e-12, "2004-02-01", "2004-03-01"), "SIO-05", ("MHD", 53.33, -9.9, np.nan)),
    (BSD, "co2", {"good": 133, "missing": 28},
     (3, 409.55, 1e-6, "2014-01-30T11:12", "2014-01-30T11:13"), "not stated", ("BSD", 54.36, -1.15, 108.0)),
    (BSD, "ch4", {"good": 133, "missing": 28},
     (3, 1959.55, 1e-9, "2014-01-30T11:12", "2014-01-30T11:13"), "not stated", ("BSD", 54.36, -1.15, 108.0)),
    ("crds_gcwerks/tac.picarro.hourly.100m.test.dat", "ch4", {"good": 71},
     (0, 1883.73, 1e-9, "2014-07-01T00:04:57", "2014-07-01T01:04:57"), "not stated",
     ("TAC", 52.52, 1.14, 100.0)),
    (MEDUSA, "sf6", {"good": 5, "rejected_by_provider": 1, "missing": 1},
     (1, 9.743, 1e-12, "2018-01-16T09:10", "2018-01-16T09:30"), "SIO-05",
     ("shangdianzi", 40.65, 117.12, np.nan)),
    ("agage/agage_cgo_hcfc-133a_20240703-test.nc", "hcfc-133a",
     {"good": 1454, "missing": 40, "uncertainty_missing": 6},
     (0, np.float32(0.39702976), 1e-12, "2023-03-06T20:54", "2023-03-06T21:14"), "Empa-2013",
     ("CGO", -40.683333, 144.689444, 70.0)),
    (GLASGOW, "co2", {"good": 26, "missing": 1},
     (1, 410.7, 1e-6, "2021-07-15T12:00", "2021-07-15T13:00"), "not stated", ("175", 55.85, -4.29, np.nan)),
    ("column/hw20230402_20230402.public.qc.nc", "co2", {"good": 64},
     (0, np.float32(420.8568), 1e-6, "2023-04-02T15:09", "2023-04-02T15:09"), "WMO CO2 X2019",
     ("harwell01", 51.57, -1.32, np.nan)),
    ("column/hw20230402_20230402.public.qc.nc", "ch4", {"good": 64},
     (0, np.float32(1.8868), 1e-6, "2023-04-02T15:09", "2023-04-02T15:09"), "WMO CH4 X2004",
     ("harwell01", 51.57, -1.32, np.nan)),
    ("column/oco2-spectrometer_oco2_20150131-336_co2-column.nc", "co2", {"good": 1},
     (0, np.float32(399.24), 1e-6, "2015-01-31T07:36:43.889521152", "2015-01-31T07:36:43.889521152"),
     "WMO CO2 X2007", ("OCO-2", 53.409214, 73.88834, np.nan)),
    ("column/gosat-fts_gosat_20160101_ch4-column.nc", "ch4", {"good": 49},
     (0, 1810.89001465, 1e-9, "2016-01-01T14:59:12.5", "2016-01-01T14:59:12.5"), "not stated",
     ("GOSAT", -9.447896, -36.36238861, np.nan)),
    ("icos/test_toh_co2_147m.nc", "co2", {"unknown_scale": 30},
     (1, 416.22399902, 1e-6, "2017-12-13T02:00", "2017-12-13T03:00"), "unknown",
     ("TOH", 51.8088, 10.535, 147.0)),
    ("icos/tta.co2.1minute.222m.min.dat", "co2", {"rejected_by_provider": 4, "unknown_scale": 52},
     (1, 401.645, 1e-6, "2011-03-30T08:52", "2011-03-30T08:53"), "unknown", ("TTA", 56.555, -2.986, 222.0)),
    (f"column/{PROFFAST2}", "co2", {"good": 14},
     (0, 405.953, 1e-6, "2017-06-08T05:46:19", "2017-06-08T05:46:19"), "not stated",
     ("EM27", 67.366, 26.63, np.nan)),
    (f"column/{PROFFAST1}", "ch4", {"good": 10},
     (0, 1.8772, 1e-6, "2022-06-02T05:13:55", "2022-06-02T05:13:55"), "not stated",
     ("EM27", 48.148, 16.438, np.nan)),
]  # fmt: skip

PLACES = {
    "BSD": Site(54.36, -1.15),
    "TAC": Site(52.52, 1.14),
    "shangdianzi": Site(40.65, 117.12),
    "175": Site(55.85, -4.29),
    "TTA": Site(56.555, -2.986),
}


@pytest.mark.parametrize(
    ("name", "gas", "flags", "row", "scale", "place"),
    CASES,
    ids=[f"{case[0].split('/')[-1]}-{case[1]}" for case in CASES],
)
def test_a_real_sample_gives_the_value_unit_scale_bounds_and_flags_of_the_file(
    sample, name, gas, flags, row, scale, place
):
    site, latitude, longitude, inlet = place
    given = {"sites": {site: PLACES[site]}} if site in PLACES else {}
    ds = sample(name, species=gas, **given)
    index, value, factor, start, end = row
    one = ds.isel(obs=index)
    assert counts(ds) == flags
    assert ds.mole_fraction.attrs["units"] == "mol mol-1"
    assert float(one.mole_fraction) == pytest.approx(float(value) * factor, rel=1e-9)
    assert one.time_bounds.values.tolist() == [np.datetime64(t, "ns").astype(int) for t in (start, end)]
    assert ds.attrs["scale"] == scale
    assert str(one.site.values) == site
    assert (float(one.latitude), float(one.longitude)) == pytest.approx((latitude, longitude), abs=1e-5)
    assert float(one.inlet) == pytest.approx(inlet, nan_ok=True)


def test_every_format_with_a_sample_is_recognised_by_content_not_by_name(data_root, tmp_path):
    seen = set()
    for name in {case[0] for case in CASES}:
        path = data_root / "observations" / name
        blind = tmp_path / "file"
        blind.write_bytes(path.read_bytes())
        assert recognise(blind).name == recognise(path).name
        seen.add(recognise(path).name)
    # ICOS has tests of its own; no sample of ICOS Cities is among the real data
    assert seen == set(FORMATS) - {"icos", "icos-cities"}


def test_bao_in_ppb_and_esp_in_mol_agree_in_units_to_1e_9(data_root, tmp_path):
    folder = data_root / "observations/obspack"
    for name, unit, factor in (
        ("ch4_bao_tower-insitu_1_ccgg_all.nc", "nanomol mol-1", 1e-9),
        ("ch4_esp_surface-flask_2_representative.nc", "mol mol-1", 1.0),
    ):
        with xr.open_dataset(folder / name) as file:
            assert file.value.attrs["units"] == unit
            held = file.value.values.astype(np.float64) * factor
            other = {"mol mol-1": "nanomol mol-1", "nanomol mol-1": "mol mol-1"}[unit]
            twin = file.load().assign(
                value=("obs", held / {"mol mol-1": 1.0, "nanomol mol-1": 1e-9}[other], {"units": other})
            )
        ours = read_obspack(folder / name).mole_fraction.values
        assert np.abs(ours / held - 1).max() < 1e-9
        # the same data written in the other unit are the same data
        twin = twin.drop_vars([v for v in ("value_unc", "value_std_dev") if v in twin])
        twin.drop_encoding().to_netcdf(tmp_path / name)
        assert np.abs(read_obspack(tmp_path / name).mole_fraction.values / ours - 1).max() < 1e-9
        assert 1.7e-6 < np.median(ours) < 2.1e-6


def test_tccon_has_x2007_beside_x2019_and_another_scale_is_refused(sample):
    name = "column/hw20230402_20230402.public.qc.nc"
    new, old = (sample(name, species="co2", scale=f"WMO CO2 {x}") for x in ("X2019", "X2007"))
    assert sample(name, species="co2").identical(new)
    assert (new.attrs["scale"], old.attrs["scale"]) == ("WMO CO2 X2019", "WMO CO2 X2007")
    assert new.mole_fraction.values[0] - old.mole_fraction.values[0] == pytest.approx(0.0468e-6, rel=1e-2)
    with pytest.raises(DataError, match=r"no co2 on 'WMO CO2 X2018'; the file has: WMO CO2 X2019, WMO CO2 X"):
        sample(name, species="co2", scale="WMO CO2 X2018")


def test_kernels_and_weights_are_turned_to_begin_at_the_surface_and_weights_sum_to_one(sample):
    cases = (
        # file, gas, kernel and weight at the surface and at the top as the file has them
        ("oco2-spectrometer_oco2_20150131-336_co2-column.nc", "co2", (0.97695845, 0.02625245),
         (0.23053122, 0.02641509)),
        ("gosat-fts_gosat_20160101_ch4-column.nc", "ch4", (0.9846826, 0.03246207), (0.77420753, 0.00047942)),
    )  # fmt: skip
    for name, gas, surface, top in cases:
        ds = sample(f"column/{name}", species=gas)
        for level, expected in ((0, surface), (-1, top)):
            found = ds.averaging_kernel.values[0, level], ds.pressure_weight.values[0, level]
            assert found == pytest.approx(expected, rel=1e-5)
        assert np.abs(ds.pressure_weight.values.sum(axis=1) - 1).max() < 0.01


def test_tccon_weights_act_on_dry_mole_fractions(data_root, sample):
    path = data_root / "observations/column/hw20230402_20230402.public.qc.nc"
    ds = sample("column/hw20230402_20230402.public.qc.nc", species="co2")
    with xr.open_dataset(path) as file:
        dry = file.prior_co2.values / (1 - file.prior_h2o.values)
        expected = file.prior_xco2_x2019.values
    # the file's own column of its prior, which it computes from wet mole fractions
    assert (ds.pressure_weight.values * dry).sum(axis=1) == pytest.approx(expected, rel=1e-4)


def test_paired_flasks_are_two_data(sample):
    ds = sample("obspack/ch4_scsn06_surface-flask_1_ccgg_event.txt")
    assert ds.datum_id.values[:2].tolist() == [
        "SCS:ch4:20:1991-07-05T17:00:00",
        "SCS:ch4:20:1991-07-05T17:00:00:2",
    ]


def test_beaco2n_times_are_datetime_and_must_agree_with_epoch(data_root, tmp_path, sample):
    ds = sample(GLASGOW, species="co2", sites={"175": PLACES["175"]})
    assert str(ds.time.values[0]) == "2021-07-15T11:00:00.000000000"
    text = (data_root / "observations" / GLASGOW).read_text()
    wrong = tmp_path / "node.csv"
    wrong.write_text(text.replace("2021-07-15 12:00:00,175", "2021-07-15 05:00:00,175"))
    with pytest.raises(DataError, match="'datetime' is not 'epoch' in 1 rows"):
        read(wrong, given=Supplement(species="co2", anywhere=Site(0, 0)))


def test_a_file_that_does_not_say_its_place_gas_or_interval_asks_for_it(sample):
    with pytest.raises(DataError, match="does not say where BSD is; give its latitude"):
        sample(BSD, species="co2")
    with pytest.raises(DataError, match="has ch4, co2, co; say which gas"):
        sample(BSD, sites={"BSD": PLACES["BSD"]})
    with pytest.raises(DataError, match=r"averaging interval cannot be told.* give averaging_s"):
        sample("beaco2n/Unknown_site.csv", sites={"8": Site(37.8, -122.2)})
    with pytest.raises(DataError, match="no co2; the file has: ch4"):
        sample("obspack/ch4_bao_tower-insitu_1_ccgg_all.nc", species="co2")
    with pytest.raises(DataError, match="no site XYZ; the file has: BAO"):
        sample("obspack/ch4_bao_tower-insitu_1_ccgg_all.nc", sites={"XYZ": Site(0, 0)})


def test_a_place_given_replaces_that_of_the_file(sample):
    ds = sample("obspack/ch4_bao_tower-insitu_1_ccgg_all.nc", sites={"BAO": Site(40.0, -105.0)})
    assert set(ds.latitude.values) == {40.0}
    assert set(ds.inlet.values) == {22, 100, 300}
    assert ds.attrs["place"] == "given"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("beaco2n/incorrect_format.csv", "not in a known format; it begins with 'datetime,node_id"),
        ("acropolis/sites.csv", "not in a known format"),
        ("lidar_halo/xfail/empty.hpl", "empty"),
        (
            "picarro_raw/CFADS2283-20180801-003712Z-DataLog_User.dat",
            "Picarro DataLog_User raw log, no observations as they are; taken by `metroflux calibrate`",
        ),
        ("agage/shangdianzi-medusa.18.precisions.C", "taken by reader `agage-text`, as `uncertainty_file`"),
    ],
)
def test_other_files_are_refused_with_what_was_looked_for(data_root, name, what):
    with pytest.raises(DataError, match=what):
        recognise(data_root / "observations" / name)


def test_a_gas_without_a_mole_fraction_unit_is_refused(sample):
    with pytest.raises(DataError, match=r"shangdianzi-medusa.18.C: unit '.*' is not a mole fraction"):
        sample(MEDUSA, species="ethyne", sites={"shangdianzi": PLACES["shangdianzi"]})


@pytest.mark.parametrize(
    "name",
    [
        "obspack/ch4_esp_surface-flask_2_representative.nc",
        "agage/agage_cgo_hcfc-133a_20240703-test.nc",
        "column/gosat-fts_gosat_20170318_ch4-column.nc",
    ],
)
def test_a_netcdf_that_is_cut_short_is_a_data_error(data_root, tmp_path, name):
    whole = (data_root / "observations" / name).read_bytes()
    cut = tmp_path / "cut.nc"
    for share in (0.1, 0.5, 0.9):
        cut.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match="cannot be read as netCDF"):
            read(cut)


def test_a_text_file_named_as_netcdf_and_a_binary_file_are_told_by_content(data_root, tmp_path):
    text = data_root / "observations/obspack/ch4_scsn06_surface-flask_1_ccgg_event.txt"
    path = tmp_path / "x.nc"
    path.write_bytes(text.read_bytes())
    assert read(path).identical(read(text))
    path.write_bytes(b"\x00\x01\x02" * 50)
    with pytest.raises(DataError, match="binary, but not netCDF"):
        read(path)
    with pytest.raises(DataError, match=r"no variable value, .*; expected an ObsPack file"):
        read(data_root / "observations/column/gosat-fts_gosat_20170318_ch4-column.nc", "obspack")
