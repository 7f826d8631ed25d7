"""The columns of a CSV or netCDF file as they stand, and their numbers with missing values told apart."""

import csv
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.errors import DataError
from metroflux.units import FILL_LIMIT, MOLE_FRACTION, mole_fraction_factor
from observations.dataset import TruncatedFileWarning

Floats = npt.NDArray[np.float64]
Column = npt.NDArray[np.generic]

MISSING_TEXT = ("", "nan", "NaN", "NA")
"""Spellings of a missing value that need no declaration."""


@dataclass(frozen=True)
class RawTable:
    """Columns as read: text from a CSV, typed arrays from a netCDF; all of one length.

    units : units attribute of each netCDF column that has one
    first_line : line of the first row in a text file; None for netCDF
    """

    path: Path
    columns: dict[str, Column]
    units: dict[str, str]
    first_line: int | None

    def row(self, index: int) -> str:
        """Return how a person finds row `index` in the file."""
        return f"row {index}" if self.first_line is None else f"line {self.first_line + index}"


def read_raw(path: Path, wanted: Sequence[str], separator: str = ",") -> RawTable:
    """Read the wanted columns of a netCDF (.nc, .nc4, .cdf) or delimited text file with one header line.

    A netCDF whose columns have several dims is the table of all their combinations, in C order.

    Raises
    ------
    DataError
        If the file is missing, empty, ragged or not text, or lacks a column (the error lists those it has).
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected observations")
    if path.suffix in (".nc", ".nc4", ".cdf"):
        return _read_netcdf(path, wanted)
    rows = split_lines(path, read_lines(path), separator)
    if len(rows) < 2:
        raise DataError(f"{path}: {len(rows)} lines; expected a header line and at least one row")
    header = [name.strip() for name in rows[0]]
    _refuse_absent(path, wanted, header)
    body = zip(*rows[1:], strict=True)
    table = {name: np.array(values) for name, values in zip(header, body, strict=True) if name in wanted}
    return RawTable(path, table, {}, 2)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, without the blank ones at its end."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}); expected a text file") from None
    except UnicodeDecodeError as fault:
        raise DataError(f"{path}: not UTF-8 text (byte {fault.start}); expected a text file") from None
    return text.rstrip().split("\n") if text.strip() else []


def header_names(path: Path, separator: str = ",") -> list[str]:
    """Return the words of the first line of a table, none of an empty file."""
    lines = read_lines(path)
    return [name.strip() for name in lines[0].split(separator)] if lines else []


def split_lines(path: Path, lines: Iterable[str], separator: str, first_line: int = 1) -> list[list[str]]:
    """Return the fields of each line, all lines of the same number of fields; quotes keep separators.

    Warns
    -----
    TruncatedFileWarning
        If the last line breaks off: it is left out.
    """
    rows: list[list[str]] = []
    try:
        reader = csv.reader(lines, delimiter=separator, strict=True)
        rows.extend([field.strip() for field in row] for row in reader)
    except csv.Error as fault:
        raise DataError(f"{path}: line {first_line + len(rows)} is not a table row ({fault})") from None
    return _even(path, rows, first_line)


def split_words(path: Path, lines: Iterable[str], first_line: int = 1) -> list[list[str]]:
    """Return the words of each line, otherwise as split_lines."""
    return _even(path, [line.split() for line in lines], first_line)


def _even(path: Path, rows: list[list[str]], first_line: int) -> list[list[str]]:
    if len(rows) > 2 and len(rows[-1]) < len(rows[0]) == len(rows[-2]):
        warn_truncated(f"{path}: truncated: line {first_line + len(rows) - 1} breaks off and is left out")
        rows = rows[:-1]
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]):
            here = f"line {first_line + index}"
            raise DataError(f"{path}: {here} has {len(row)} fields, expected {len(rows[0])}")
    return rows


def warn_truncated(text: str) -> None:
    """Warn that a file is cut short; `observations.recognise.read` writes it into the dataset."""
    warnings.warn(text, TruncatedFileWarning, stacklevel=2)


def table_of(path: Path, names: Sequence[str], rows: list[list[str]], first_line: int) -> RawTable:
    """Return rows of text under their names; of columns of the same name the first counts.

    Raises
    ------
    DataError
        If there is no row, or the rows have another number of fields than there are names.
    """
    if not rows:
        raise DataError(f"{path}: a header without data rows")
    if len(rows[0]) != len(names):
        raise DataError(f"{path}: line {first_line} has {len(rows[0])} fields, expected {len(names)}")
    columns: dict[str, Column] = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        columns.setdefault(name, np.array(values))
    return RawTable(path, columns, {}, first_line)


@contextmanager
def truncations() -> Iterator[list[str]]:
    """Collect what is said of files cut short within the block, each once; other warnings pass."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TruncatedFileWarning)
        yield told
    for warning in caught:
        if not issubclass(warning.category, TruncatedFileWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif str(warning.message) not in told:
            told.append(str(warning.message))


def _read_netcdf(path: Path, wanted: Sequence[str]) -> RawTable:
    try:
        with xr.open_dataset(path, decode_timedelta=False) as ds:
            _refuse_absent(path, wanted, [str(name) for name in ds.variables])
            found = {name: ds[name].load() for name in wanted}
    except (OSError, ValueError, RuntimeError) as fault:
        raise DataError(f"{path}: cannot be read as netCDF ({fault})") from None
    dims = max((column.dims for column in found.values()), key=len)
    if not dims or any(not set(column.dims) <= set(dims) for column in found.values()):
        shapes = {name: column.dims for name, column in found.items()}
        raise DataError(f"{path}: columns have dims {shapes}; expected all within the dims of one of them")
    units = {name: str(column.attrs["units"]) for name, column in found.items() if "units" in column.attrs}
    full = dict(zip(found, xr.broadcast(*found.values()), strict=True))
    columns = {name: _plain(column.transpose(*dims).values.ravel()) for name, column in full.items()}
    return RawTable(path, columns, units, None)


def _plain(values: Column) -> Column:
    if values.dtype.kind in "SOT":
        return np.array([v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values])
    return values


def _refuse_absent(path: Path, wanted: Sequence[str], present: Sequence[str]) -> None:
    absent = [name for name in wanted if name not in present]
    if absent:
        raise DataError(f"{path}: no column {', '.join(absent)}; the file has: {', '.join(present)}")
    twice = sorted({name for name in wanted if list(present).count(name) > 1})
    if twice:
        raise DataError(f"{path}: column {', '.join(twice)} occurs more than once in the header")


def texts(raw: RawTable, name: str) -> npt.NDArray[np.str_]:
    """Return a column as text."""
    return raw.columns[name].astype(str)


def numbers(raw: RawTable, name: str, missing: Sequence[str] = ()) -> Floats:
    """Return a column as numbers, NaN where missing.

    Parameters
    ----------
    missing : spellings of a missing value beyond MISSING_TEXT; numbers match in any spelling

    Raises
    ------
    DataError
        If a field is neither a number nor a declared missing value, or is infinite.
    """
    values = raw.columns[name]
    if values.dtype.kind in "fiub":
        out = values.astype(np.float64)
    elif values.dtype.kind == "U":
        out = np.array([_number(str(text), (*MISSING_TEXT, *missing)) for text in values])
    else:
        raise DataError(f"{raw.path}: '{name}' has type {values.dtype}; expected numbers")
    for value in (number for text in missing if math.isfinite(number := _number(text, ()))):
        # -999.99 in a float32 file is not exactly the -999.99 declared
        out = np.where(np.isclose(out, value, rtol=1e-6, atol=0), np.nan, out)
    bad = np.flatnonzero(np.isinf(out))
    if bad.size:
        at = f"{raw.row(int(bad[0]))}: '{values[bad[0]]}'"
        raise DataError(f"{raw.path}: '{name}' is not a number in {bad.size} rows, first {at}")
    return out


def _number(text: str, missing: Sequence[str]) -> float:
    """Return the number of a text, NaN for a missing value, infinity for what is no number."""
    if text in missing:
        return math.nan
    try:
        # Python reads "1_000" as a number; a data file does not mean it
        value = math.inf if "_" in text else float(text)
    except ValueError:
        return math.inf
    return math.inf if math.isnan(value) else value


def refuse_implausible(
    raw: RawTable, name: str, values: Floats, limits: tuple[float, float], unit: str
) -> None:
    """Stop at a value outside `limits` (both in `unit`): an undeclared missing value or a wrong unit."""
    bad = np.flatnonzero((values < limits[0]) | (values > limits[1]))
    if bad.size:
        first = f"{raw.row(int(bad[0]))}: {values[bad[0]]:g} {unit}"
        raise DataError(
            f"{raw.path}: '{name}' is outside {limits[0]:g} to {limits[1]:g} {unit} in {bad.size} rows, "
            f"first {first}; a missing value to declare, or another unit?"
        )


def refuse_fill(raw: RawTable, name: str, values: npt.NDArray[np.float64]) -> None:
    """Stop at a magnitude that only an undeclared fill value has."""
    refuse_implausible(raw, name, values, (-FILL_LIMIT, FILL_LIMIT), "(of any unit)")


def agreed_factor(raw: RawTable, name: str, unit: str) -> float:
    """Return the factor from the declared unit to mol mol-1, if the file does not say another unit.

    A file that says nothing, or "unknown", is taken at the declared word.
    """
    factor = mole_fraction_factor(unit)
    said = raw.units.get(name, "unknown").strip()
    if said not in ("", "unknown") and MOLE_FRACTION.get(said) != factor:
        raise DataError(f"{raw.path}: '{name}' is in '{said}' by the file, but '{unit}' is declared")
    return factor
