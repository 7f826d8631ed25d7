"""DIAL: the profile format (schema "dial"), its reader, the retrieval, and gates as observations.

netCDF, CF-1.8, dims (time, range), one ray for each time; no public format for CO2 or CH4 exists, so this is
ours. Variables and units are those of the schema; attributes `species` and `traceable_to` (the spectroscopy).
`random_sd` is the noise of a gate, `neighbour_correlation` that of a gate's noise with the next gate's: two
gates share the echo of the edge between them, so it is near -0.5. `cross_section_sd` is relative and common.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux import schema
from metroflux.constants import GAS_CONSTANT
from metroflux.errors import DataError
from metroflux.provenance import sha256_file
from metroflux.uncertainty import Random, attach
from observations import dataset
from observations.components import cross_section
from observations.flux_lidar.rays import Floats
from observations.formats.netcdf import load

AVOGADRO = 6.02214076e23
"""mol-1, exact (SI)."""


def number_density(off: Floats, on: Floats, cross_section_difference: float, gate_length: float) -> Floats:
    """Return molecules per volume of each gate, m-3, from the echoes at its two edges.

    n(R) = ln[P_off(R2) P_on(R1) / (P_on(R2) P_off(R1))] / (2 dsigma dR), R1 the near edge.

    Parameters
    ----------
    off, on : echoes at the gates' edges, any unit, the last dim edges
    cross_section_difference : on minus off, m2
    gate_length : dR, m
    """
    return np.asarray(np.diff(np.log(off / on), axis=-1) / (2.0 * cross_section_difference * gate_length))


def noise(
    off: Floats, on: Floats, cross_section_difference: float, gate_length: float
) -> tuple[Floats, Floats]:
    """Return sd of the number density, m-3, and its correlation with the next gate, from photon counts.

    Counts are Poisson: the variance of ln(off / on) at an edge is 1/off + 1/on.
    """
    edge = 1.0 / off + 1.0 / on
    gate = edge[..., 1:] + edge[..., :-1]
    correlation = np.zeros(gate.shape)
    correlation[..., :-1] = -edge[..., 1:-1] / np.sqrt(gate[..., 1:] * gate[..., :-1])
    return np.sqrt(gate) / (2.0 * cross_section_difference * gate_length), correlation


def air_density(pressure: Floats, temperature: Floats) -> Floats:
    """Return the amount of air per volume, mol m-3: p / (R T)."""
    return np.asarray(pressure / (GAS_CONSTANT * temperature))


def read_dial_scan(path: Path) -> xr.Dataset:
    """Return the profiles of a DIAL file, with the id of the file as attribute `provenance`.

    Raises
    ------
    DataError
        If it cannot be read, breaks the schema, lacks an attribute, or states an sd that is not positive.
    """
    ds = load(path, ("mole_fraction",), "DIAL profiles")
    schema.check(ds, "dial", str(path))
    absent = [name for name in ("species", "traceable_to") if name not in ds.attrs]
    known = np.isfinite(ds.mole_fraction.values)
    wrong = [f"no attribute {name}" for name in absent]
    if not (ds.random_sd.values[known] > 0).all():
        wrong.append("random_sd is not above 0 where there is a mole fraction")
    if not (np.abs(ds.neighbour_correlation.values) <= 1).all():
        wrong.append("neighbour_correlation is beyond -1 to 1")
    if not (np.diff(ds["range"].values) > 0).all():
        wrong.append("range does not rise")
    if wrong:
        raise DataError(f"{path}: {'; '.join(wrong)}")
    return ds.assign_attrs(provenance=sha256_file(path))


def ray_ids(scan: xr.Dataset) -> list[str]:
    """Return an id for each ray that is the same in any file: gas, place of the lidar and time.

    A day's file and the scan cut out of it, or two retrievals of one echo, are one measurement.
    """
    place = f"{scan.attrs['species']} ray at {float(scan.latitude):.4f}, {float(scan.longitude):.4f}"
    return [f"{place}, {time}" for time in np.datetime_as_string(scan.time.values, unit="ms")]


def gates(scan: xr.Dataset, site: str, height: float, averaging_s: float) -> xr.Dataset:
    """Return each gate as an observation with its line of sight: receptors of the transport follow from it.

    Noise counts as independent from gate to gate: sums over gates then have somewhat too large an sd. An
    averaging kernel of the scan goes with each gate: how much air at each true range counts in it.

    Parameters
    ----------
    height : of the lidar above the ground, m
    averaging_s : s

    Raises
    ------
    DataError
        If a row of the averaging kernel does not sum to 1 within 0.01, or lacks its ranges.
    """
    schema.check(scan, "dial", site)
    kernel = _kernel(scan, site)
    rays, count = scan.sizes["time"], scan.sizes["range"]
    n, start = rays * count, np.repeat(scan.time.values, count)
    values, sd = scan.mole_fraction.values.ravel(), scan.random_sd.values.ravel()
    distance = np.tile(scan["range"].values, rays)
    columns = dataset.Columns(
        start=start,
        end=np.asarray(start + np.timedelta64(round(averaging_s * 1e9), "ns"), dtype="datetime64[ns]"),
        site=np.full(n, site),
        species=np.full(n, str(scan.attrs["species"])),
        inlet=np.full(n, height),
        latitude=np.full(n, float(scan.latitude)),
        longitude=np.full(n, float(scan.longitude)),
        mole_fraction=values,
        flag=np.zeros(n, dtype=np.int64),
        n_samples=np.zeros(n, dtype=np.int64),
    )
    sight = [f"{a:g}:{e:g}" for a, e in zip(scan.azimuth.values, scan.elevation.values, strict=True)]
    ids = dataset.tower_ids(columns.site, columns.species, distance, start)
    named = np.array([f"{i}:{s}" for i, s in zip(ids, np.repeat(sight, count), strict=True)])
    random = [Random("lidar-noise", np.where(np.isnan(values), 0.0, sd))]
    scale = f"spectroscopic: {scan.attrs['traceable_to']}"
    ds = dataset.build(columns, named, random, [], scale, site)
    both = {"azimuth": scan.azimuth.values, "elevation": scan.elevation.values}
    ds = ds.assign({k: ("obs", np.repeat(v, count), {"units": "degree"}) for k, v in both.items()})
    ds = ds.assign(
        range=("obs", distance, {"units": "m"}),
        gate_length=("obs", np.full(n, float(scan.gate_length)), {"units": "m"}),
    ).assign(kernel)
    common = cross_section(ds, float(scan.cross_section_sd), str(scan.attrs["traceable_to"]))
    return schema.check(attach(ds, [], [common]), "observations", site)


def _kernel(scan: xr.Dataset, site: str) -> dict[str, tuple[tuple[str, ...], Floats, dict[str, str]]]:
    """Return the averaging kernel by gate and its true ranges; empty if the scan has none."""
    if "averaging_kernel" not in scan.variables:
        return {}
    kernel = scan.averaging_kernel.transpose("time", "range", "true_range").values
    away = float(np.abs(kernel.sum(axis=-1) - 1.0).max())
    if "true_range" not in scan.variables or away > 0.01:
        raise DataError(
            f"{site}: averaging_kernel {'without true_range' if 'true_range' not in scan.variables else ''} "
            f"has rows that sum to 1 +- {away:g}; expected 1 within 0.01, over ranges in true_range, m"
        )
    rows = kernel.reshape(-1, kernel.shape[-1])
    return {
        "gate_kernel": (("obs", "true_range"), rows, {"units": "1"}),
        "true_range": (("true_range",), scan.true_range.values, {"units": "m"}),
    }
