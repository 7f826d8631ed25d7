"""Fields of CF files in SI: names, units, missing values, all checked; each fault names file and field."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.constants import GRAVITY
from metroflux.errors import DataError
from metroflux.units import FILL_LIMIT
from transport.meteorology.cffile import Region, first_of, open_cf
from transport.meteorology.modelstate import EVAPORATION

if TYPE_CHECKING:
    from transport.meteorology.cfmet import CFMet
    from transport.meteorology.reader import Hour

Floats = npt.NDArray[np.float64]

_SPEED = {"m s-1": 1.0, "m/s": 1.0}
_PRESSURE = {"Pa": 1.0, "hPa": 100.0, "mbar": 100.0, "mb": 100.0, "millibars": 100.0}
_HEIGHT = {"m": 1.0, "gpm": 1.0, "m2 s-2": 1.0 / GRAVITY, "m2/s2": 1.0 / GRAVITY}
_SHARE = {"kg kg-1": 1.0, "kg/kg": 1.0, "1": 1.0}
_STRESS = {"N m-2": 1.0, "Pa": 1.0}
_FLUX = {"W m-2": 1.0, "W/m2": 1.0}

QUANTITIES: Mapping[str, Mapping[str, float]] = MappingProxyType({
    "u": _SPEED, "v": _SPEED, "w": _SPEED,
    "omega": {"Pa s-1": 1.0, "Pa/s": 1.0, "hPa s-1": 100.0, "hPa/s": 100.0},
    "t": {"K": 1.0}, "q": _SHARE, "p": _PRESSURE, "height": _HEIGHT,
    "hybrid_a": _PRESSURE, "hybrid_b": {"1": 1.0, "": 1.0},
    "surface_pressure": _PRESSURE, "log_surface_pressure": {"": 1.0, "1": 1.0, "~": 1.0, "Numeric": 1.0},
    "terrain": _HEIGHT, "u10": _SPEED, "v10": _SPEED, "t2": {"K": 1.0}, "dewpoint_2m": {"K": 1.0},
    "ustar": _SPEED, "stress_x": _STRESS, "stress_y": _STRESS, "mixing_height": {"m": 1.0},
    "sensible_heat_flux": _FLUX, "latent_heat_flux": _FLUX | {"kg m-2 s-1": EVAPORATION}, "z0": {"m": 1.0},
})  # fmt: skip
"""What can be read, with the accepted units and their factor to SI (heights and evaporation too)."""

_SUMMED = {"J m-2": "W m-2", "N m-2 s": "N m-2", "Pa s": "N m-2"}
_PLANES = ("surface_pressure", "terrain", "u10", "v10", "t2")  # names that files also give to volumes
_TURNED = ("sensible_heat_flux", "latent_heat_flux")


def open_met_file(path: Path, form: str) -> xr.Dataset:
    """Open a file of either format, its times, axes and grid mapping as CF has them."""
    if form == "netcdf":
        return open_cf(path)
    from transport.meteorology.arl import open_arl  # the optional format, which itself maps to this one

    return open_arl(path)


def _even(index: npt.NDArray[np.intp]) -> npt.NDArray[np.intp] | slice:
    """Return a slice for an index that rises or falls by one: nothing is gathered."""
    if index.size > 1 and np.all(np.diff(index) == 1):
        return slice(int(index[0]), int(index[-1]) + 1)
    if index.size > 1 and np.all(np.diff(index) == -1):
        return slice(int(index[0]), int(index[-1]) - 1 if index[-1] > 0 else None, -1)
    return index


def _at_time(path: Path, mapping: "CFMet", n: int) -> xr.Dataset:
    """Return one time of a file, or the file if it has no times."""
    ds = open_met_file(path, mapping.format)
    time = first_of(ds, mapping.time)
    if time is not None:
        ds = ds.isel({time: n}, missing_dims="ignore")
    if mapping.format == "netcdf":
        return ds
    from transport.meteorology.arl import derived

    return derived(ds, path)


class Fields:
    """All fields of one met time, over the files that hold it; a context that closes them."""

    def __init__(self, hour: "Hour", mapping: "CFMet", region: Region) -> None:
        self._mapping, self._region, self._where = mapping, region, str(hour)
        self._parts: list[tuple[str, xr.Dataset]] = []
        for path, n in hour.parts:
            self._parts.append((str(path), _at_time(path, mapping, n)))

    def __enter__(self) -> "Fields":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, ds in self._parts:
            ds.close()

    def has(self, quantity: str) -> bool:
        """Tell whether any file of the time has the quantity."""
        return self._find(quantity) is not None

    def _find(self, quantity: str) -> tuple[str, xr.DataArray] | None:
        for name in self._mapping.variables.get(quantity, ()):
            for path, ds in self._parts:
                if name in ds.variables and (quantity not in _PLANES or ds[name].ndim == 2):
                    return path, ds[name]
        return None

    def _take(self, quantity: str) -> tuple[str, xr.DataArray, float]:
        """Return file, variable and factor to SI; raise if absent or of an unknown unit."""
        found = self._find(quantity)
        if found is None:
            names = self._mapping.variables.get(quantity)
            wanted = f"no variable {' or '.join(names)}" if names else "no variable named in the mapping"
            raise DataError(f"{self._where}: {wanted} for '{quantity}'")
        path, variable = found
        return path, variable, self._factor(quantity, variable, path)

    def _factor(self, quantity: str, variable: xr.DataArray, path: str) -> float:
        known = QUANTITIES[quantity]
        text = str(variable.attrs.get("units", ""))
        units = " ".join(text.replace("**", "").replace("^", "").split())
        sign = -1.0 if quantity in _TURNED and self._mapping.fluxes == "down" else 1.0
        if units in known:
            return sign * known[units]
        if _SUMMED.get(units) in known:
            if self._mapping.accumulation is None:
                raise DataError(
                    f"{path}: '{variable.name}' is a sum over time ('{text}'); state its accumulation, s"
                )
            return sign / self._mapping.accumulation
        raise DataError(
            f"{path}: '{variable.name}' has units '{text}'; expected for {quantity}: {', '.join(known)}"
        )

    def surface(self, quantity: str, missing: bool = False) -> Floats:
        """Return a field (y, x) in SI; surface pressure from its logarithm if need be."""
        if quantity == "surface_pressure" and not self.has(quantity) and self.has("log_surface_pressure"):
            return np.exp(self.surface("log_surface_pressure", missing))
        path, variable, factor = self._take(quantity)
        values = self._cut(path, variable, ())
        if not missing:
            self._check(values, path, variable)
        return values * factor

    def optional(self, quantity: str) -> Floats | None:
        """Return a field (y, x) in SI, or None where the files have none."""
        return self.surface(quantity) if self.has(quantity) else None

    def volume(self, quantity: str, order: npt.NDArray[np.intp], buried: npt.NDArray[np.bool_]) -> Floats:
        """Return a field (level, y, x) in SI from the ground up.

        buried : levels in the ground; where they are missing they take the value of the level above
        """
        path, variable, factor = self._take(quantity)
        level = self.level(variable, path)
        values = self._cut(path, variable.isel({level: _even(order)}), (level,))
        for k in range(values.shape[0] - 2, -1, -1):
            if buried[k].any():
                hidden = buried[k] & ~np.isfinite(values[k])
                values[k] = np.where(hidden, values[k + 1], values[k])
        self._check(values, path, variable)
        return values if factor == 1.0 else values * factor

    def level(self, variable: xr.DataArray, path: str) -> str:
        """Return the name of a variable's vertical dimension."""
        name = next((n for n in self._mapping.level if n in variable.dims), None)
        if name is None:
            raise DataError(
                f"{path}: '{variable.name}' has dimensions {variable.dims}; "
                f"expected a vertical one of {', '.join(self._mapping.level)}"
            )
        return name

    def raw(self, quantity: str) -> tuple[str, xr.DataArray, float]:
        """Return file, variable as stored and its factor to SI."""
        return self._take(quantity)

    def _cut(self, path: str, variable: xr.DataArray, front: Sequence[str]) -> Floats:
        y = next((n for n in self._mapping.y if n in variable.dims), None)
        x = next((n for n in self._mapping.x if n in variable.dims), None)
        if y is None or x is None or set(variable.dims) != {*front, y, x}:
            wanted = "level, y, x" if front else "y, x"
            raise DataError(f"{path}: '{variable.name}' has dimensions {variable.dims}; expected {wanted}")
        part = variable.isel({y: _even(self._region.rows), x: _even(self._region.columns)})
        return part.transpose(*front, y, x).values.astype(np.float64)

    @staticmethod
    def _check(values: Floats, path: str, variable: xr.DataArray) -> None:
        if not (values.min() >= -FILL_LIMIT and values.max() <= FILL_LIMIT):  # a NaN fails both
            bad = ~np.isfinite(values) | (np.abs(values) > FILL_LIMIT)
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise DataError(
                f"{path}: '{variable.name}' is {values[at]} at index {at} and {int(bad.sum())} points; "
                "expected finite values (cut_margin leaves out missing edges)"
            )
