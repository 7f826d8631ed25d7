"""Emissions through planes as the scientists' report shows them."""

import numpy as np
import xarray as xr

from metroflux.units import molar_mass

_PER_HOUR = 3600.0


def planes(diagnostics: xr.Dataset, species: str) -> list[dict[str, str]]:
    """Return each plane's emission against the fluxes before and after, kg h-1; empty where there is none.

    `foreseen` is the measured emission less that predicted from all other data, in units of its uncertainty.
    """
    if "direct" not in diagnostics.dims:
        return []
    factor = molar_mass(species) * _PER_HOUR
    lines = []
    for i in range(diagnostics.sizes["direct"]):
        one = diagnostics.isel(direct=i)
        numbers = {
            name: f"{float(one[f'direct_{name}']) * factor:.3g}"
            for name in ("emission", "sd", "prior", "posterior")
        }
        foreseen = float(one["direct_loo_residual"]) / float(one["direct_loo_sd"])
        time = str(np.datetime_as_string(one["direct_time"].values, unit="m"))
        name = str(one["direct"].values)
        lines.append(numbers | {"name": name, "time": time, "foreseen": f"{foreseen:+.1f}".replace("-", "−")})
    return lines
