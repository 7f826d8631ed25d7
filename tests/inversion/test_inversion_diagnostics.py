import numpy as np
import pytest
from scipy.stats import multivariate_normal

from inversion.diagnostics import diagnose
from inversion.problem import take_data
from inversion.solver import solve


def _predicted(twin, left_out):
    """Return residual and covariance of the data left out, predicted from the others by refitting."""
    kept = ~left_out
    C_kk, C_ok = twin.C[np.ix_(kept, kept)], twin.C[np.ix_(left_out, kept)]
    residual = twin.d[left_out] - C_ok @ np.linalg.solve(C_kk, twin.d[kept])
    return residual, twin.C[np.ix_(left_out, left_out)] - C_ok @ np.linalg.solve(C_kk, C_ok.T)


@pytest.mark.parametrize(("kind", "seed"), [("grid", 1), ("grid", 2), ("region", 3)])
def test_diagnostics_equal_their_dense_twin(inputs_of, twin_of, kind, seed):
    inputs = inputs_of(seed, kind)
    twin, ds = twin_of(inputs), diagnose(solve(inputs.assemble()))
    chi2 = twin.d @ np.linalg.solve(twin.C, twin.d)
    assert float(ds.chi2) == pytest.approx(chi2, rel=1e-10)
    assert float(ds.chi2_per_observation) == pytest.approx(chi2 / 24, rel=1e-10)
    assert float(ds.dofs) == pytest.approx(np.trace(twin.gain @ twin.H), rel=1e-10)
    evidence = multivariate_normal.logpdf(twin.d * 1e6, np.zeros(24), twin.C * 1e12) + 24 * np.log(1e6)
    assert float(ds.log_evidence) == pytest.approx(evidence, rel=1e-10)
    np.testing.assert_allclose(ds.innovation, twin.d, rtol=0, atol=1e-10 * np.abs(twin.d).max())
    np.testing.assert_allclose(ds.innovation_sd, np.sqrt(np.diag(twin.C)), rtol=1e-10)
    np.testing.assert_allclose(ds.observation_sd, np.sqrt(np.diag(twin.R)), rtol=1e-10)
    modelled = twin.H @ twin.x + inputs.background.background.values
    np.testing.assert_allclose(ds.posterior_mole_fraction, modelled, rtol=1e-12)
    for i in range(24):
        residual, covariance = _predicted(twin, np.arange(24) == i)
        assert float(ds.loo_residual[i]) == pytest.approx(residual[0], rel=1e-9)
        assert float(ds.loo_sd[i]) == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-10)
    tested = ds.drop_vars(["site_autocorrelation", "site_whiteness_p"])  # NaN where a site has few data
    assert all(bool(np.isfinite(v).all()) for v in tested.data_vars.values() if v.dtype.kind == "f")


def test_withheld_site_equals_prediction_from_the_others(inputs_of, twin_of):
    inputs = inputs_of(4)
    problem, twin = inputs.assemble(), twin_of(inputs)
    ds = diagnose(solve(problem)).set_index(site_name="site_name")
    assert int(ds.site_count.sum()) == 24
    for name in np.unique(problem.site):
        at, row = problem.site == name, ds.sel(site_name=name)
        residual, covariance = _predicted(twin, at)
        assert float(row.site_withheld_rmse) == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-9)
        chi2 = residual @ np.linalg.solve(covariance, residual)
        assert float(row.site_withheld_chi2) == pytest.approx(chi2, rel=1e-9)
        own = twin.d[at] @ np.linalg.solve(twin.C[np.ix_(at, at)], twin.d[at])
        assert float(row.site_chi2) == pytest.approx(own, rel=1e-9)


def test_withheld_site_equals_solving_again_without_it_where_errors_are_not_shared(inputs_of):
    inputs = inputs_of(5)
    for ds in (inputs.observations, inputs.background):
        ds["shared_column"].values[:] = 0.0
    inputs.parameters = inputs.parameters[:1]
    problem = inputs.assemble()
    ds = diagnose(solve(problem)).set_index(site_name="site_name")
    for name in np.unique(problem.site):
        at = problem.site == name
        other = solve(take_data(problem, np.flatnonzero(~at)))
        flux = problem.H @ other.flux.sum(axis=0).ravel()
        modelled = flux + problem.background + other.parameters()[0][0]
        rmse = np.sqrt(np.mean((problem.mole_fraction - modelled)[at] ** 2))
        assert float(ds.site_withheld_rmse.sel(site_name=name)) == pytest.approx(rmse, rel=1e-8)


def test_one_site_alone_is_predicted_by_the_prior(inputs_of):
    inputs = inputs_of(6)
    inputs.observations = inputs.observations.assign_coords(site=("obs", np.full(24, "ONE")))
    ds = diagnose(solve(inputs.assemble()))
    assert float(ds.site_withheld_rmse[0]) == pytest.approx(float(ds.site_prior_rmse[0]), rel=1e-10)
    assert float(ds.site_withheld_chi2[0]) == pytest.approx(float(ds.chi2), rel=1e-10)
