"""What can be wrong with the inputs of an inversion, said with value and expectation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.linalg import eigvalsh

from inversion.gridded import FORMS
from inversion.settings import Parameter, PriorError
from metroflux.errors import DataError

RESERVED_CAUSE = "prior"
RESERVED_HYPER = "hyperparameters"
RESERVED_SECTOR = "total"
_SHOWN = 5
_SAME = ("site", "inlet", "latitude", "longitude", "time", "species", "mole_fraction")


def refuse(faults: Iterable[str]) -> None:
    """Raise a DataError that lists all faults, if there are any."""
    listed = list(faults)
    if listed:
        raise DataError("inversion: " + "; ".join(listed))


def dataset_faults(
    observations: xr.Dataset, background: xr.Dataset, jacobian: xr.Dataset, prior: xr.Dataset
) -> Iterator[str]:
    """Yield what does not fit within and between the datasets of an inversion."""
    yield from _observation_faults(observations)
    for name, ds in (("background", background), ("jacobian", jacobian)):
        yield from _match_faults(name, _ids(ds), _ids(observations))
    if background.sizes["obs"] == observations.sizes["obs"]:
        yield from _error_faults(observations, background)
    yield from _prior_faults(prior)
    yield from _jacobian_faults(jacobian, prior)
    species = sorted(
        set(map(str, observations.species.values)) | {str(prior.attrs.get("species", ""))} - {""}
    )
    if len(species) > 1:
        yield f"species {', '.join(species)} in one inversion, expected one"


def prior_error_faults(prior: xr.Dataset, errors: Mapping[str, PriorError]) -> Iterator[str]:
    """Yield what is wrong with the error settings of the sectors."""
    sectors = list(map(str, prior.sector.values))
    missing, unknown = [s for s in sectors if s not in errors], [s for s in errors if s not in sectors]
    if missing:
        yield f"no prior error settings for sector {_some(missing)}"
    if unknown:
        yield f"prior error settings for {_some(unknown)}, expected only {_some(sectors)}"
    cells = int(np.prod(prior.cell_area.shape))
    for name, error in errors.items():
        for field, value in (("length", error.length), ("duration", error.duration)):
            if not (np.isfinite(value) and value >= 0):
                yield f"sector '{name}': {field} is {value}, expected 0 or more"
        if error.form not in FORMS:
            yield f"sector '{name}': form '{error.form}', expected one of {', '.join(FORMS)}"
        if error.correlation is not None:
            yield from _correlation_faults(name, error.correlation, cells)
        elif error.length > 0 and "region" in prior.cell_area.dims:
            yield f"sector '{name}': length {error.length} m between regions, expected 0 or a matrix"
        yield from _form_faults(name, error, cells)


def _form_faults(name: str, error: PriorError, cells: int) -> Iterator[str]:
    """Yield what is wrong with the settings that refine a correlation."""
    if error.length_y is not None and not (np.isfinite(error.length_y) and error.length_y > 0):
        yield f"sector '{name}': length_y is {error.length_y}, expected a positive number or none"
    if error.hour_duration is not None and not (
        np.isfinite(error.hour_duration) and error.hour_duration >= 0
    ):
        yield f"sector '{name}': hour_duration is {error.hour_duration}, expected 0 or more, or none"
    plain = error.length == 0 or error.correlation is not None
    if plain and (error.length_y is not None or error.per_axis):
        yield f"sector '{name}': length_y or per_axis without a length, expected a length above 0"
    if error.mask is None:
        return
    if error.mask.shape != (cells,) or error.mask.dtype.kind not in "iu":
        yield (
            f"sector '{name}': mask has shape {error.mask.shape} and type {error.mask.dtype}, expected "
            f"({cells},) and integers"
        )
    elif error.length == 0 and error.correlation is None:
        yield f"sector '{name}': mask without a length or matrix, expected cells that are correlated"


def parameter_faults(parameters: Sequence[Parameter], observations: xr.Dataset) -> Iterator[str]:
    """Yield what is wrong with the extra parameters."""
    names = [p.name for p in parameters]
    if len(set(names)) < len(names):
        yield f"parameter given twice: {_some(sorted({n for n in names if names.count(n) > 1}))}"
    n = observations.sizes["obs"]
    for p in parameters:
        if not (np.isfinite(p.sd) and p.sd > 0):
            yield f"parameter '{p.name}': sd is {p.sd} mol mol-1, expected a positive number"
        if p.column.shape != (n,):
            yield f"parameter '{p.name}': column has shape {p.column.shape}, expected ({n},)"
        elif not np.isfinite(p.column).all():
            yield f"parameter '{p.name}': column has {int((~np.isfinite(p.column)).sum())} values not finite"
        elif not p.column.any():
            yield f"parameter '{p.name}': column is all zero, expected at least one datum that depends on it"
        if p.cause == RESERVED_CAUSE:
            yield f"parameter '{p.name}': cause '{RESERVED_CAUSE}' is the budget line of the fluxes"


def _observation_faults(observations: xr.Dataset) -> Iterator[str]:
    ids = _ids(observations)
    if not ids.size:
        yield "no observations, expected at least one"
    names, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        yield f"datum_id given more than once: {_some(names[counts > 1])}"
    flagged = observations.flag.values != 0
    if flagged.any():
        yield f"{int(flagged.sum())} data are flagged ({_some(ids[flagged])}), expected only data with flag 0"
    repeated = observations[list(_SAME)].to_dataframe().duplicated(list(_SAME), keep=False).to_numpy()
    if repeated.any() and not (counts > 1).any():
        yield (
            f"{int(repeated.sum())} data have the same site, inlet, place, time, species and value as "
            f"another ({_some(ids[repeated])}), expected each observation once"
        )
    missing = ~np.isfinite(observations.mole_fraction.values)
    if missing.any():
        yield f"{int(missing.sum())} data have no mole_fraction ({_some(ids[missing])}), expected none"


def _match_faults(name: str, found: npt.NDArray[np.str_], want: npt.NDArray[np.str_]) -> Iterator[str]:
    missing, extra = np.setdiff1d(want, found), np.setdiff1d(found, want)
    if missing.size:
        yield f"{name}: {missing.size} data of the observations are missing ({_some(missing)})"
    if extra.size:
        yield f"{name}: {extra.size} data are not in the observations ({_some(extra)})"
    if missing.size or extra.size:
        return
    if found.size != want.size:
        yield f"{name}: {found.size} data, expected {want.size}"
    elif (found != want).any():
        at = int(np.argmax(found != want))
        yield f"{name}: data in another order, first at {at}: '{found[at]}', expected '{want[at]}'"


def _error_faults(observations: xr.Dataset, background: xr.Dataset) -> Iterator[str]:
    total = np.zeros(observations.sizes["obs"])
    ids = _ids(observations)
    for name, ds in (("observations", observations), ("background", background)):
        negative = (ds.random_sd.values < 0).any(axis=1)
        if negative.any():
            yield f"{name}: random_sd is negative for {int(negative.sum())} data ({_some(ids[negative])})"
        total += np.sum(ds.random_sd.values**2, axis=1)
        if RESERVED_CAUSE in {*ds.random.values, *ds.shared_cause.values}:
            yield f"{name}: error component with cause '{RESERVED_CAUSE}', the budget line of the fluxes"
    if (total <= 0).any():
        yield f"{int((total <= 0).sum())} data have no random error ({_some(ids[total <= 0])}), expected some"


def _prior_faults(prior: xr.Dataset) -> Iterator[str]:
    sectors = list(map(str, prior.sector.values))
    if len(set(sectors)) < len(sectors) or RESERVED_SECTOR in sectors:
        yield f"sectors {_some(sectors)}, expected distinct names other than '{RESERVED_SECTOR}'"
    sd = prior.flux_sd.values
    if (sd < 0).any():
        yield f"prior flux_sd is negative in {int((sd < 0).sum())} of {sd.size} places (least {sd.min():g})"
    elif not (sd > 0).any():
        yield "prior flux_sd is zero everywhere, expected uncertainty in at least one cell"
    bounds = prior.flux_time_bounds.values
    if (np.diff(bounds, axis=1) <= np.timedelta64(0)).any() or (bounds[1:, 0] < bounds[:-1, 1]).any():
        yield "prior flux_time_bounds overlap or do not ascend"


def _jacobian_faults(jacobian: xr.Dataset, prior: xr.Dataset) -> Iterator[str]:
    for name in ("flux_time_bounds", "cell_area"):
        ours, theirs = prior[name].values, jacobian[name].values
        if ours.shape != theirs.shape:
            yield f"jacobian: {name} has shape {theirs.shape}, the prior {ours.shape}"
        elif name == "cell_area" and not np.allclose(ours, theirs, rtol=1e-6, atol=0):
            yield "jacobian: cell_area is not that of the prior (relative difference above 1e-6)"
        elif name != "cell_area" and (ours != theirs).any():
            yield f"jacobian: flux_time_bounds start {theirs[0, 0]}, expected as the prior {ours[0, 0]}"
    size = int(np.prod(prior.flux.shape[1:]))
    start, column = jacobian.row_start.values, jacobian.column.values
    if column.size and (column.min() < 0 or column.max() >= size):
        yield f"jacobian: column from {column.min()} to {column.max()}, expected within 0 to {size - 1}"
    ends = (0, jacobian.sizes["nonzero"])
    if start.size != jacobian.sizes["obs"] + 1 or (start[0], start[-1]) != ends or (np.diff(start) < 0).any():
        yield f"jacobian: row_start is not {jacobian.sizes['obs'] + 1} ascending edges from 0 to {ends[1]}"


def _correlation_faults(name: str, matrix: npt.NDArray[np.float64], cells: int) -> Iterator[str]:
    what = f"sector '{name}': correlation matrix"
    if matrix.shape != (cells, cells):
        yield f"{what} has shape {matrix.shape}, expected ({cells}, {cells})"
    elif not np.isfinite(matrix).all() or not np.allclose(np.diag(matrix), 1) or (matrix != matrix.T).any():
        yield f"{what} is not finite and symmetric with 1 on its diagonal"
    elif eigvalsh(matrix)[0] < -1e-10 * cells:  # rounding of eigvalsh, LAPACK Users' Guide 4.7
        yield f"{what} has a negative eigenvalue ({eigvalsh(matrix)[0]:g}), expected none"


def _ids(ds: xr.Dataset) -> npt.NDArray[np.str_]:
    return ds.datum_id.values.astype(str)


def _some(names: Iterable[object]) -> str:
    listed = [str(n) for n in names]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
