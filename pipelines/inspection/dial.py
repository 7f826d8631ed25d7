"""A DIAL scan: rays, range, noise, the error common to all gates, and whether it is a whole plane."""

from pathlib import Path

import numpy as np
from rich.console import Console

from observations.flux_lidar.dial import read_dial_scan
from observations.flux_lidar.plane import plane_fault
from observations.kinds import Kind
from pipelines.inspection.gases import unit_of
from pipelines.inspection.sheet import Row, period, place, show, span


def show_dial(path: Path, kind: Kind, console: Console) -> None:
    """Print what a DIAL scan holds and whether a flux through its plane can be had."""
    scan = read_dial_scan(path)
    species, values = str(scan.attrs["species"]), scan.mole_fraction.values
    factor, unit = unit_of(species)
    known, lat, lon = np.isfinite(values), float(scan.latitude), float(scan.longitude)
    up, around, far = (scan[name].values for name in ("elevation", "azimuth", "range"))
    fault = plane_fault(scan)
    rows = [
        Row("gas", f"{species}, {span(values[known].min() * factor, values[known].max() * factor, unit)}"
            if known.any() else f"{species}, all gates missing"),
        Row("period", f"{period(scan.time.values.min(), scan.time.values.max(), 19)} UTC"),
        Row("place", place(lat, lat, lon, lon)),
        Row("rays", f"{up.size}, elevation {span(up.min(), up.max(), 'degrees')}, "
            f"azimuth {span(around.min(), around.max(), 'degrees')}"),
        Row("gates", f"{far.size} of {float(scan.gate_length):g} m, {span(far.min(), far.max(), 'm', 7)}"),
        Row("missing", f"{values.size - known.sum()} of {values.size} gates"),
        Row("random sd", f"median {np.nanmedian(scan.random_sd.values) * factor:.3g} {unit} of a gate"),
        Row("common sd", f"{float(scan.cross_section_sd) * 100:.3g} % by the cross-section "
            f"({scan.attrs['traceable_to']})"),
        Row("plane", fault or "whole: a flux through it can be had"),
        Row("taken by", kind.taken_by),
    ]  # fmt: skip
    show(console, path, kind.about, rows)
