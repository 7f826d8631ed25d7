from dataclasses import replace

import numpy as np
import pytest

from inversion.parameters import offsets, scale
from inversion.points import Point, separate_points
from inversion.problem import PriorError
from inversion.solution import Solution
from inversion.solver import solve
from metroflux.errors import DataError
from observations.components import Group


def test_background_offsets_by_site_and_week_are_found(inputs_of):
    inputs = inputs_of(1, n=120)
    inputs.parameters = offsets(inputs.observations, Group("offset", "background", ("site", "week")), 5e-6)
    names = [p.name for p in inputs.parameters]
    assert len(names) == 3
    assert all(name.startswith("offset:") and name.endswith(":2024-02-26") for name in names)
    problem = inputs.assemble()
    rng = np.random.default_rng(2)
    truth = dict(zip(names, (3e-6, -2e-6, 4e-6), strict=True))
    shift = sum(truth[p.name] * p.column for p in problem.parameters)
    seen = problem.prior_mole_fraction + shift + problem.errors.sample(rng)
    ds = solve(replace(problem, mole_fraction=seen)).posterior()
    apart = (ds.parameter_mean.values - list(truth.values())) / ds.parameter_sd.values
    assert (np.abs(apart) < 4).all()
    assert (ds.parameter_sd < 0.2 * ds.prior_parameter_sd).all()
    assert list(ds.parameter_unit.values) == ["mol mol-1"] * 3


def test_scale_of_a_lidar_is_a_share_of_what_it_reports(inputs_of, tmp_path):
    inputs = inputs_of(1, n=120)
    inputs.parameters = [scale(inputs.observations, "cross-section", "lidar", ["BBB"], 0.02)]
    problem = inputs.assemble()
    lidar = problem.site == "BBB"
    np.testing.assert_array_equal(problem.parameters[0].column[~lidar], 0)
    seen = problem.prior_mole_fraction * np.where(lidar, 1.01, 1.0)
    solution = solve(replace(problem, mole_fraction=seen))
    ds = solution.posterior()
    assert float(ds.parameter_mean[0]) == pytest.approx(0.01, abs=3 * float(ds.parameter_sd[0]))
    assert float(ds.parameter_sd[0]) < 0.01
    assert ds.parameter_unit.values[0] == "1"
    assert "lidar" in solution.totals(np.ones((1, 20)), np.ones((1, 8))).causes
    solution.save(tmp_path / "s.nc")
    assert Solution.load(tmp_path / "s.nc").posterior().identical(ds)


def test_scale_of_a_site_without_data_is_refused(inputs_of):
    with pytest.raises(DataError, match="'cross-section': no data of XXX, expected some of AAA, BBB, CCC"):
        scale(inputs_of(1).observations, "cross-section", "lidar", ["XXX"], 0.02)


POINTS = [Point("steel works", "traffic", 7, 0.5), Point("power station", "plants", 12, 0.3)]


def test_point_sources_keep_the_total_and_the_uncertainty_of_all_else(inputs_of):
    prior = inputs_of(1).prior
    found = separate_points(prior, POINTS)
    assert list(found.sector.values) == ["traffic", "heating", "plants", "steel works", "power station"]
    np.testing.assert_allclose(found.flux.sum("sector"), prior.flux.sum("sector"), rtol=1e-15)
    plant = found.sel(sector="steel works").flux.values.reshape(8, 20)
    np.testing.assert_array_equal(plant[:, 7], prior.flux.values[0].reshape(8, 20)[:, 7])
    assert not np.delete(plant, 7, axis=1).any()
    sd = found.sel(sector="steel works").flux_sd.values.reshape(8, 20)
    np.testing.assert_allclose(sd, 0.5 * np.abs(plant))
    assert not found.sel(sector="traffic").flux_sd.values.reshape(8, 20)[:, 7].any()


def test_a_plant_that_emits_more_is_found_as_its_own_sector(inputs_of):
    inputs = inputs_of(1, n=300)
    inputs.prior["flux"].values[0, :, 1, 2] = 5e-5
    inputs.prior = separate_points(inputs.prior, POINTS)
    inputs.errors |= {p.name: PriorError(0.0, 1e9) for p in POINTS}
    problem = inputs.assemble()
    truth = problem.flux.copy()
    truth[3] *= 1.4
    noise = problem.errors.sample(np.random.default_rng(3))
    seen = problem.H @ truth.sum(axis=0).ravel() + problem.background + noise
    totals = solve(replace(problem, mole_fraction=seen)).totals(np.ones((1, 20)), np.full((1, 8), 1 / 8))
    want, sd = truth[3].sum(axis=1).mean(), np.sqrt(totals.posterior_variance[0, 3, 0])
    assert totals.sectors[3] == "steel works"
    assert abs(totals.posterior[0, 3, 0] - want) < 3.5 * sd
    assert sd < 0.2 * np.sqrt(totals.prior_variance[0, 3, 0])


@pytest.mark.parametrize(("wrong", "message"), [
    (Point("x", "steel", 7, 0.5), "'x': no sector 'steel', expected one of traffic, heating, plants"),
    (Point("traffic", "plants", 7, 0.5), "'traffic' is the name of more than one sector"),
    (Point("x", "plants", 20, 0.5), "'x': cell 20, expected 0 to 19"),
    (Point("x", "plants", 3, 0.0), "'x': relative sd 0, expected a positive one"),
])  # fmt: skip
def test_wrong_point_sources_are_refused_by_name(inputs_of, wrong, message):
    with pytest.raises(DataError, match=message):
        separate_points(inputs_of(1).prior, [wrong])
