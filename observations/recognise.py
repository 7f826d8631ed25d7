"""Which format a file is in, by its content, and reading it: one way in for every format."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from metroflux.errors import DataError
from observations.dataset import TruncatedFileWarning
from observations.formats import (
    agage,
    beaco2n,
    cities,
    em27,
    gcwerks,
    icos,
    noaa,
    obspack,
    satellite,
    tccon,
    wdcgg,
)
from observations.formats.series import NOTHING, Supplement

_HEAD_BYTES = 65536
_MAGIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF")


@dataclass(frozen=True)
class Head:
    """The beginning of a file: lines of a text, or names of a netCDF.

    lines : first lines of a text file; empty for netCDF
    names : variables of a netCDF file; empty for text
    """

    lines: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()

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


@dataclass(frozen=True)
class Format:
    """A format: its name, how it is told from others, and how it is read.

    about : what it is, for people
    mark : what content shows it, for people
    is_it : tells whether a file that begins so is in this format
    gases : the gases of a file
    read : the observations of one gas of a file
    """

    name: str
    about: str
    mark: str
    is_it: Callable[[Head], bool]
    gases: Callable[[Path], tuple[str, ...]]
    read: Callable[[Path, Supplement], xr.Dataset]


def _words(line: str, separator: str | None = None) -> set[str]:
    return {word.strip() for word in line.lstrip("#").split(separator)}


_ALL = (
    Format(
        "icos",
        "ICOS ATC level 2 or near-real-time text",
        "'#' header whose last line has InstrumentId",
        lambda head: "InstrumentId" in _words(head.header_end(), ";"),
        icos.gases,
        icos.read_icos,
    ),
    Format(
        "icos-cities",
        "ICOS Cities text of low- and mid-cost sensors (ACROPOLIS)",
        "'#' header whose last line begins with Datetime",
        lambda head: head.header_end().startswith("#Datetime;"),
        cities.gases,
        cities.read_cities,
    ),
    Format(
        "obspack",
        "ObsPack netCDF",
        "variables obspack_id, value and qcflag",
        lambda head: {"obspack_id", "value", "qcflag"} <= head.names,
        obspack.gases,
        obspack.read_obspack,
    ),
    Format(
        "noaa-event",
        "NOAA flask event text",
        "first line '# number_of_header_lines:'",
        lambda head: head.line(0).startswith("# number_of_header_lines:"),
        noaa.gases,
        noaa.read_noaa_event,
    ),
    Format(
        "wdcgg",
        "World Data Centre for Greenhouse Gases text",
        "first line '# header_lines :'",
        lambda head: head.line(0).startswith("# header_lines :"),
        wdcgg.gases,
        wdcgg.read_wdcgg,
    ),
    Format(
        "gcwerks",
        "GCWerks export of a cavity ring-down analyser",
        "third line 'date time type port ...'",
        lambda head: head.line(2).split()[:4] == ["date", "time", "type", "port"],
        gcwerks.gases,
        gcwerks.read_gcwerks,
    ),
    Format(
        "agage-text",
        "AGAGE .C text of one instrument",
        "third line 'Scale:', fourth 'Unit:'",
        lambda head: head.line(2).split()[:1] == ["Scale:"] and head.line(3).split()[:1] == ["Unit:"],
        agage.text_gases,
        agage.read_agage_text,
    ),
    Format(
        "agage-netcdf",
        "AGAGE netCDF of one gas",
        "variables mf, mf_repeatability and sampling_period",
        lambda head: {"mf", "mf_repeatability", "sampling_period"} <= head.names,
        agage.netcdf_gases,
        agage.read_agage_netcdf,
    ),
    Format(
        "beaco2n",
        "BEACO2N node CSV",
        "columns local_timestamp, datetime, node_id and epoch",
        lambda head: {"local_timestamp", "datetime", "node_id", "epoch"} <= _words(head.line(0), ","),
        beaco2n.gases,
        beaco2n.read_beaco2n,
    ),
    Format(
        "tccon",
        "TCCON public netCDF",
        "variables ak_pressure, prior_h2o and integration_operator",
        lambda head: {"ak_pressure", "prior_h2o", "integration_operator"} <= head.names,
        tccon.gases,
        tccon.read_tccon,
    ),
    Format(
        "em27",
        "EM27/SUN columns of PROFFAST 1 or 2",
        "columns gndP, latdeg, XAIR",
        lambda head: {"gndP", "latdeg", "XAIR"} <= _words(head.line(0), ","),
        em27.gases,
        em27.read_em27,
    ),
    Format(
        "satellite",
        "OCO-2/3 lite or GOSAT netCDF with kernels",
        "variables pressure_levels and xco2_ or xch4_averaging_kernel",
        lambda head: (
            "pressure_levels" in head.names
            and bool({"xco2_averaging_kernel", "xch4_averaging_kernel"} & head.names)
        ),
        satellite.gases,
        satellite.read_satellite,
    ),
)

FORMATS: Mapping[str, Format] = {form.name: form for form in _ALL}
"""Every format that a file can be recognised as, by name."""


def recognise(path: Path) -> Format:
    """Return the format of a file, by its content alone.

    Raises
    ------
    DataError
        If it cannot be read, is in none of the formats (the message lists what was looked for), or could be
        in several.
    """
    head = read_head(path)
    found = [form for form in _ALL if form.is_it(head)]
    if len(found) > 1:
        raise DataError(f"{path}: could be {' or '.join(form.name for form in found)}; name the format")
    if found:
        return found[0]
    begins = f"variables {', '.join(sorted(head.names)[:8])}" if head.names else f"'{head.line(0)[:60]}'"
    tried = "; ".join(f"{form.name}: {form.mark}" for form in _ALL)
    raise DataError(
        f"{path}: not in a known format; it begins with {begins}. Looked for {tried}. Another CSV or netCDF "
        "table is read by reader 'table' with a mapping of its columns"
    )


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
        return Head(names=_netcdf_names(path))
    if not start.strip():
        raise DataError(f"{path}: empty; expected observations")
    if b"\0" in start:
        raise DataError(f"{path}: binary, but not netCDF; expected observations as text or netCDF")
    return Head(lines=tuple(start.decode("utf-8-sig", "replace").splitlines()))


def _netcdf_names(path: Path) -> frozenset[str]:
    try:
        with xr.open_dataset(path, decode_cf=False) as ds:
            return frozenset(map(str, ds.variables))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as fault:
        raise DataError(f"{path}: cannot be read as netCDF ({fault})") from None


def read(path: Path, name: str = "auto", given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of a file, in a named format or the one recognised.

    The attribute `format` names it; a file that is cut short also has the attribute `truncated`, which says
    how, besides the warning.

    Raises
    ------
    DataError
        If the name is unknown, or the file is not in the format.

    Warns
    -----
    TruncatedFileWarning
        If the file is cut short.
    """
    if name != "auto" and name not in FORMATS:
        raise DataError(f"format '{name}' is unknown; expected auto, {', '.join(FORMATS)}")
    form = recognise(path) if name == "auto" else FORMATS[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TruncatedFileWarning)
        ds = form.read(path, given)
    cut = list(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, TruncatedFileWarning)))
    for warning in caught:
        if str(warning.message) not in cut:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    for text in cut:
        warnings.warn(text, TruncatedFileWarning, stacklevel=2)
    ds = ds.assign_attrs(format=form.name)
    return ds.assign_attrs(truncated="; ".join(text.removeprefix(f"{path}: ") for text in cut)) if cut else ds
