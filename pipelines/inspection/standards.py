"""Certified values: a Digital Calibration Certificate, and a tanks CSV."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from metroflux.errors import DataError
from observations.kinds import Kind
from observations.metrology.certificates import Standard, read_tanks
from observations.metrology.dcc import Quantity, mole_fraction, read_dcc
from pipelines.inspection.gases import unit_of
from pipelines.inspection.sheet import Row, show

_MOST_VALUES = 12


def show_certificate(path: Path, kind: Kind, console: Console) -> None:
    """Print the quantities of a certificate with their expanded uncertainties."""
    found = read_dcc(path)
    rows = [
        Row("certificate", found.identifier),
        Row("item", found.item or "not stated"),
        Row("valid", f"from {str(found.date)[:10]}, when the measurement ended; no end stated"),
        *(row for quantity in found.quantities for row in _quantity(quantity)),
        Row("taken by", kind.taken_by),
    ]
    show(console, path, kind.about, rows)


def _quantity(quantity: Quantity) -> Iterator[Row]:
    named = ", ".join(filter(None, (quantity.name, quantity.kind))) or "no name"
    yield Row("quantity", f"{named} [{quantity.unit}]{_use(quantity)}")
    if quantity.sd is None or quantity.k is None:
        texts, end = [f"{value:.8g}" for value in quantity.value], "; no uncertainty"
    else:
        pairs = zip(quantity.value, quantity.sd * quantity.k, strict=True)
        texts = [f"{value:.8g}±{wide:.3g}" for value, wide in pairs]
        end = f"; value±U, k = {', '.join(f'{k:g}' for k in np.unique(quantity.k))}"
    more = f" and {len(texts) - _MOST_VALUES} more" if len(texts) > _MOST_VALUES else ""
    yield Row("", ", ".join(texts[:_MOST_VALUES]) + more + end)


def _use(quantity: Quantity) -> str:
    try:
        mole_fraction(quantity.unit, quantity.name)
    except DataError:
        return ""
    return ", can be a standard" if quantity.value.size == 1 and quantity.sd is not None else ""


def show_tanks(path: Path, kind: Kind, console: Console) -> None:
    """Print each standard with its expanded uncertainty and validity."""
    rows = [row for standard in read_tanks(path) for row in _standard(standard)]
    show(console, path, kind.about, [*rows, Row("taken by", kind.taken_by)])


def _standard(standard: Standard) -> Iterator[Row]:
    factor, unit = unit_of(standard.species)
    value, wide = standard.value * factor, standard.sd * standard.k * factor
    parent = f", of {standard.parent}" if standard.parent else ""
    until = standard.valid_until
    end = "no end stated" if np.isnat(until) else f"to {str(until)[:10]}"
    yield Row(standard.tank, f"{standard.species} {value:.8g}±{wide:.3g} {unit}, k = {standard.k:g}")
    yield Row("", f"{standard.scale}, certificate {standard.certificate}{parent}")
    yield Row("", f"valid from {str(standard.valid_from)[:10]}, {end}")
