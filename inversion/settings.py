"""What a user chooses: correlation of the prior's errors per sector, and parameters beside the fluxes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inversion.covariance import Form

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PriorError:
    """How the errors of one sector's prior are correlated.

    length : m; 0 = cells independent of one another
    duration : s; 0 = flux times independent of one another
    form : of the correlation in distance
    correlation : in place of a length, S itself, shape (region, region)
    length_y : m, along y where it differs from `length`, which is then that along x
    per_axis : correlate by the product of both axes in place of the distance
    hour_duration : s; correlate by day (`duration`) times hour of day (this) in place of the lag alone
    mask : class of each cell in C order, shape (cell,); correlation within a class only, class 0 with none
    """

    length: float
    duration: float
    form: Form = "exponential"
    correlation: Floats | None = None
    length_y: float | None = None
    per_axis: bool = False
    hour_duration: float | None = None
    mask: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Parameter:
    """One number solved beside the fluxes, prior mean 0, such as the background offset of a site and week.

    name : unique id
    cause : the line of the budget its uncertainty belongs to, for example "background"
    column : sensitivity of each datum, mol mol-1 per unit, shape (obs,)
    sd : prior standard uncertainty, in the unit
    unit : "mol mol-1" of an offset, "1" of a scale
    """

    name: str
    cause: str
    column: Floats
    sd: float
    unit: str = "mol mol-1"
