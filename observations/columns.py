"""Total-column soundings with averaging kernels from a table (TROPOMI-like).

Layer order and pressure weights of TROPOMI CH4 (product: Hasekamp et al. 2019, ATBD SRON-S5P-LEV2-RP-001;
Lorente et al. 2021, doi:10.5194/amt-14-665-2021). The Bowen Basin table does not state them; these are the
grounds on which "top-first" and equal weights are the defaults, none of them the product's own manual:
- the openmethane preprocessor (a4f0f0e9, 0792a53e) copies the product's kernel unchanged and lays the levels
  as number x pressure_interval, "pressure=0 at the first level": 12 equal layers, top first;
- the readers of the Integrated Methane Inversion reverse the product's kernel to get the surface first;
- the values rise from 0.69 (first) to 1.06 (last): a short-wave infrared kernel is well below 1 in the
  stratosphere and near 1 below;
- with the weight 1/12 the kernel of every sounding of the table sums to 1 within 3e-8.
Water vapour, up to about 2 % of the lowest layers' air, is not taken off: the table does not give it.

The `uncertainty` of that table is 20 ppb in every row: a constant ("arbitrary", says its source) that the
preprocessor writes in place of the retrieval's precision, to stand for the error of the model as well.

Only the enhancement is modelled: y = background + sum over layers of weight x kernel x (x - x_background).
The retrieval's own constant, sum of weight x (1 - kernel) x prior profile, is left to the background.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import Random, Shared
from metroflux.units import FILL_LIMIT, is_fill
from observations import raw
from observations.clock import interval, to_utc
from observations.dataset import (
    GOOD,
    LOW_QUALITY,
    MISSING,
    PLAUSIBLE,
    UNCERTAINTY_MISSING,
    Columns,
    Floats,
    Ints,
    build,
    column_ids,
)
from observations.raw import RawTable


@dataclass(frozen=True)
class ColumnMapping:
    """How a table says what a sounding needs; a name is a column of the file.

    species, unit : of value, uncertainty, bias_sd and plausible
    site : name given to all soundings
    kernel : column with the averaging kernel, a JSON list per row
    layer_order : order of the kernel in the file; layers of equal pressure thickness
    prior_profile : column with the retrieval's prior, a JSON list; only looked at, to say what is in it
    quality, min_quality : column with a quality figure, and the least to use
    bias_sd : standard uncertainty of an error common to all soundings, in `unit`; 0: none
    duration_s : length of one sounding, s; 0 = instantaneous
    missing, plausible, zone, time_format, scale : as in observations.table.TableMapping
    """

    species: str = "ch4"
    unit: str = "ppb"
    site: str = "TROPOMI"
    value: str = "value"
    uncertainty: str = "uncertainty"
    time: str = "time"
    latitude: str = "latitude_center"
    longitude: str = "longitude_center"
    kernel: str = "obs_kernel"
    layer_order: Literal["top-first", "surface-first"] = "top-first"
    prior_profile: str | None = "ref_profile"
    quality: str | None = "qa_value"
    min_quality: float = 0.5
    bias_sd: float = 0.0
    duration_s: float = 0.0
    missing: tuple[str, ...] = ()
    plausible: tuple[float, float] | None = None
    zone: str = "UTC"
    time_format: str | None = None
    scale: str = "not stated"


def read_columns(path: Path, mapping: ColumnMapping) -> xr.Dataset:
    """Return the soundings of a CSV table, with averaging kernel and pressure weight, layer 0 at the surface.

    Raises
    ------
    DataError
        If the file cannot be read or a field is wrong: the message names file, field, row and value.
    """
    if path.suffix != ".csv":
        raise DataError(f"{path}: soundings are read from CSV tables; expected a file *.csv")
    optional = [name for name in (mapping.prior_profile, mapping.quality) if name]
    wanted = [
        mapping.value,
        mapping.uncertainty,
        mapping.time,
        mapping.latitude,
        mapping.longitude,
        mapping.kernel,
    ]
    table = raw.read_raw(path, [*wanted, *optional])
    factor = raw.agreed_factor(table, mapping.value, mapping.unit)
    values, sd, flag = _values(table, mapping, factor)
    stamps = to_utc(
        table.columns[mapping.time], mapping.zone, mapping.time_format, f"{path}: '{mapping.time}'"
    )
    start, end = interval(stamps, "start", mapping.duration_s)
    n = len(values)
    site, species = np.full(n, mapping.site), np.full(n, mapping.species)
    columns = Columns(
        start=start,
        end=end,
        site=site,
        species=species,
        inlet=np.full(n, np.nan),
        latitude=raw.numbers(table, mapping.latitude, mapping.missing),
        longitude=raw.numbers(table, mapping.longitude, mapping.missing),
        mole_fraction=values * factor,
        flag=flag,
        n_samples=np.ones(n, dtype=np.int64),
    )
    random = [Random("retrieval", sd * factor)]
    shared = []
    if mapping.bias_sd != 0:
        shared = [Shared("retrieval-bias", "retrieval", np.full(n, mapping.bias_sd * factor), mapping.site)]
    ids = column_ids(site, species, start)
    return _with_kernel(build(columns, ids, random, shared, mapping.scale, str(path)), table, mapping)


def _values(table: RawTable, mapping: ColumnMapping, factor: float) -> tuple[Floats, Floats, Ints]:
    """Return value and uncertainty, in the file's unit, and flag."""
    values = raw.numbers(table, mapping.value, mapping.missing)
    sd = raw.numbers(table, mapping.uncertainty, mapping.missing)
    flag = np.where(np.isnan(values), MISSING, GOOD)
    flag = np.where((flag == GOOD) & np.isnan(sd), UNCERTAINTY_MISSING, flag)
    if mapping.quality is not None:
        quality = raw.numbers(table, mapping.quality, mapping.missing)
        flag = np.where((flag == GOOD) & ~(quality >= mapping.min_quality), LOW_QUALITY, flag)
    if mapping.plausible is None and mapping.species not in PLAUSIBLE:
        raise ConfigError(f"species '{mapping.species}': no plausible range known; give `plausible`")
    low, high = mapping.plausible or tuple(limit / factor for limit in PLAUSIBLE[mapping.species])
    good = flag == GOOD
    raw.refuse_fill(table, mapping.value, values)
    raw.refuse_implausible(table, mapping.value, np.where(good, values, np.nan), (low, high), mapping.unit)
    raw.refuse_implausible(table, mapping.uncertainty, np.where(good, sd, np.nan), (0.0, high), mapping.unit)
    return values, np.where(good, sd, 0.0), flag


