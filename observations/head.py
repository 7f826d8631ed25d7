"""The beginning of a file, by which its format is recognised."""

from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from metroflux.errors import DataError

_HEAD_BYTES = 65536
_MAGIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF")


@dataclass(frozen=True)
class Head:
    """The beginning of a file: lines of a text, or names of a netCDF.

    lines : first lines of a text file; empty for netCDF
    names : variables of a netCDF file; empty for text
    file : name of the file, for the one format whose content has no mark
    """

    lines: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    file: str = ""

    def line(self, number: int) -> str:
        """Return a line, counted from 0, empty if there is none."""
        return self.lines[number] if number < len(self.lines) else ""

    def header_end(self) -> str:
        """Return the last of the first lines that start with '#'."""
        last = ""
        for line in self.lines:
            if not line.startswith("#"):
                break
            last = line
        return last

    def has(self, *texts: str) -> bool:
        """Tell whether each of the texts is somewhere in the first lines."""
        joined = "\n".join(self.lines)
        return all(text in joined for text in texts)


def words(line: str, separator: str | None = None) -> set[str]:
    """Return the words of a line, without a leading '#'."""
    return {word.strip() for word in line.lstrip("#").split(separator)}


def read_head(path: Path) -> Head:
    """Return the beginning of a file.

    Raises
    ------
    DataError
        If the file is absent, empty, binary but not netCDF, or a netCDF that cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD_BYTES)
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}); expected observations") from None
    if start.startswith(_MAGIC):
        return Head(names=_netcdf_names(path), file=path.name)
    if not start.strip():
        raise DataError(f"{path}: empty; expected observations")
    if b"\0" in start:
        raise DataError(f"{path}: binary, but not netCDF; expected observations as text or netCDF")
    return Head(lines=tuple(start.decode("utf-8-sig", "replace").splitlines()), file=path.name)


def _netcdf_names(path: Path) -> frozenset[str]:
    try:
        with xr.open_dataset(path, decode_cf=False) as ds:
            return frozenset(map(str, ds.variables))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as fault:
        raise DataError(f"{path}: cannot be read as netCDF ({fault})") from None
