"""Digital Calibration Certificates of PTB (XML, DCC 3 with D-SI): values with uncertainty and unit.

Schemas: https://ptb.de/dcc (version 3) and https://ptb.de/si (D-SI 1.3 and 2). The file comes from outside:
documents with a DTD are refused, so neither entities nor files elsewhere are ever read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from lxml import etree

from metroflux.errors import DataError
from metroflux.time import parse
from observations.metrology.certificates import Standard

Floats = npt.NDArray[np.float64]

DCC, SI = "{https://ptb.de/dcc}", "{https://ptb.de/si}"
LARGEST = 50_000_000
"""Bytes; a certificate with pictures has a few million."""

_MOLE_RATIO = re.compile(
    r"(?:\\(milli|micro|nano|pico))?\\mole(?:\\per\\mole|\\mole\\tothe\{-1\})", flags=re.ASCII
)
_PREFIX = {"": 1.0, "milli": 1e-3, "micro": 1e-6, "nano": 1e-9, "pico": 1e-12}
_PLAIN = {r"\one": 1.0, r"\percent": 1e-2, r"\ppm": 1e-6}

# value, expanded uncertainty, coverage factor: D-SI 1.3 and 2, single and list
_UNCERTAINTY = (
    ("expandedUnc", "uncertainty", "coverageFactor"),
    ("expandedUncXMLList", "uncertaintyXMLList", "coverageFactorXMLList"),
    ("expandedMU", "valueExpandedMU", "coverageFactor"),
    ("expandedMUXMLList", "valueExpandedMUXMLList", "coverageFactorXMLList"),
)
_STANDARD = ("valueStandardMU", "valueStandardMUXMLList")
_INTERVALS = (
    "coverageInterval",
    "coverageIntervalXMLList",
    "coverageIntervalMU",
    "coverageIntervalMUXMLList",
)


@dataclass(frozen=True)
class Quantity:
    """One quantity of a certificate.

    kind : its refType, such as "basic_measurementError"; empty if it has none
    name : in English where there is such a name
    value : shape (n,), in `unit`
    unit : D-SI spelling
    sd : standard uncertainty, shape (n,); None: the certificate states none
    k : coverage factor, shape (n,); None with `sd`
    """

    kind: str
    name: str
    value: Floats
    unit: str
    sd: Floats | None
    k: Floats | None


@dataclass(frozen=True)
class DigitalCertificate:
    """What is read: id, id of the item, last day of the measurement, quantities of the results."""

    identifier: str
    item: str
    date: np.datetime64
    quantities: tuple[Quantity, ...]


def read_dcc(path: Path) -> DigitalCertificate:
    """Return the results of a Digital Calibration Certificate.

    One uncertainty or coverage factor holds for the whole list that it stands beside.

    Raises
    ------
    DataError
        If the file is not XML, has a DTD, keeps another schema, or states an expanded uncertainty without a
        coverage factor, or a list whose lengths differ.
    """
    root = _root(path)
    found = tuple(
        quantity
        for result in root.iter(f"{DCC}result")
        for element in result.iter(f"{DCC}quantity")
        if not any(above.tag == f"{DCC}measurementMetaData" for above in element.iterancestors())
        for quantity in _quantity(path, element)
    )
    if not found:
        raise DataError(f"{path}: no quantity with a real value in its results")
    core = root.find(f"{DCC}administrativeData/{DCC}coreData")
    identifier = _text(core, f"{DCC}uniqueIdentifier")
    if not identifier:
        raise DataError(f"{path}: no uniqueIdentifier; expected the id of the certificate")
    item = root.find(f"{DCC}administrativeData/{DCC}items/{DCC}item/{DCC}identifications/{DCC}identification")
    day = _text(core, f"{DCC}endPerformanceDate")
    return DigitalCertificate(
        identifier, _text(item, f"{DCC}value"), parse(day, f"{path}: endPerformanceDate"), found
    )


def standard_of(
    path: Path, kind: str, species: str, scale: str, parent: str, parent_sd: float = 0.0
) -> Standard:
    """Return the certified mole fraction of a gas mixture, the quantity of refType `kind` with one value.

    Parameters
    ----------
    parent, parent_sd : a certificate does not say which part of its uncertainty, mol mol-1, comes from the
        standard behind it

    Raises
    ------
    DataError
        If there is not exactly one such value, or it has no uncertainty, or its unit is no mole fraction.
    """
    certificate = read_dcc(path)
    chosen = [q for q in certificate.quantities if q.kind == kind]
    if len(chosen) != 1 or chosen[0].value.size != 1:
        kinds = ", ".join(sorted({q.kind for q in certificate.quantities}))
        raise DataError(f"{path}: {len(chosen)} quantities '{kind}'; expected one value; it has {kinds}")
    quantity = chosen[0]
    if quantity.sd is None or quantity.k is None:
        raise DataError(f"{path}: '{kind}' has no uncertainty; expected one with its coverage factor")
    factor = mole_fraction(quantity.unit, str(path))
    return Standard(
        certificate=certificate.identifier,
        tank=certificate.item,
        species=species,
        value=float(quantity.value[0]) * factor,
        sd=float(quantity.sd[0]) * factor,
        k=float(quantity.k[0]),
        scale=scale,
        valid_from=certificate.date,
        valid_until=np.datetime64("NaT", "ns"),
        parent=parent,
        parent_sd=parent_sd,
    )


def mole_fraction(unit: str, where: str) -> float:
    r"""Return the factor from a D-SI unit to mol mol-1.

    >>> mole_fraction(r"\micro\mole\mole\tothe{-1}", "here")
    1e-06
    """
    if unit in _PLAIN:
        return _PLAIN[unit]
    ratio = _MOLE_RATIO.fullmatch(unit)
    if ratio is None:
        raise DataError(
            rf"{where}: unit '{unit}' is not a mole fraction; expected \micro\mole\per\mole or alike"
        )
    return _PREFIX[ratio[1] or ""]


def _root(path: Path) -> etree._Element:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise DataError(f"{path}: {size} bytes; expected a certificate below {LARGEST}")
        content = path.read_bytes()
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}); expected a certificate") from None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as fault:
        raise DataError(f"{path}: not XML ({fault}); expected a Digital Calibration Certificate") from None
    if root.getroottree().docinfo.doctype or root.getroottree().docinfo.internalDTD is not None:
        raise DataError(f"{path}: has a DOCTYPE; refused, because entities can read files or exhaust memory")
    if root.tag != f"{DCC}digitalCalibrationCertificate":
        raise DataError(f"{path}: root is '{root.tag}'; expected {DCC}digitalCalibrationCertificate")
    version = root.get("schemaVersion", "")
    if not re.fullmatch(r"3\.\d+\.\d+(-.*)?", version):
        raise DataError(f"{path}: DCC schema version '{version}'; expected 3.x.y")
    return root


def _text(element: etree._Element | None, tag: str) -> str:
    found = None if element is None else element.findtext(tag)
    return "" if found is None else str(found).strip()


def _quantity(path: Path, element: etree._Element) -> Iterator[Quantity]:
    """Yield the quantity of an element; of several units the first that states an uncertainty."""
    hybrid = element.find(f"{SI}hybrid")
    spellings = [
        real
        for real in (element if hybrid is None else hybrid)
        if real.tag in (f"{SI}real", f"{SI}realListXMLList")
    ]
    read = [_real(path, element, real) for real in spellings]
    if read:
        yield next((q for q in read if q.sd is not None), read[0])


def _real(path: Path, element: etree._Element, real: etree._Element) -> Quantity:
    suffix = "XMLList" if real.tag.endswith("XMLList") else ""
    where = f"{path}: line {real.sourceline}"
    value = _numbers(_text(real, f"{SI}value{suffix}"), where, "value")
    units = set(_text(real, f"{SI}unit{suffix}").split())
    if len(units) != 1:
        raise DataError(f"{where}: units {sorted(units)}; expected one")
    names = {name.get("lang"): str(name.text).strip() for name in element.iterfind(f"{DCC}name/{DCC}content")}
    sd, k = _uncertainty(real, where, value.size)
    name = names.get("en") or next(iter(names.values()), "")
    return Quantity(element.get("refType", ""), name, value, units.pop(), sd, k)


def _uncertainty(real: etree._Element, where: str, n: int) -> tuple[Floats | None, Floats | None]:
    for tag in _INTERVALS:
        if next(real.iter(f"{SI}{tag}"), None) is not None:
            raise DataError(f"{where}: a coverage interval; expected an expanded uncertainty with its factor")
    for tag in _STANDARD:
        given = next(real.iter(f"{SI}{tag}"), None)
        if given is not None:
            return _broadcast(str(given.text), where, "standard uncertainty", n), np.ones(n)
    for block, tag, factor in _UNCERTAINTY:
        stated = next(real.iter(f"{SI}{block}"), None)
        if stated is None:
            continue
        if not _text(stated, f"{SI}{factor}"):
            raise DataError(
                f"{where}: an expanded uncertainty without a coverage factor; the standard uncertainty is "
                f"unknown, ask the laboratory"
            )
        k = _broadcast(_text(stated, f"{SI}{factor}"), where, "coverage factor", n)
        if (k < 1).any():
            raise DataError(f"{where}: coverage factor {k.min():g}; expected at least 1")
        return _broadcast(_text(stated, f"{SI}{tag}"), where, "uncertainty", n) / k, k
    return None, None


def _broadcast(text: str, where: str, what: str, n: int) -> Floats:
    found = _numbers(text, where, what)
    if found.size not in (1, n):
        raise DataError(f"{where}: {found.size} numbers of '{what}' for {n} values; expected 1 or {n}")
    if (found < 0).any():
        raise DataError(f"{where}: {what} {found.min():g}; expected none below 0")
    return np.broadcast_to(found, (n,)).copy()


def _numbers(text: str, where: str, what: str) -> Floats:
    try:
        found = np.array([float(part) for part in text.split()])
    except ValueError as fault:
        raise DataError(f"{where}: {what}: {fault}; expected numbers") from None
    if not found.size or not np.isfinite(found).all():
        raise DataError(f"{where}: {what} is '{text}'; expected finite numbers")
    return found
