"""Which format a file is in, by its content, and reading it: one way in for every format."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from metroflux.errors import DataError
from observations import raw
from observations.dataset import TruncatedFileWarning
from observations.formats import (
    agage,
    beaco2n,
    cities,
    em27,
    gcwerks,
    icos,
    icos_netcdf,
    icos_plain,
    noaa,
    obspack,
    satellite,
    tccon,
    wdcgg,
)
from observations.formats.series import NOTHING, Supplement
from observations.head import Head, read_head, words
from observations.kinds import KINDS, kind_of


@dataclass(frozen=True)
class Format:
    """A format: its name, how it is told from others, and how it is read.

    about : what it is, for people
    mark : what content shows it, for people
    is_it : tells whether a file that begins so is in this format
    gases : the gases of a file
    read : the observations of one gas of a file
    uncertainty_beside : whether `Supplement.uncertainty_file` has a meaning
    """

    name: str
    about: str
    mark: str
    is_it: Callable[[Head], bool]
    gases: Callable[[Path], tuple[str, ...]]
    read: Callable[[Path, Supplement], xr.Dataset]
    uncertainty_beside: bool = False


_ALL = (
    Format(
        "icos",
        "ICOS ATC level 2 or near-real-time text",
        "'#' header whose last line has InstrumentId",
        lambda head: "InstrumentId" in words(head.header_end(), ";"),
        icos.gases,
        icos.read_icos,
    ),
    Format(
        "icos-netcdf",
        "ICOS netCDF of one gas in the layout of OpenGHG",
        "variables flag and, of a gas, its _variability and _number_of_observations",
        icos_netcdf.is_icos_netcdf,
        icos_netcdf.gases,
        icos_netcdf.read_icos_netcdf,
    ),
    Format(
        "icos-plain",
        "older ICOS ATC export, without header",
        "first line 'Site Year Month Day Hour Minute Date', a gas, 'Stdev NbPoints Flag'",
        icos_plain.is_icos_plain,
        icos_plain.gases,
        icos_plain.read_icos_plain,
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
        uncertainty_beside=True,
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
        lambda head: {"local_timestamp", "datetime", "node_id", "epoch"} <= words(head.line(0), ","),
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
        lambda head: {"gndP", "latdeg", "XAIR"} <= words(head.line(0), ","),
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
    kind = kind_of(head)
    if kind is not None:
        raise DataError(f"{path}: {kind.about}, no observations as they are; taken by {kind.taken_by}")
    begins = f"variables {', '.join(sorted(head.names)[:8])}" if head.names else f"'{head.line(0)[:60]}'"
    marks = (*(f"{form.name}: {form.mark}" for form in _ALL), *(kind.about for kind in KINDS))
    tried = "\n  ".join(marks)
    raise DataError(
        f"{path}: not in a known format; it begins with {begins}. Looked for\n  {tried}\n"
        "Another CSV or netCDF table is read by reader 'table' with a mapping of its columns"
    )


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
    if given.uncertainty_file is not None and not form.uncertainty_beside:
        able = ", ".join(other.name for other in _ALL if other.uncertainty_beside)
        raise DataError(f"{path}: uncertainty_file is given, but {form.name} takes none; expected {able}")
    with raw.truncations() as cut:
        ds = form.read(path, given)
    for text in cut:
        warnings.warn(text, TruncatedFileWarning, stacklevel=2)
    ds = ds.assign_attrs(format=form.name)
    return ds.assign_attrs(truncated="; ".join(text.removeprefix(f"{path}: ") for text in cut)) if cut else ds