def _with_kernel(observations: xr.Dataset, table: RawTable, mapping: ColumnMapping) -> xr.Dataset:
    kernel = _lists(table, mapping.kernel)
    bad = np.flatnonzero(~np.all(np.abs(kernel) < FILL_LIMIT, axis=1))
    if bad.size:
        where = table.row(int(bad[0]))
        raise DataError(f"{table.path}: '{mapping.kernel}' has fill values in {bad.size} rows, first {where}")
    if mapping.layer_order == "top-first":
        kernel = kernel[:, ::-1]
    elif mapping.layer_order != "surface-first":
        raise ConfigError(f"layer_order '{mapping.layer_order}'; expected top-first or surface-first")
    weight = np.full(kernel.shape, 1.0 / kernel.shape[1])
    described = {"units": "1", "comment": "layer 0 at the surface, layers of equal pressure thickness"}
    return observations.assign(
        averaging_kernel=(
            ("obs", "layer"),
            kernel.copy(),
            described | {"long_name": "column averaging kernel"},
        ),
        pressure_weight=(("obs", "layer"), weight, described | {"long_name": "share of the dry column"}),
    ).assign_attrs(
        prior_profile=_prior_profile(table, mapping),
        column_model=(
            "enhancement only: background + sum of pressure_weight * averaging_kernel * enhancement; the "
            "retrieval's prior profile enters no number and its constant is left to the background"
        ),
    )


def _prior_profile(table: RawTable, mapping: ColumnMapping) -> str:
    """Return what the file says of the retrieval's prior profile."""
    if mapping.prior_profile is None:
        return "not in the file"
    profiles = _lists(table, mapping.prior_profile)
    fill = np.array([[is_fill(value) for value in row] for row in profiles])
    rows = f"'{mapping.prior_profile}', {len(profiles)} rows"
    return f"{rows}: only fill values" if fill.all() else f"{rows}: {fill.mean():.0%} fill values, not used"


def _lists(table: RawTable, name: str) -> Floats:
    """Return a column of JSON lists of numbers, shape (row, element)."""
    texts: Sequence[str] = raw.texts(table, name).tolist()
    rows: list[list[float]] = []
    for index, text in enumerate(texts):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, list) or not all(type(v) in (int, float) for v in values) or not values:
            raise DataError(
                f"{table.path}: '{name}' {table.row(index)} is '{text[:40]}'; expected a JSON list"
            )
        if rows and len(values) != len(rows[0]):
            wrong = f"{table.row(index)} has {len(values)} numbers"
            raise DataError(f"{table.path}: '{name}' {wrong}, expected {len(rows[0])} as in the first row")
        try:
            rows.append([float(value) for value in values])
        except OverflowError:
            raise DataError(
                f"{table.path}: '{name}' {table.row(index)} has a number beyond any float"
            ) from None
    return np.array(rows, dtype=np.float64)
