"""Each group of data predicted from all others, in closed form from C^-1 of all: nothing is assembled anew.

With P = C^-1 and a = P d, the data J withheld leave the residual P_JJ^-1 a_J with covariance P_JJ^-1
(Rasmussen and Williams 2006, section 5.4.2), and the others the weights a - P_:J P_JJ^-1 a_J.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from inversion.solution import Solution
from inversion.threads import one_thread
from inversion.totals import respond

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Withheld:
    """Prediction of each group of data from all others.

    groups : names, sorted
    residual : observed less predicted, mol mol-1, shape (obs,)
    sd : standard uncertainty of that difference, mol mol-1, shape (obs,)
    rmse, prior_rmse : of each group, with the prior alone for comparison, mol mol-1, shape (group,)
    chi2 : r' S^-1 r, expected value the number of data, shape (group,)
    """

    groups: tuple[str, ...]
    residual: Floats
    sd: Floats
    rmse: Floats
    prior_rmse: Floats
    chi2: Floats

    @property
    def skill(self) -> Floats:
        """1 - mean square error / that of the prior, shape (group,); not positive: no skill."""
        return 1 - (self.rmse / self.prior_rmse) ** 2


def withhold(inverse: Floats, innovation: Floats, label: npt.NDArray[np.str_]) -> Withheld:
    """Return the prediction of each group, such as each site or each week, from all other data.

    inverse : C^-1; label : the group of each datum, shape (obs,)
    """
    groups, number = np.unique(label, return_inverse=True)
    weights = inverse @ innovation
    residual, sd = np.empty(len(label)), np.empty(len(label))
    chi2 = np.empty(len(groups))
    for k in range(len(groups)):
        at = np.flatnonzero(number == k)
        covariance = cho_solve(cho_factor(inverse[np.ix_(at, at)], lower=True), np.eye(at.size))
        residual[at], sd[at] = covariance @ weights[at], np.sqrt(np.diag(covariance))
        chi2[k] = residual[at] @ weights[at]
    parts = [number == k for k in range(len(groups))]
    return Withheld(
        groups=tuple(map(str, groups)),
        residual=residual,
        sd=sd,
        rmse=np.array([rms(residual[at]) for at in parts]),
        prior_rmse=np.array([rms(innovation[at]) for at in parts]),
        chi2=chi2,
    )


def totals_without(
    solution: Solution, label: npt.NDArray[np.str_], space_weights: Floats, time_weights: Floats
) -> dict[str, tuple[Floats, Floats]]:
    """Return mean and sd of totals, shape (region, sector, period), with each group of data left out.

    In the units of `Solution.totals`, from which the weights come, too.
    """
    with one_thread():
        inverse = solution.factor.inverse()
        response = respond(solution.problem, space_weights, time_weights)
        shape, innovation = response.mean.shape, solution.problem.innovation
        data = response.data.reshape(len(innovation), -1)
        prior = np.diagonal(response.covariance, axis1=2, axis2=3).transpose(2, 1, 0).ravel()
        out = {}
        for name in np.unique(label):
            at = np.flatnonzero(label == name)
            factor = cho_factor(inverse[np.ix_(at, at)], lower=True)
            gain = inverse @ data
            gain -= inverse[:, at] @ cho_solve(factor, gain[at])
            mean = response.mean + (gain.T @ innovation).reshape(shape)
            out[str(name)] = mean, np.sqrt(prior - np.sum(data * gain, axis=0)).reshape(shape)
    return out


def rms(values: Floats) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(values**2)))
