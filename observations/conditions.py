"""The state of the air at each datum, by which data are selected: mixing height, wind, local influence."""

import numpy as np
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid


def met_conditions(observations: xr.Dataset, met: xr.Dataset) -> xr.Dataset:
    """Return mixing height, m, and wind speed at the inlet, m s-1, of each datum, from a met cube.

    Both are taken at the middle of the averaging interval, linear in time and space; the wind at the nearest
    level to the inlet, and at the lowest for a datum without inlet. NaN outside the period of the met.

    Raises
    ------
    DataError
        If a site lies outside the met domain.
    """
    schema.check(observations, "observations", "conditions")
    start, end = observations.time_bounds.values.T
    middle = start + (end - start) // 2
    x, y = Grid.from_dataset(met).to_xy(observations.longitude.values, observations.latitude.values)
    beyond = ~((met.x.values[0] <= x) & (x <= met.x.values[-1]))
    beyond |= ~((met.y.values[0] <= y) & (y <= met.y.values[-1]))
    if beyond.any():
        names = ", ".join(np.unique(observations.site.values[beyond])[:5])
        raise DataError(f"observations.selection: {names} lie outside the met domain")
    mixing, wind = np.full(middle.size, np.nan), np.full(middle.size, np.nan)
    inlet = np.nan_to_num(observations.inlet.values)
    places, which = np.unique(np.stack([x, y, inlet]), axis=1, return_inverse=True)
    for n, (east, north, height) in enumerate(places.T):
        rows = np.flatnonzero(which.reshape(-1) == n)
        near = met[["mixing_height", "u", "v"]].sel(level=height, method="nearest")
        here = near.interp(x=east, y=north).load().interp(time=middle[rows])
        mixing[rows] = here.mixing_height.values
        wind[rows] = np.hypot(here.u.values, here.v.values)
    return xr.Dataset(
        {
            "mixing_height": ("obs", mixing, {"units": "m"}),
            "wind_speed": ("obs", wind, {"units": "m s-1"}),
        },
        coords={"datum_id": observations.datum_id.variable},
    )


def local_influence(observations: xr.Dataset, footprints: xr.Dataset, radius: float) -> xr.Dataset:
    """Return the share of each datum's footprint that lies within `radius`, m, of its site.

    NaN where the footprint is empty. A share near 1 is air that mostly carries the nearest streets: no grid
    resolves them.

    Raises
    ------
    DataError
        If a datum has no footprint.
    """
    schema.check(footprints, "footprints", "local influence")
    where = {name: row for row, name in enumerate(footprints.datum_id.values.tolist())}
    absent = [name for name in observations.datum_id.values.tolist() if name not in where]
    if absent:
        raise DataError(f"local influence: {len(absent)} data have no footprint, first '{absent[0]}'")
    x, y = Grid.from_dataset(footprints).to_xy(observations.longitude.values, observations.latitude.values)
    east, north = footprints.x.values, footprints.y.values
    share = np.full(x.size, np.nan)
    for n, name in enumerate(observations.datum_id.values.tolist()):
        foot = footprints.foot.isel(receptor=where[name]).values.sum(axis=0, dtype=np.float64)
        near = (east[None, :] - x[n]) ** 2 + (north[:, None] - y[n]) ** 2 <= radius**2
        total = foot.sum()
        if total > 0:
            share[n] = foot[near].sum() / total
    return xr.Dataset(
        {"local_influence": ("obs", share, {"units": "1"})},
        coords={"datum_id": observations.datum_id.variable},
    )
