"""One inverse problem as arrays: y = Hx + background + Gg + e, all matched and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.sparse import csr_array

from inversion.checks import dataset_faults, parameter_faults, prior_error_faults, refuse
from inversion.covariance import (
    Covariance,
    DayHourCorrelation,
    GivenCorrelation,
    GridCorrelation,
    Independent,
    Masked,
    SpaceCorrelation,
    Temporal,
    TimeCorrelation,
)
from inversion.settings import Parameter, PriorError
from metroflux.grid import Grid
from metroflux.schema import check
from metroflux.uncertainty import ErrorModel

__all__ = ["Parameter", "PriorError", "Problem", "assemble", "covariances"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Problem:
    """Everything the solver needs; made by `assemble`.

    datum_id, site, time : of each datum, shape (obs,)
    mole_fraction, background : mol mol-1, shape (obs,)
    H : sensitivity to any one sector, m2 s mol-1, shape (obs, flux_time cell), cells fastest
    errors : R, of observation minus background
    sectors : names, in the order of `flux` and `covariances`
    flux : prior, mol m-2 s-1, shape (sector, flux_time, cell)
    coords : flux_time with bounds, cell_area and the grid or regions; attributes of the prior
    unseen : datum_id of data that see no flux
    """

    datum_id: Texts
    site: Texts
    time: npt.NDArray[np.datetime64]
    mole_fraction: Floats
    background: Floats
    H: csr_array
    errors: ErrorModel
    sectors: tuple[str, ...]
    flux: Floats
    covariances: tuple[Covariance, ...]
    prior_errors: tuple[PriorError, ...]
    parameters: tuple[Parameter, ...]
    coords: xr.Dataset
    unseen: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sizes (obs, sector, flux_time, cell)."""
        return (len(self.datum_id), *self.flux.shape)

    @cached_property
    def prior_mole_fraction(self) -> Floats:
        """H x_a + background, mol mol-1, shape (obs,)."""
        return self.H @ self.flux.sum(axis=0).ravel() + self.background

    @property
    def innovation(self) -> Floats:
        """Observed minus prior mole fraction, mol mol-1, shape (obs,)."""
        return self.mole_fraction - self.prior_mole_fraction

    @cached_property
    def scaled_design(self) -> Floats:
        """G Sg^1/2: each parameter's column times its prior sd, mol mol-1, shape (obs, parameter)."""
        columns = [p.column * p.sd for p in self.parameters]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.datum_id), 0))


def assemble(
    observations: xr.Dataset,
    background: xr.Dataset,
    jacobian: xr.Dataset,
    prior: xr.Dataset,
    errors: Mapping[str, PriorError],
    parameters: Sequence[Parameter] = (),
    durations: Mapping[str, float] | None = None,
) -> Problem:
    """Match the datasets of one inversion and return it as arrays.

    durations : s, of the random errors that are correlated in time at each site, by cause

    Raises
    ------
    DataError
        Listing all faults at once: data that do not match by datum_id or order, unusable or duplicated data,
        non-positive sd, flux times or cells that differ, sectors without error settings, wrong parameters.
    """
    for ds, schema in ((observations, "observations"), (background, "background"), (jacobian, "jacobian"),
                       (prior, "prior")):  # fmt: skip
        check(ds, schema, "inversion")
    refuse([
        *dataset_faults(observations, background, jacobian, prior),
        *prior_error_faults(prior, errors),
        *parameter_faults(parameters, observations),
    ])  # fmt: skip
    sectors = tuple(map(str, prior.sector.values))
    coords = prior[["flux_time_bounds", "cell_area"]].assign_attrs(prior.attrs)
    shape = (len(sectors), prior.sizes["flux_time"], -1)
    H = _sparse(jacobian, int(np.prod(prior.flux.shape[1:])))
    settings = tuple(errors[s] for s in sectors)
    return Problem(
        datum_id=observations.datum_id.values.astype(str),
        site=observations.site.values.astype(str),
        time=observations.time.values,
        mole_fraction=observations.mole_fraction.values.copy(),
        background=background.background.values.copy(),
        H=H,
        errors=ErrorModel.from_datasets(observations, background, durations),
        sectors=sectors,
        flux=prior.flux.values.reshape(shape).copy(),
        covariances=covariances(coords, prior.flux_sd.values.reshape(shape).copy(), settings),
        prior_errors=settings,
        parameters=tuple(parameters),
        coords=coords,
        unseen=tuple(observations.datum_id.values.astype(str)[np.diff(H.indptr) == 0]),
    )


def covariances(coords: xr.Dataset, sd: Floats, errors: Sequence[PriorError]) -> tuple[Covariance, ...]:
    """Return the prior covariance of each sector; sd has shape (sector, flux_time, cell)."""
    edges = coords.flux_time_bounds.values.astype("datetime64[ns]")
    midnight = edges[0, 0].astype("datetime64[D]").astype("datetime64[ns]")
    middle = (edges - midnight).astype(np.int64).mean(axis=1) * 1e-9
    grid = Grid.from_dataset(coords) if "y" in coords.cell_area.dims else None
    return tuple(
        Covariance(part, _time(error, middle), _space(error, grid, sd.shape[2]))
        for part, error in zip(sd, errors, strict=True)
    )


def _time(error: PriorError, middle: Floats) -> Temporal:
    if error.hour_duration is None:
        return TimeCorrelation(middle, error.duration)
    return DayHourCorrelation(middle, error.duration, error.hour_duration)


def _space(error: PriorError, grid: Grid | None, cells: int) -> SpaceCorrelation:
    if error.correlation is not None:
        space: SpaceCorrelation = GivenCorrelation(error.correlation)
    elif error.length == 0 or grid is None:
        return Independent(cells)
    else:
        step = (grid.dy, grid.dx)
        space = GridCorrelation(grid.shape, step, error.length, error.form, error.length_y, error.per_axis)
    return space if error.mask is None else Masked(space, error.mask)


def _sparse(jacobian: xr.Dataset, columns: int) -> csr_array:
    parts = (jacobian.sensitivity.values, jacobian.column.values, jacobian.row_start.values)
    H = csr_array(parts, shape=(jacobian.sizes["obs"], columns), copy=True)
    H.sum_duplicates()
    H.eliminate_zeros()
    return H


def take_data(problem: Problem, rows: Ints) -> Problem:
    """Return the problem of some of its data; parameters that none of them sees keep their prior."""
    ids = problem.datum_id[rows]
    return replace(
        problem,
        datum_id=ids,
        site=problem.site[rows],
        time=problem.time[rows],
        mole_fraction=problem.mole_fraction[rows],
        background=problem.background[rows],
        H=problem.H[rows],
        errors=problem.errors.take(rows),
        parameters=tuple(replace(p, column=p.column[rows]) for p in problem.parameters),
        unseen=tuple(name for name in problem.unseen if name in set(ids)),
    )
