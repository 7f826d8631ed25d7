"""Numbers solved beside the fluxes: offsets of background or sites, and the scale of an instrument."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from inversion.settings import Parameter
from metroflux.errors import DataError
from observations.components import Group, group


def offsets(observations: xr.Dataset, groups: Group, sd: float) -> list[Parameter]:
    """Return an offset for each group of data, prior 0 +- sd mol mol-1.

    By site and week: of the background. By site: a bias of the site, cause "site bias".

    Raises
    ------
    ConfigError
        If a key of the grouping is unknown.
    """
    return [Parameter(c.name, groups.cause, c.column, sd) for c in group(observations, groups, 1.0)]


def scale(
    observations: xr.Dataset, name: str, cause: str, sites: Sequence[str], relative_sd: float
) -> Parameter:
    """Return the relative error of the scale of some sites' data, such as a lidar's cross-section, prior 0.

    All that they report is too high by the same share: the column is their mole fraction.

    Raises
    ------
    DataError
        If a site has no data.
    """
    site = observations.site.values.astype(str)
    absent = sorted(set(sites) - set(site))
    if absent or not sites:
        raise DataError(
            f"parameter '{name}': no data of {', '.join(absent) or 'any site'}, expected some of "
            f"{', '.join(sorted(set(site)))}"
        )
    column = np.where(np.isin(site, list(sites)), observations.mole_fraction.values, 0.0)
    return Parameter(name, cause, column, relative_sd, "1")
