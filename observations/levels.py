"""Levels of a field, heights or pressures, the same everywhere or not, as one axis in metres."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.errors import DataError
from observations.atmosphere import standard_altitude

Floats = npt.NDArray[np.float64]

_FACTORS = {"m": 1.0, "km": 1000.0, "Pa": 1.0, "hPa": 100.0}
_LOWEST, _HIGHEST = 10000.0, 100.0
"""A field has levels below and above these, m; one that has not has another unit than was said."""


@dataclass(frozen=True)
class Vertical:
    """The variable that says where the levels are.

    variable : over the levels alone, or over time and place as well; one value more than there are levels:
        their boundaries
    of : "height" above ground, "altitude" above sea level, or "pressure", taken to altitude in the standard
        atmosphere
    unit : "m" or "km"; of a pressure "Pa" or "hPa"
    """

    variable: str
    of: Literal["height", "altitude", "pressure"]
    unit: Literal["m", "km", "Pa", "hPa"]

    def __post_init__(self) -> None:
        if (self.of == "pressure") != (self.unit in ("Pa", "hPa")):
            wanted = "Pa or hPa" if self.of == "pressure" else "m or km"
            raise DataError(f"levels '{self.variable}': {self.of} in {self.unit}; expected {wanted}")

    @property
    def above(self) -> str:
        """What the metres are counted from: "ground" or "sea level"."""
        return "ground" if self.of == "height" else "sea level"

    def metres(self, levels: Floats) -> Floats:
        """Return levels as the file has them in m.

        Raises
        ------
        DataError
            If they are no numbers, or those of another unit.
        """
        values = levels * _FACTORS[self.unit]
        if not np.isfinite(values).all():
            raise DataError(f"levels '{self.variable}' have missing values; expected {self.of} of each")
        try:
            found = standard_altitude(values) if self.of == "pressure" else values
        except DataError as fault:
            raise DataError(f"levels '{self.variable}' in {self.unit}: {fault}") from None
        if found.min() > _LOWEST or found.max() < _HIGHEST:
            raise DataError(
                f"levels '{self.variable}' in {self.unit} lie at {found.min():g} to {found.max():g} m; "
                f"expected some below {_LOWEST:g} m and some above {_HIGHEST:g} m: is it another unit?"
            )
        return found


def at_levels(levels: xr.DataArray, field: xr.DataArray) -> Floats:
    """Return where each level of a field is, in the unit of the file, (level,) or the shape of the field.

    Levels that are over `boundary` are boundaries: a level is in the middle of two.

    Raises
    ------
    DataError
        If there is not one boundary more than levels.
    """
    if "boundary" in levels.dims:
        count, edges = field.sizes["level"], levels.sizes["boundary"]
        if edges != count + 1:
            raise DataError(f"{count} levels with {edges} boundaries; expected one boundary more than levels")
        above, below = (levels.isel(boundary=part) for part in (slice(1, None), slice(None, -1)))
        levels = ((above + below) / 2).rename(boundary="level")
    if levels.ndim > 1:
        levels = levels.broadcast_like(field).transpose(*field.dims)
    return levels.values.astype(np.float64)


def on_one_axis(values: Floats, metres: Floats) -> tuple[Floats, Floats]:
    """Return values on one ascending axis of levels, and that axis, m.

    Where levels vary with time and place the axis is their mean, and each column is interpolated linearly
    to it; beyond its own ends a column takes the value there.

    Parameters
    ----------
    values : (time, level, lat, lon)
    metres : (level,) or as values

    Raises
    ------
    DataError
        If levels do not rise or fall all the way.
    """
    columns = metres[None, :, None, None] if metres.ndim == 1 else metres
    if columns[0, 0, 0, 0] > columns[0, -1, 0, 0]:
        columns, values = columns[:, ::-1], values[:, ::-1]
    if np.any(np.diff(columns, axis=1) <= 0):
        raise DataError("levels neither rise nor fall all the way")
    if metres.ndim == 1:
        return values, columns[0, :, 0, 0]
    axis = columns.mean(axis=(0, 2, 3))
    moved = np.empty_like(values)
    for t, y, x in np.ndindex(values.shape[0], *values.shape[2:]):
        moved[t, :, y, x] = np.interp(axis, columns[t, :, y, x], values[t, :, y, x])
    return moved, axis
