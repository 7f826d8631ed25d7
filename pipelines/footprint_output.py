"""Write footprints to one netCDF file piece by piece, so that few receptors are in memory at one time."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path

import netCDF4
import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.errors import DataError


@dataclass
class Output:
    """A file that appears under its name when `finish` is called; `discard` leaves nothing.

    receptors : of the whole file
    totals : summed footprint of each, m2 s mol-1, as far as written
    """

    path: Path
    receptors: int
    totals: npt.NDArray[np.float64] = field(init=False)
    _file: netCDF4.Dataset | None = field(default=None, init=False)
    _rows: list[npt.NDArray[np.intp]] = field(default_factory=list, init=False)
    _rest: list[xr.Dataset] = field(default_factory=list, init=False)
    _fixed: xr.Dataset = field(default_factory=xr.Dataset, init=False)

    def __post_init__(self) -> None:
        self.totals = np.zeros(self.receptors)

    @property
    def part(self) -> Path:
        """The file while it is being written."""
        return self.path.with_name(f"{self.path.name}.part")

    def put(self, rows: npt.NDArray[np.intp], piece: xr.Dataset) -> None:
        """Write the footprints of some receptors, any rows in any order; the rest is kept for the end.

        Raises
        ------
        DataError
            If the disk refuses.
        """
        try:
            if self._file is None:
                self._file = self._create(piece)
            for n, row in enumerate(rows):
                self._file["foot"][row] = piece.foot.values[n]
        except (OSError, RuntimeError) as fault:
            raise DataError(f"--output {self.path}: cannot be written ({fault})") from None
        self.totals[rows] = piece.foot.values.reshape(rows.size, -1).sum(axis=1, dtype=np.float64)
        self._rows.append(rows)
        rest = piece.drop_vars("foot")
        if not self._rest:
            self._fixed = rest.drop_vars(_by_receptor(rest))
        self._rest.append(rest[_by_receptor(rest)].drop_vars(list(self._fixed.variables), errors="ignore"))

    def rest(self) -> xr.Dataset:
        """Return all that was put but `foot`, in the order of the receptors."""
        order = np.argsort(np.concatenate(self._rows))
        merged = xr.concat(self._rest, "receptor", combine_attrs="override").isel(receptor=order)
        return self._fixed.merge(merged, combine_attrs="override")

    def finish(self, rest: xr.Dataset) -> None:
        """Add the other variables and the attributes, and put the file in its place."""
        assert self._file is not None  # noqa: S101 - there is no file without a receptor
        self._file.close()
        self._file = None
        try:
            rest.drop_encoding().to_netcdf(self.part, mode="a", engine="netcdf4")
            self.part.replace(self.path)
        except (OSError, RuntimeError) as fault:
            raise DataError(f"--output {self.path}: cannot be written ({fault})") from None

    def discard(self) -> None:
        """Remove what is unfinished."""
        if self._file is not None:
            self._file.close()
        self.part.unlink(missing_ok=True)

    def _create(self, piece: xr.Dataset) -> netCDF4.Dataset:
        file = netCDF4.Dataset(self.part, "w")
        shape = (self.receptors, *piece.foot.shape[1:])
        for name, size in zip(piece.foot.dims, shape, strict=True):
            file.createDimension(str(name), size)
        foot = file.createVariable(
            "foot", "f4", piece.foot.dims, zlib=True, complevel=1, chunksizes=(1, *shape[1:]),
            fill_value=np.float32(np.nan),
        )  # fmt: skip
        beside = [str(n) for n, c in piece.coords.items() if n not in piece.dims and c.dims]
        at = [n for n in beside if set(piece[n].dims) <= set(piece.foot.dims)]
        foot.setncatts(piece.foot.attrs | {"coordinates": " ".join(sorted(at))})
        return file


def _by_receptor(ds: xr.Dataset) -> list[Hashable]:
    return [name for name, v in ds.variables.items() if "receptor" in v.dims]
