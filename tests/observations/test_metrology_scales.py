"""Scales against the published figures, their own inverse, and a numerical derivative."""

import numpy as np
import pytest

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import Random, Shared, attach, components
from observations.dataset import SUSPECT
from observations.metrology.conversion import convert_scale
from observations.metrology.scales import ALIASES, EDGES, Edge, Scales, Step

SCALES = Scales()


def test_x2007_to_x2019_at_400_ppm():
    got = SCALES.convert(np.array([400e-6]), "WMO CO2 X2007", "WMO CO2 X2019")
    assert got[0] * 1e6 == pytest.approx(400.174, abs=1e-9)


def test_sf6_chain_at_10_ppt_is_composed_in_order():
    got = SCALES.convert(np.array([10e-12]), "WMO SF6 X2006", "SIO-05")
    assert round(got[0] * 1e12, 5) == 10.05872
    wrong_order = 2.6821e-3 * (10 / 1.002) ** 2 + 0.97748 * (10 / 1.002) + 3.5831e-2
    assert round(wrong_order, 5) != 10.05872


@pytest.mark.parametrize("edge", EDGES, ids=lambda e: e.name)
def test_round_trips_lose_nothing(edge):
    factor = {"ppm": 1e-6, "ppb": 1e-9, "ppt": 1e-12}[edge.unit]
    x = np.linspace(*edge.valid, 101) * factor
    there = SCALES.convert(x, edge.source, edge.target)
    np.testing.assert_allclose(SCALES.convert(there, edge.target, edge.source), x, rtol=1e-9)


@pytest.mark.parametrize("edge", EDGES, ids=lambda e: e.name)
@pytest.mark.parametrize("forward", [True, False])
def test_slope_is_the_derivative(edge, forward):
    step = Step(edge, forward)
    low, high = step.limits()
    x = np.array([(low + high) / 2])
    h = 1e-4 * x
    numerical = (step.value(x + h) - step.value(x - h)) / (2 * h)
    np.testing.assert_allclose(step.slope(x), numerical, rtol=1e-8)


def test_x2004_to_x2004a_is_refused_with_what_to_do():
    for pair in (("WMO CH4 X2004", "WMO CH4 X2004A"), ("WMO CH4 X2004A", "WMO CH4 X2004")):
        with pytest.raises(DataError, match=r"no published conversion.*ask the operator"):
            SCALES.path(*pair)
    with pytest.raises(DataError, match="no conversion leads"):
        SCALES.path("CMDL83", "WMO CH4 X2004A")


@pytest.mark.parametrize(
    ("text", "species", "name"),
    [
        ("WMO X2004A", "ch4", "WMO CH4 X2004A"),
        ("WMO CH4 X2004A", "ch4", "WMO CH4 X2004A"),
        ("NOAA 2004A CH4", "ch4", "WMO CH4 X2004A"),
        ("NOAA04", "ch4", "WMO CH4 X2004"),
        ("wmo co2 x2019", "co2", "WMO CO2 X2019"),
        ("WMO-CO2-X2007", "co2", "WMO CO2 X2007"),
    ],
)
def test_spellings_of_real_headers_are_known(text, species, name):
    assert SCALES.canonical(text, species) == name


def test_no_spelling_means_two_scales_of_a_gas():
    seen = {}
    for name, (gas, spellings) in ALIASES.items():
        for text in {name, *spellings}:
            key = (gas, "".join(c for c in text.lower() if c.isalnum()))
            assert seen.setdefault(key, name) == name


def test_a_scale_of_another_gas_is_unknown():
    with pytest.raises(DataError, match="'WMO X2004A' is unknown for co2; known: WMO CO2 X2007"):
        SCALES.canonical("WMO X2004A", "co2")


def test_values_outside_the_published_range_are_refused():
    with pytest.raises(DataError, match="1 values outside 2 to 10 ppt, first 12 ppt"):
        SCALES.convert(np.array([8e-12, 12e-12]), "WMO SF6 X2006", "WMO SF6 X2014")


NATIONAL = Edge("NIM CO2 2020", "WMO CO2 X2019", (0.02, 1.0001, 0.0), "ppm", (300, 600), "report 7", sd=0.05)


def test_a_national_scale_joins_by_an_edge_with_its_own_uncertainty(make_observations):
    scales = SCALES.with_edges([NATIONAL])
    ds = make_observations().assign_attrs(scale="NIM CO2 2020")
    ds = attach(ds, [], [Shared("tank", "calibration", np.full(48, 0.1e-6), "c1")])
    got = convert_scale(ds, "WMO X2007", scales, unstated_sd=0.01e-6)
    x2019 = 0.02 + 1.0001 * 400
    np.testing.assert_allclose(got.mole_fraction * 1e6, (x2019 + 0.142) / 1.00079, rtol=1e-12)
    assert got.attrs["scale"] == "WMO CO2 X2007"
    columns = {s.name: s for s in components(got)[1]}
    assert columns["scale:NIM CO2 2020 -> WMO CO2 X2019"].traceable_to == "report 7"
    np.testing.assert_allclose(
        columns["scale:NIM CO2 2020 -> WMO CO2 X2019"].column, 0.05e-6 / 1.00079, rtol=1e-9
    )
    np.testing.assert_allclose(
        columns["scale:WMO CO2 X2007 -> WMO CO2 X2019"].column, 0.01e-6 / 1.00079, rtol=1e-9
    )
    np.testing.assert_allclose(columns["tank"].column, 0.1e-6 * 1.0001 / 1.00079, rtol=1e-12)


def test_an_unpublished_uncertainty_must_be_stated(make_observations):
    ds = make_observations().assign_attrs(scale="WMO X2007")
    with pytest.raises(ConfigError, match="no published uncertainty; expected `unstated_sd`"):
        convert_scale(ds, "WMO CO2 X2019")
    free = convert_scale(ds, "WMO CO2 X2019", unstated_sd=0.0)
    assert free.sizes["shared"] == 0


def test_converting_to_its_own_scale_changes_nothing(make_observations):
    ds = attach(make_observations(), [Random("noise", np.full(48, 1e-7))], [])
    got = convert_scale(ds, "X2019")
    np.testing.assert_array_equal(got.mole_fraction, ds.mole_fraction)
    np.testing.assert_array_equal(got.random_sd, ds.random_sd)


def test_flagged_and_missing_data_do_not_stop_the_conversion(make_observations):
    ds = make_observations().assign_attrs(scale="WMO X2007")
    ds.mole_fraction.values[0], ds.mole_fraction.values[1] = np.nan, 5000e-6
    ds.flag.values[:2] = SUSPECT
    got = convert_scale(ds, "X2019", unstated_sd=0.01e-6)
    assert np.isnan(got.mole_fraction.values[0])
    assert np.isfinite(got.shared_column.values).all()


@pytest.mark.parametrize("edge", [{"coefficients": (0.0, -1.0, 0.0)}, {"valid": (5.0, 5.0)}, {"sd": -1.0}])
def test_a_conversion_that_cannot_be_walked_backward_is_refused(edge):
    settings = {"coefficients": (0.0, 1.0, 0.0), "valid": (1.0, 9.0), "sd": 0.1} | edge
    with pytest.raises(ConfigError, match="scale conversion A -> B"):
        Edge("A", "B", settings["coefficients"], "ppm", settings["valid"], "me", settings["sd"])
