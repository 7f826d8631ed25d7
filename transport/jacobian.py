"""The Jacobian: footprints summed into flux intervals, as sparse rows over (flux_time, space)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import sparse

from metroflux import schema, time
from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]

_HOUR = np.timedelta64(1, "h")


def build_jacobian(
    footprints: xr.Dataset, flux_time_edges: time.Times, drop_early: bool = False
) -> xr.Dataset:
    """Return the sensitivity of each observation to the flux of each interval and cell.

    Parameters
    ----------
    flux_time_edges : ascending, at full hours
    drop_early : leave out footprint hours outside the flux intervals instead of refusing them; the share of
        the summed footprint that this loses is given as `dropped_share` (obs)

    Returns
    -------
    Dataset `jacobian`: row n of a CSR matrix over (flux_time, y, x) flattened in C order; hours of the
    footprint are summed into the interval that holds them. A lag of another model's footprint (`lag_bounds`)
    has to lie in one interval.

    Raises
    ------
    DataError
        If the edges are not ascending full hours, or a footprint is not zero outside of them: all named.
    """
    schema.check(footprints, "footprints")
    edges = _checked_edges(flux_time_edges)
    end = _full_hour(footprints.time.values)
    newer, older = lag_hours(footprints)
    starts = end[:, None] - older
    interval = np.searchsorted(edges, starts, side="right") - 1
    _check_undivided(footprints, interval, np.searchsorted(edges, end[:, None] - newer, side="left") - 1)
    outside = (interval < 0) | (interval >= edges.size - 1)
    total, lost = _sums(footprints, outside)
    if lost.any() and not drop_early:
        raise DataError(_early(footprints, starts, outside, edges, lost))
    rows = [_row(footprints.foot[n].values, interval[n], outside[n], edges.size - 1) for n in range(end.size)]
    matrix = sparse.vstack(rows, format="csr")
    share = np.divide(lost, total, out=np.zeros_like(lost), where=total > 0)
    carried = [n for n in ("lat", "lon", "x_bounds", "y_bounds") if n in footprints.variables]
    space = footprints[["y", "x", "cell_area", "spatial_ref", *carried]].coords
    ds = jacobian_dataset(matrix, footprints.datum_id.values.astype(str), edges).assign_coords(space)
    return schema.check(
        ds.assign(
            dropped_share=(
                "obs", share, {"units": "1", "long_name": "share of the footprint outside the flux intervals"}
            )
        ),
        "jacobian",
    )  # fmt: skip


def jacobian_dataset(
    matrix: sparse.csr_matrix, datum_id: npt.NDArray[np.str_], edges: time.Times
) -> xr.Dataset:
    """Return the jacobian dataset of a CSR matrix (m2 s mol-1), without its space coordinates."""
    matrix.sort_indices()
    sensitivity = {"units": "m2 s mol-1", "long_name": "mole fraction per surface flux"}
    return xr.Dataset({
        "row_start": ("obs_edge", matrix.indptr.astype(np.int64)),
        "column": ("nonzero", matrix.indices.astype(np.int64)),
        "sensitivity": ("nonzero", matrix.data.astype(np.float64), sensitivity),
    }).assign_coords(
        datum_id=("obs", datum_id),
        flux_time=("flux_time", edges[:-1], {"bounds": "flux_time_bounds"}),
        flux_time_bounds=(("flux_time", "bounds"), time.bounds(edges)),
    )  # fmt: skip


@dataclass(frozen=True)
class SurfaceOperator:
    """y = H x for fluxes laid out (..., flux_time, *space): leading axes such as the sector share one H.

    matrix : CSR, m2 s mol-1, shape (obs, flux_time x space)
    space : shape of one flux field, (flux_time, y, x) or (flux_time, region)
    """

    matrix: sparse.csr_matrix
    space: tuple[int, ...]

    @classmethod
    def of(cls, jacobian: xr.Dataset) -> "SurfaceOperator":
        """Return the operator of a jacobian dataset."""
        space = (jacobian.sizes["flux_time"], *jacobian.cell_area.shape)
        parts = (jacobian.sensitivity.values, jacobian.column.values, jacobian.row_start.values)
        return cls(sparse.csr_matrix(parts, shape=(jacobian.sizes["obs"], int(np.prod(space)))), space)

    def forward(self, flux: Floats) -> Floats:
        """Return mole fractions (obs,) of fluxes (..., flux_time, *space), leading axes summed."""
        return self.matrix @ flux.reshape(-1, self.matrix.shape[1]).sum(axis=0)

    def adjoint(self, y: Floats) -> Floats:
        """Return H' y, shape (flux_time, *space): the same for every sector."""
        return (self.matrix.T @ y).reshape(self.space)


