"""The generic table reader on real files, each with its own trap."""

from dataclasses import replace

import numpy as np
import pytest

from metroflux.errors import DataError
from observations.background import BackgroundError, from_series
from observations.dataset import FLAG_MEANINGS
from observations.selection import Selection, select
from observations.table import Site, TableMapping, read_table

pytestmark = pytest.mark.realdata

NEW_ZEALAND = TableMapping(
    species="co2",
    unit="umol mol-1",
    sites={"BHD": Site(-41.408, 174.871, 10.0), "LAU": Site(-45.03, 169.68, 10.0)},
    site="site",
    sd={"within-hour": "mole_fraction_sd"},
)


def new_zealand(data_root):
    return data_root / "new_zealand_co2/towers_2011_2012.nc"


def test_new_zealand_towers_are_hours_of_13_local_standard_time(data_root):
    ds = read_table(new_zealand(data_root), NEW_ZEALAND)
    assert ds.sizes["obs"] == 1302
    assert ds.mole_fraction.values[0] == pytest.approx(386.43440133e-6, rel=1e-10)
    assert str(ds.time.values[0]) == "2011-01-01T01:00:00.000000000"
    assert np.all(np.diff(ds.time_bounds.values, axis=1) == np.timedelta64(1, "h"))
    kept, dropped = select(ds, Selection(hours=(13, 14), zone="+12:00"))
    # ten hours state no spread, so they have no uncertainty to enter with
    assert kept.sizes["obs"] == 1292
    assert dropped["reason"].unique().tolist() == ["flag uncertainty_missing"]
    assert dropped["count"].sum() == 10
    assert set(zip(ds.site.values, ds.latitude.values, ds.longitude.values, strict=True)) == {
        ("BHD", -41.408, 174.871),
        ("LAU", -45.03, 169.68),
    }


def test_new_zealand_background_is_baseline_plus_fossil_share(data_root):
    path = new_zealand(data_root)
    ds, _ = select(read_table(path, NEW_ZEALAND), Selection(sites=("LAU",)))
    baseline = replace(NEW_ZEALAND, mole_fraction="background", sd={"baseline": "background_sd"})
    fossil = replace(NEW_ZEALAND, mole_fraction="fossil_enhancement", sd={}, plausible=(-5.0, 50.0))
    series = read_table(path, baseline)
    background = from_series(
        ds,
        series,
        BackgroundError(random=2e-7, by=("site", "month")),
        (read_table(path, fossil),),
    )
    assert (background.datum_id.values == ds.datum_id.values).all()
    assert background.sizes["shared"] == 24
    first = int(np.flatnonzero(series.datum_id.values == ds.datum_id.values[0])[0])
    enhancement = read_table(path, fossil).mole_fraction.values[first]
    assert 0 < enhancement < 2e-6
    assert background.background.values[0] == pytest.approx(series.mole_fraction.values[first] + enhancement)


def test_new_zealand_in_ppb_contradicts_the_file(data_root):
    with pytest.raises(DataError, match="'umol mol-1' by the file, but 'ppb' is declared"):
        read_table(new_zealand(data_root), replace(NEW_ZEALAND, unit="ppb"))


def test_beaco2n_is_read_by_its_utc_column_and_minus_999_is_missing(data_root):
    # the file's local_timestamp is Californian time, though the nodes stand in Glasgow
    path = data_root / "observations/beaco2n/175_BELLAHOUSTONACADEMY.csv"
    mapping = TableMapping(
        species="co2",
        unit="ppm",
        sites={"175": Site(55.85, -4.29)},
        time="datetime",
        mole_fraction="co2_ppm",
        missing=("-999",),
    )
    ds = read_table(path, mapping)
    assert [FLAG_MEANINGS[f] for f in ds.flag.values[:2]] == ["missing", "good"]
    assert str(ds.time.values[1]) == "2021-07-15T12:00:00.000000000"
    assert ds.mole_fraction.values[1] == pytest.approx(410.7e-6)
    assert ds.datum_id.values[1] == "175:co2:nan:2021-07-15T12:00:00"
    with pytest.raises(DataError, match=r"'co2_ppm' is outside 200 to 5000 ppm in .* line 2: -999"):
        read_table(path, replace(mapping, missing=()))


def test_an_icos_netcdf_without_units_is_read_at_the_declared_ones(data_root):
    mapping = TableMapping(
        species="co2",
        unit="µmol mol-1",
        sites={"TOH": Site(51.8088, 10.535, 147.0)},
        mole_fraction="co2",
        sd={"variability": "co2_variability"},
        n_samples="co2_number_of_observations",
        flag="flag",
        good_flags=("U", "O", "R"),
        scale="unknown",
    )
    ds = read_table(data_root / "observations/icos/test_toh_co2_147m.nc", mapping)
    assert (ds.flag.values == 0).all()
    assert ds.datum_id.values[0] == "TOH:co2:147:2017-12-13T01:00:00"
    assert ds.mole_fraction.values[0] == pytest.approx(419.56399536e-6, rel=1e-9)
    assert ds.n_samples.values[:2].tolist() == [5, 12]


def test_obspack_states_its_unit_and_a_wrong_one_is_refused(data_root):
    path = data_root / "observations/obspack/ch4_bao_tower-insitu_1_ccgg_all.nc"
    mapping = TableMapping(
        species="ch4",
        unit="nanomol mol-1",
        sites={"BAO": Site(40.05, -105.004)},
        inlet="intake_height",
        mole_fraction="value",
        flag="qcflag",
        good_flags=("...", "..P"),
    )
    # three inlets at one time are three data, not duplicates
    with pytest.raises(DataError, match="used more than once"):
        read_table(path, replace(mapping, inlet=None))
    with pytest.raises(DataError, match="'nanomol mol-1' by the file, but 'mol mol-1' is declared"):
        read_table(path, replace(mapping, unit="mol mol-1"))
    ds = read_table(path, mapping)
    assert set(ds.inlet.values) == {22, 100, 300}
    good = ds.mole_fraction.values[ds.flag.values == 0]
    assert 1.7e-6 < good.min() < good.max() < 5e-6
