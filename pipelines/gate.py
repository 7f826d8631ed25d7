"""The quality gate: what must hold before a run is published."""

import numpy as np
import xarray as xr

from pipelines.sections import Gate

SIDES = ("west", "east", "south", "north")
"""Edges through which particles should not be lost; leaving by the top is no fault."""


def judge(diagnostics: xr.Dataset, footprints: xr.Dataset | None, limits: Gate) -> list[str]:
    """Return why a run is held, most serious first; empty if it may be published.

    footprints : None where another model gave the responses
    """
    count = diagnostics.sizes["obs"]
    chi2 = float(diagnostics.chi2_per_observation)
    bias = float(np.mean(diagnostics.innovation.values / diagnostics.innovation_sd.values))
    reasons = []
    if count < limits.observations_min:
        reasons.append(f"{count} observations used; expected at least {limits.observations_min}")
    if not limits.chi2_min <= chi2 <= limits.chi2_max:
        reasons.append(
            f"chi2 per observation is {chi2:.2f}; expected {limits.chi2_min:g} to {limits.chi2_max:g}: "
            f"stated errors are too {'small' if chi2 > limits.chi2_max else 'large'}"
        )
    if not abs(bias) <= limits.bias_max:  # also when it is not a number
        reasons.append(
            f"mean innovation is {bias:+.2f} of its standard uncertainty; expected within {limits.bias_max:g}"
        )
    if footprints is not None:
        reasons += _outside(footprints, limits)
    return reasons


def _outside(footprints: xr.Dataset, limits: Gate) -> list[str]:
    lost = footprints.outside.sel(edge=list(SIDES)).sum("edge", skipna=False).values
    if np.isnan(lost).any():
        count = int(np.isnan(lost).sum())
        return [f"loss over the sides of the met domain is unknown for {count} of {lost.size} footprints"]
    share = float(lost.mean())
    if share <= limits.outside_max:
        return []
    said = f"{share:.0%} of particles left by the sides of the met domain"
    return [f"{said}; expected at most {limits.outside_max:.0%}"]