def _checked_edges(edges: time.Times) -> time.Times:
    edges = np.asarray(edges, dtype="datetime64[ns]")
    if edges.size < 2 or not np.all(np.diff(edges) > np.timedelta64(0)):
        raise DataError(f"flux_time: {edges.size} edges; expected two or more, ascending")
    uneven = edges[edges != edges.astype("datetime64[h]")]
    if uneven.size:
        raise DataError(f"flux_time: edge {uneven[0]} is not a full hour; footprints are hourly")
    return edges


def lag_hours(footprints: xr.Dataset) -> tuple[npt.NDArray[np.timedelta64], npt.NDArray[np.timedelta64]]:
    """Return how long before the full hour each lag ends and begins, shape (lag,); one hour if not stated."""
    if "lag_bounds" not in footprints.variables:
        return footprints.lag.values * _HOUR, (footprints.lag.values + 1) * _HOUR
    nanoseconds = np.round(footprints.lag_bounds.values * 3.6e12).astype(np.int64)
    newer, older = nanoseconds.astype("timedelta64[ns]").T
    return newer, older


def _check_undivided(footprints: xr.Dataset, first: npt.NDArray[np.intp], last: npt.NDArray[np.intp]) -> None:
    """Raise if a lag that holds sensitivity lies in several flux intervals: its share in each is unknown."""
    divided = (first != last) & (footprints.foot != 0).any(("y", "x")).values
    if divided.any():
        n, k = np.argwhere(divided)[0]
        hours = footprints.lag_bounds.values[k].tolist()
        raise DataError(
            f"footprints: lag of {hours} h before {footprints.datum_id.values[n]} and {divided.sum() - 1} "
            "more lie in several flux intervals; expected flux_time intervals that hold each"
        )


def _full_hour(times: time.Times) -> time.Times:
    down = times.astype("datetime64[h]")
    return np.where(down == times, down, down + _HOUR).astype("datetime64[ns]")


def _sums(footprints: xr.Dataset, outside: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the summed footprint of each receptor and the part of it outside the flux intervals."""
    hourly = footprints.foot.sum(("y", "x"), dtype=np.float64).values
    return hourly.sum(axis=1), np.where(outside, hourly, 0.0).sum(axis=1)


def _early(
    footprints: xr.Dataset,
    starts: time.Times,
    outside: npt.NDArray[np.bool_],
    edges: time.Times,
    lost: Floats,
) -> str:
    hourly = footprints.foot.sum(("y", "x")).values > 0
    rows = np.flatnonzero(lost > 0)
    earliest = [starts[n][outside[n] & hourly[n]].min().astype("datetime64[m]") for n in rows]
    named = [f"{footprints.datum_id.values[n]} from {at}" for n, at in zip(rows, earliest, strict=True)]
    first, last = (edges[k].astype("datetime64[m]") for k in (0, -1))
    return (
        f"footprints outside the flux intervals {first} to {last}: {'; '.join(named)}; expected flux_time to "
        "cover them (or drop_early, which records the share lost)"
    )


def _row(
    foot: npt.NDArray[np.float32], interval: npt.NDArray[np.intp], outside: npt.NDArray[np.bool_], count: int
) -> sparse.csr_matrix:
    """Return one observation's row, its hours summed in float64 in order of lag."""
    lag, cell = np.nonzero(foot.reshape(foot.shape[0], -1))
    keep = ~outside[lag]
    lag, cell = lag[keep], cell[keep]
    size = foot[0].size
    column, place = np.unique(interval[lag] * size + cell, return_inverse=True)
    values = np.bincount(place, foot.reshape(foot.shape[0], -1)[lag, cell], minlength=column.size)
    return sparse.csr_matrix((values, column, [0, column.size]), shape=(1, count * size))
