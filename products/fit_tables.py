"""Fit by site, influence and hyperparameters as the tables of the scientists' report show them."""

from typing import Any

import numpy as np
import xarray as xr

FITS = ("prior", "posterior")
NOT_WHITE = 0.05
MOST_INFLUENTIAL = 5


def withheld_words(withheld: float, prior: float) -> str:
    """Return in plain words whether a site is predicted better by the other sites than by the prior alone.

    >>> withheld_words(2.0, 1.0)
    'no skill: worse than the prior (error + 100 %)'
    """
    change = 100 * (withheld / prior - 1)
    if abs(change) < 2:
        return "no skill: the same as the prior"
    if change > 0:
        return f"no skill: worse than the prior (error + {change:.0f} %)"
    return f"skill: error {-change:.0f} % smaller than with the prior"


def sites(diagnostics: xr.Dataset, factor: float) -> list[dict[str, Any]]:
    """Return the fit of each site before and after, and how well the others predict it."""
    lines = []
    for i, name in enumerate(diagnostics["site_name"].values):
        one = diagnostics.isel(site_name=i)
        of_site = diagnostics["site"].values == name
        apart = {w: diagnostics["mole_fraction"] - diagnostics[f"{w}_mole_fraction"] for w in FITS}
        bias = {w: float(np.mean(values.values[of_site])) * factor for w, values in apart.items()}
        prior, withheld = float(one["site_prior_rmse"]), float(one["site_withheld_rmse"])
        lines.append(
            {
                "name": str(name),
                "count": int(one["site_count"]),
                "prior": f"{prior * factor:.2f}",
                "posterior": f"{float(one['site_posterior_rmse']) * factor:.2f}",
                "withheld": f"{withheld * factor:.2f}",
                "prior_bias": signed(bias["prior"]),
                "posterior_bias": signed(bias["posterior"]),
                "chi2": f"{float(one['site_chi2']) / max(int(one['site_count']), 1):.2f}",
                "withheld_chi2": f"{float(one['site_withheld_chi2']) / max(int(one['site_count']), 1):.2f}",
                "dofs": f"{float(one['site_dofs']):.1f}",
                "white": _white(float(one["site_autocorrelation"]), float(one["site_whiteness_p"])),
                "words": withheld_words(withheld, prior),
                "skill": withheld < 0.98 * prior,
            }
        )
    return lines


def _white(autocorrelation: float, p: float) -> str:
    """Return lag-1 autocorrelation and whether the residuals in time are white.

    >>> _white(0.412, 0.0004)
    '+0.41, not white'
    """
    if np.isnan(p):
        return "too few data"
    return f"{signed(autocorrelation)}{', not white' if p < NOT_WHITE else ''}"


def hyperparameters(diagnostics: xr.Dataset) -> list[dict[str, str]]:
    """Return what was estimated and what was fixed, lengths in km and durations in h."""
    if "hyperparameter" not in diagnostics.coords:
        return []
    shown = {"m": (1e-3, " km"), "s": (1 / 3600, " h"), "1": (1.0, "")}
    lines = []
    for i in range(diagnostics.sizes["hyperparameter"]):
        one = diagnostics.isel(hyperparameter=i)
        scale, unit = shown[str(one["hyperparameter_unit"].values)]
        lines.append(
            {
                "name": str(one["hyperparameter"].values),
                "value": f"{float(one['hyperparameter_value']) * scale:.3g}{unit}",
                "sd": f"{float(one['hyperparameter_sd']) * scale:.2g}{unit}",
                "stated": f"{float(one['hyperparameter_stated']) * scale:.3g}{unit}",
                "status": str(one["hyperparameter_status"].values),
            }
        )
    return lines


def influential(diagnostics: xr.Dataset, factor: float) -> list[dict[str, str]]:
    """Return the data whose absence would move the solution most."""
    order = np.argsort(-diagnostics["influence"].values, kind="stable")[:MOST_INFLUENTIAL]
    return [
        {
            "name": str(one["datum_id"].values),
            "site": str(one["site"].values),
            "time": str(one["time"].values)[:16],
            "influence": f"{float(one['influence']):.2f}",
            "leverage": f"{float(one['leverage']):.2f}",
            "residual": signed(float(one["loo_residual"]) * factor),
            "sd": f"{float(one['loo_sd']) * factor:.2f}",
            "weight": f"{float(one['weight']):.2f}" if "weight" in one else "1",
        }
        for one in (diagnostics.isel(obs=i) for i in order)
    ]


def signed(value: float) -> str:
    """Return a number with its sign, two decimals.

    >>> signed(-1.0)
    '−1.00'
    """
    return f"{value:+.2f}".replace("-", "−")
