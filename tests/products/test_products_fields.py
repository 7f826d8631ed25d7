import numpy as np
import pytest

from products.fields import mean_fields, step_fields, uncertainty_reduction
from products.periods import named_periods, time_weights


@pytest.mark.parametrize("world", ["city", "country"])
def test_the_fields_are_the_totals_of_single_cells(request, world):
    w = request.getfixturevalue(world)
    bounds = w.prior.flux_time_bounds.values
    cells = w.prior.cell_area.size
    for made, kind in ((mean_fields(w.solution), "run"), (step_fields(w.solution), "step")):
        found = w.solution.totals(np.eye(cells), time_weights(named_periods(bounds, (kind,)), bounds))
        for name, twin in (("prior", found.prior), ("posterior", found.posterior),
                           ("prior_sd", np.sqrt(found.prior_variance)),
                           ("posterior_sd", np.sqrt(found.posterior_variance))):  # fmt: skip
            flat = made[name].values.reshape(*made[name].shape[:2], cells)
            np.testing.assert_allclose(flat, twin.transpose(2, 1, 0), rtol=1e-8, atol=1e-20)


def test_the_steps_hold_the_posterior_of_each_sector(city):
    steps = step_fields(city.solution)
    np.testing.assert_array_equal(
        np.swapaxes(steps.posterior_sd.values[:, :-1], 0, 1), city.posterior.flux_sd.values
    )


def test_the_uncertainty_reduction_lies_between_0_and_1(city):
    reduction = uncertainty_reduction(mean_fields(city.solution))
    assert 0 <= float(reduction.min()) < float(reduction.max()) <= 1


def test_the_unknown_plant_stands_out_in_the_change(city):
    mean = mean_fields(city.solution).sel(sector="power").isel(period=0)
    change = (mean.posterior - mean.prior).values
    ny, nx = change.shape
    assert np.unravel_index(np.argmax(change), change.shape) == (int(0.68 * ny), int(0.78 * nx))
