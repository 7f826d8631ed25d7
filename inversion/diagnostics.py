"""Does the solution fit its own assumptions, and does it predict what it has not seen."""

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.linalg import cho_factor, cho_solve

from inversion.crossvalidation import Withheld, rms, withhold
from inversion.influence import influence, leverage, site_whiteness
from inversion.problem import Problem
from inversion.solution import Solution
from inversion.threads import one_thread
from metroflux.schema import check

Floats = npt.NDArray[np.float64]
_MOLE = {"units": "mol mol-1"}
_ONE = {"units": "1"}


def diagnose(solution: Solution) -> xr.Dataset:
    """Return the diagnostics dataset.

    chi2 = d'C^-1 d; site_chi2 the same of a site's own data alone (expected value site_count); leave-one-out
    and withheld-site residuals in closed form from C^-1 (Rasmussen and Williams 2006, section 5.4.2), with
    hyperparameters kept: the datum or site is predicted from all others, shared errors included.
    """
    problem = solution.problem
    with one_thread():
        inverse = solution.factor.inverse()
        weights = solution.factor.solve(problem.innovation)
        withheld = withhold(inverse, problem.innovation, problem.site)
        ds = xr.Dataset(
            _data(solution, inverse, weights, withheld)
            | _sites(solution, inverse, weights, withheld)
            | site_whiteness(solution)
            | _scalars(solution, inverse, weights),
            attrs=problem.coords.attrs,
        )
    return check(ds, "diagnostics", "inversion")


def _data(solution: Solution, inverse: Floats, weights: Floats, withheld: Withheld) -> dict[str, xr.Variable]:
    problem = solution.problem
    precision = np.diag(inverse)
    values = {
        "mole_fraction": (problem.mole_fraction, "observed mole fraction"),
        "background": (problem.background, "prior background mole fraction"),
        "prior_mole_fraction": (problem.prior_mole_fraction, "modelled with the prior flux"),
        "posterior_mole_fraction": (
            _posterior_mole_fraction(problem, weights),
            "modelled with posterior flux and parameters",
        ),
        "innovation": (problem.innovation, "observed minus prior mole fraction"),
        "innovation_sd": (np.sqrt(_variance(solution)), "its standard uncertainty, prior and errors"),
        "observation_sd": (np.sqrt(problem.errors.variance), "standard uncertainty of the datum, R alone"),
        "loo_residual": (weights / precision, "observed minus predicted from all other data"),
        "loo_sd": (1 / np.sqrt(precision), "its standard uncertainty"),
        "withheld_residual": (withheld.residual, "observed minus predicted from all other sites"),
        "withheld_sd": (withheld.sd, "its standard uncertainty"),
    }
    shares = {
        "leverage": (leverage(solution, inverse), "how far the fitted value follows its own datum"),
        "influence": (influence(solution, inverse), "Cook's distance: how far the state moves without it"),
    }
    labels = {name: xr.Variable("obs", getattr(problem, name)) for name in ("datum_id", "time", "site")}
    return labels | {
        n: xr.Variable("obs", v, units | {"long_name": text})
        for group, units in ((values, _MOLE), (shares, _ONE))
        for n, (v, text) in group.items()
    }


def _variance(solution: Solution) -> Floats:
    """Return the diagonal of C."""
    design = solution.problem.scaled_design
    return np.diag(solution.gram) + np.sum(design**2, axis=1) + solution.problem.errors.variance


def _posterior_mole_fraction(problem: Problem, weights: Floats) -> Floats:
    """Return y - R C^-1 d, which is Hx + background + Gg at the posterior mean."""
    return problem.mole_fraction - problem.errors @ weights


def _sites(
    solution: Solution, inverse: Floats, weights: Floats, withheld: Withheld
) -> dict[str, xr.Variable]:
    problem = solution.problem
    names, site = np.unique(problem.site, return_inverse=True)
    posterior = problem.mole_fraction - _posterior_mole_fraction(problem, weights)
    own = [_site(solution, posterior, np.flatnonzero(site == k)) for k in range(len(names))]
    follow = leverage(solution, inverse)
    dofs = [follow[site == k].sum() for k in range(len(names))]
    table = np.column_stack([own, withheld.prior_rmse, withheld.rmse, withheld.chi2, dofs])
    columns = {
        "site_chi2": ("d'C^-1 d of the site's own data, expected value site_count", _ONE),
        "site_posterior_rmse": ("rms of observed minus posterior mole fraction", _MOLE),
        "site_prior_rmse": ("rms of observed minus prior mole fraction", _MOLE),
        "site_withheld_rmse": ("rms of observed minus predicted from all other sites", _MOLE),
        "site_withheld_chi2": ("its r'S^-1 r, expected value site_count", _ONE),
        "site_dofs": ("degrees of freedom for signal that its data bring", _ONE),
    }
    return {
        "site_name": xr.Variable("site_name", names),
        "site_count": xr.Variable("site_name", np.bincount(site), {"long_name": "number of data"}),
    } | {
        name: xr.Variable("site_name", table[:, i], units | {"long_name": text})
        for i, (name, (text, units)) in enumerate(columns.items())
    }


def _site(solution: Solution, posterior: Floats, at: npt.NDArray[np.intp]) -> tuple[float, float]:
    """Return chi2 of the data `at` one site, and rms of what is left of them."""
    innovation, block = solution.problem.innovation[at], np.ix_(at, at)
    design = solution.problem.scaled_design[at]
    own = solution.gram[block] + design @ design.T + solution.problem.errors.take(at).dense()
    return float(innovation @ cho_solve(cho_factor(own, lower=True), innovation)), rms(posterior[at])


def _scalars(solution: Solution, inverse: Floats, weights: Floats) -> dict[str, xr.Variable]:
    problem, factor = solution.problem, solution.factor
    n = len(problem.datum_id)
    chi2 = float(problem.innovation @ weights)
    design = problem.scaled_design
    explained = solution.gram + design @ design.T
    values = {
        "chi2": (chi2, "d'C^-1 d, expected value the number of data"),
        "chi2_per_observation": (chi2 / n, "chi2 divided by the number of data"),
        "dofs": (float(np.sum(explained * inverse)), "degrees of freedom for signal, fluxes and parameters"),
        "log_evidence": (
            -0.5 * (chi2 + factor.logdet + n * np.log(2 * np.pi)),
            "log density of the data given the prior, data in mol mol-1",
        ),
        "condition_number": (factor.condition, "condition number of C in the 1-norm, estimate"),
    }
    return {
        name: xr.Variable((), value, _ONE | {"long_name": text}) for name, (value, text) in values.items()
    }
