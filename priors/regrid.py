"""Conservative regridding as a sparse matrix: each source cell's mass is shared out, none is made or lost."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS
from scipy.sparse import coo_array, csr_array

from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.cells import EqualAreaPlane, Floats, Lattice, LonLatCells, source_area

Cells = LonLatCells | Grid

_ROUNDING = 1e-6  # of areas and of float32 bounds, share of a cell; a real gap is far larger


def conservative_weights(source: Cells, grid: Grid) -> csr_array:
    """Return the share of each source cell's area that lies in each grid cell.

    target_flux * target_area = weights @ (source_flux * source_area). Columns of source cells wholly inside
    the grid sum to 1; the rest of a column lies outside.

    Parameters
    ----------
    source : cells in longitude and latitude, or a projected grid (same or other projection)
    grid : target

    Returns
    -------
    csr_array, shape (grid cells, source cells), both flattened in C order
    """
    if isinstance(source, Grid) and _same_projection(source, grid):
        return _lattice_weights(source, grid)
    return _polygon_weights(source, grid)


def _same_projection(one: Grid, other: Grid) -> bool:
    return CRS.from_user_input(one.crs).equals(CRS.from_user_input(other.crs), ignore_axis_order=True)


def _lattice_weights(source: Grid, grid: Grid) -> csr_array:
    """Overlap along each axis apart: the lines of both grids cut rectangles, taken with their true area."""
    x = _cut(source.x_edges, grid.x_edges)
    y = _cut(source.y_edges, grid.y_edges)
    area = Lattice(grid, x, y).areas(EqualAreaPlane.around(grid)).ravel()
    from_cell, inside_source = _owner(source, x, y)
    to_cell, inside_grid = _owner(grid, x, y)
    whole = np.bincount(from_cell[inside_source], area[inside_source], source.nx * source.ny)
    both = inside_source & inside_grid
    share = area[both] / whole[from_cell[both]]
    return coo_array((share, (to_cell[both], from_cell[both])), shape=_matrix_shape(source, grid)).tocsr()


def _cut(one: Floats, other: Floats) -> Floats:
    # lines of the two grids less than a micrometre apart are the same line
    return np.unique(np.round(np.concatenate([one, other]), 6))


def _owner(
    grid: Grid, x_edges: Floats, y_edges: Floats
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the cell of `grid` that holds each rectangle between the lines, and whether there is one."""
    i = np.floor(((x_edges[:-1] + x_edges[1:]) / 2 - grid.west) / grid.dx).astype(int)
    j = np.floor(((y_edges[:-1] + y_edges[1:]) / 2 - grid.south) / grid.dy).astype(int)
    inside = ((j >= 0) & (j < grid.ny))[:, None] & ((i >= 0) & (i < grid.nx))
    return (j[:, None] * grid.nx + i).ravel(), inside.ravel()


def _polygon_weights(source: Cells, grid: Grid) -> csr_array:
    plane = EqualAreaPlane.around(grid)
    target = Lattice.of(grid).polygons(plane)
    tree = shapely.STRtree(target)
    index, polygons = _source_polygons(source, plane, shapely.total_bounds(target))
    near, to_cell = tree.query(polygons, predicate="intersects")
    share = shapely.area(shapely.intersection(polygons[near], target[to_cell])) / shapely.area(polygons)[near]
    shape = _matrix_shape(source, grid)
    matrix = coo_array((share, (to_cell, index[near])), shape=shape).tocsr()
    matrix.eliminate_zeros()
    return matrix


def _source_polygons(
    source: Cells, plane: EqualAreaPlane, window: Floats
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.object_]]:
    """Return flat index and polygon of the source cells that touch the window (west, south, east, north)."""
    if isinstance(source, Grid):
        return np.arange(source.nx * source.ny), Lattice.of(source).polygons(plane)
    x, y = plane.rectangles(source)
    west, south, east, north = window
    i = np.flatnonzero((x[:, 1] > west) & (x[:, 0] < east))
    j = np.flatnonzero((y[:, 1] > south) & (y[:, 0] < north))
    jj, ii = (part.ravel() for part in np.meshgrid(j, i, indexing="ij"))
    return jj * source.shape[1] + ii, shapely.box(x[ii, 0], y[jj, 0], x[ii, 1], y[jj, 1])


def _matrix_shape(source: Cells, grid: Grid) -> tuple[int, int]:
    return grid.nx * grid.ny, source.shape[0] * source.shape[1]


@dataclass(frozen=True)
class Regridder:
    """Source cells to a grid: the weights with the areas on both sides.

    weights : shape (grid cells, source cells)
    source_area : area that the source's flux is per, m2, shape (source cells,)
    covered : share of each grid cell that the source covers, shape (ny, nx)
    grid : target
    """

    weights: csr_array
    source_area: Floats
    covered: Floats
    grid: Grid

    @classmethod
    def between(cls, source: Cells, grid: Grid, per_projected_area: bool = False) -> "Regridder":
        """Return the regridder from source to grid.

        per_projected_area : the source made its flux by dividing mass by dx dy instead of by the true area,
        as models on projected grids do; its mass is kept

        Raises
        ------
        DataError
            If `per_projected_area` is asked for cells in longitude and latitude.
        """
        weights = conservative_weights(source, grid)
        area = source_area(source, EqualAreaPlane.around(grid)).ravel()
        covered = (weights @ area).reshape(grid.shape) / grid.cell_area
        if per_projected_area:
            if not isinstance(source, Grid):
                raise DataError(
                    "per_projected_area: the source is in longitude and latitude; expected projected"
                )
            area = np.full(area.shape, source.dx * source.dy)
        return cls(weights, area, covered, grid)

    @property
    def touched(self) -> npt.NDArray[np.bool_]:
        """Which source cells have a share in the grid, shape (source cells,)."""
        return np.diff(self.weights.tocsc().indptr) > 0

    @property
    def uncovered(self) -> npt.NDArray[np.bool_]:
        """Which grid cells the source covers in part or not at all, shape (ny, nx)."""
        return self.covered < 1 - _ROUNDING

    def __call__(self, flux: Floats) -> Floats:
        """Return the flux on the grid, shape (..., ny, nx), of a flux with shape (..., source cells).

        Source cells without a share in the grid may hold anything, NaN too.
        """
        touched = self.touched
        mass = (flux[..., touched] * self.source_area[touched]).reshape(-1, int(touched.sum()))
        on_grid = (self.weights[:, touched] @ mass.T).T
        return on_grid.reshape(*flux.shape[:-1], *self.grid.shape) / self.grid.cell_area

    def outside_share(self, flux: Floats) -> float:
        """Return the share of the source's emission, signs ignored, that lies outside the grid."""
        mass = np.abs(flux) * self.source_area
        total = float(mass.sum())
        kept = float((self.weights @ mass.reshape(-1, mass.shape[-1]).T).sum())
        return 1 - kept / total if total > 0 else 0.0
