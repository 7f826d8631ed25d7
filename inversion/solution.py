"""A solved problem: the posterior, and the exact uncertainty of any later total without solving again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from inversion import storage
from inversion.factor import Factor
from inversion.problem import Problem
from inversion.threads import one_thread
from inversion.totals import TotalsResult, make_totals
from inversion.variance import checked_variance
from metroflux.parallel import Mapper, serial
from metroflux.schema import check

Floats = npt.NDArray[np.float64]
_FLUX = {"units": "mol m-2 s-1"}
_MOLE = {"units": "mol mol-1"}
_ONE = {"units": "1"}


@dataclass(frozen=True)
class Solution:
    """The posterior of a problem; made by `solver.solve`.

    factor : of C = HBH' + G Sg G' + R
    gram : K = HBH', sum over sectors, without parameters, (mol mol-1)2, shape (obs, obs)
    flux, flux_sd : posterior, mol m-2 s-1, shape (sector, flux_time, cell)
    averaging_kernel_diagonal : how much of each flux comes from the data, 1, same shape
    """

    problem: Problem
    factor: Factor
    gram: Floats
    flux: Floats
    flux_sd: Floats
    averaging_kernel_diagonal: Floats

    def posterior(self) -> xr.Dataset:
        """Return the posterior dataset; uncertainty_reduction is 1 - sd / prior sd, 0 where prior sd is 0."""
        problem = self.problem
        prior_sd = np.stack([c.sd for c in problem.covariances])
        kept = np.divide(self.flux_sd, prior_sd, out=np.ones_like(prior_sd), where=prior_sd > 0)
        mean, sd = self.parameters()
        ds = problem.coords.assign_coords(
            sector=("sector", np.array(problem.sectors)),
            parameter=("parameter", np.array([p.name for p in problem.parameters], dtype=str)),
            parameter_unit=("parameter", np.array([p.unit for p in problem.parameters], dtype=str)),
        ).assign(
            flux=self._field(self.flux, "posterior surface flux", _FLUX),
            flux_sd=self._field(self.flux_sd, "posterior standard uncertainty of the flux", _FLUX),
            prior_flux=self._field(problem.flux, "prior surface flux", _FLUX),
            prior_flux_sd=self._field(prior_sd, "prior standard uncertainty of the flux", _FLUX),
            uncertainty_reduction=self._field(1 - kept, "1 - posterior sd / prior sd", _ONE),
            averaging_kernel_diagonal=self._field(
                self.averaging_kernel_diagonal, "diagonal of the averaging kernel", _ONE
            ),
            parameter_mean=("parameter", mean, {"long_name": "posterior parameter, prior 0, in its unit"}),
            parameter_sd=("parameter", sd, {"long_name": "its posterior standard uncertainty"}),
            prior_parameter_sd=(
                "parameter",
                np.array([p.sd for p in problem.parameters], dtype=np.float64),
                {"long_name": "its prior standard uncertainty"},
            ),
        )
        return check(ds, "posterior", "inversion")

    def parameters(self) -> tuple[Floats, Floats]:
        """Return posterior mean and standard uncertainty of each parameter, in its unit."""
        G = self.problem.scaled_design
        sd = np.array([p.sd for p in self.problem.parameters], dtype=np.float64)
        kept = 1 - np.sum(self.factor.whiten(G) ** 2, axis=0)
        with one_thread():
            mean = sd * (G.T @ self.factor.solve(self.problem.innovation))
        return mean, sd * np.sqrt(checked_variance(kept, np.ones_like(kept), "parameters"))

    def totals(self, space_weights: Floats, time_weights: Floats, mapper: Mapper = serial) -> TotalsResult:
        """Return totals w'x with their exact uncertainty, w = time_weights x space_weights.

        space_weights (region, cell), time_weights (period, flux_time); see `totals.TotalsResult`.
        """
        return make_totals(self.problem, self.factor, self.gram, space_weights, time_weights, mapper)

    def save(self, path: Path) -> None:
        """Write everything to one netCDF file, exact to the bit; the file appears only when complete."""
        arrays = {
            "gram": self.gram,
            "lower": self.factor.lower,
            "flux": self.flux,
            "flux_sd": self.flux_sd,
            "averaging_kernel_diagonal": self.averaging_kernel_diagonal,
        }
        storage.write(path, self.problem, arrays, self.factor.condition)

    @classmethod
    def load(cls, path: Path) -> "Solution":
        """Return the solution that `save` wrote."""
        problem, arrays, condition = storage.read(path)
        factor = Factor(np.asfortranarray(arrays.pop("lower")), condition)
        return cls(problem=problem, factor=factor, **arrays)

    def _field(self, values: Floats, long_name: str, units: dict[str, str]) -> xr.Variable:
        area = self.problem.coords.cell_area
        dims = ("sector", "flux_time", *map(str, area.dims))
        attrs = units | {"long_name": long_name}
        if "grid_mapping" in area.attrs:
            attrs["grid_mapping"] = area.attrs["grid_mapping"]
        return xr.Variable(dims, values.reshape(*values.shape[:2], *area.shape), attrs)
