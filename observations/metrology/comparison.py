"""Results compared: E_n, zeta and degrees of equivalence, with what the results share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy.stats import chi2, norm

from metroflux.errors import DataError
from metroflux.uncertainty import components
from observations.dataset import GOOD

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """One result of a comparison, in any unit that its partners have too.

    terms : sensitivity times standard uncertainty of each cause, signed; a cause of the same name in two
        results is one cause, and cancels as far as it is common
    """

    label: str
    value: float
    terms: Mapping[str, float]

    @property
    def sd(self) -> float:
        """Standard uncertainty."""
        return float(np.sqrt(sum(term**2 for term in self.terms.values())))


@dataclass(frozen=True)
class Comparison:
    """A result against a reference.

    label, value : of the result
    reference, reference_value : of the reference
    sd : standard uncertainty of the difference, covariance included
    covariance : of the two
    """

    label: str
    reference: str
    value: float
    reference_value: float
    sd: float
    covariance: float

    @property
    def difference(self) -> float:
        """Result minus reference."""
        return self.value - self.reference_value

    @property
    def zeta(self) -> float:
        """Difference over its standard uncertainty (ISO 13528); 2 and 3 are the limits."""
        return self.difference / self.sd

    @property
    def e_n(self) -> float:
        """Difference over its expanded uncertainty, k = 2; at most 1 in absolute value if they agree."""
        return self.difference / (2.0 * self.sd)

    @property
    def detectable(self) -> float:
        """Least true difference that this comparison would find at k = 2 with a power of 80 %."""
        return (2.0 + float(norm.ppf(0.8))) * self.sd

    @property
    def verdict(self) -> str:
        """Whether the two agree at k = 2."""
        return "agree" if abs(self.e_n) <= 1 else "differ"


def compare(result: Result, reference: Result) -> Comparison:
    """Return the difference of two results in units of its uncertainty.

    u(d)2 = u(x)2 + u(X)2 - 2 cov(x, X): E_n of ISO 13528 (2022), section 9.7, with the covariance that
    common standards bring.

    Raises
    ------
    DataError
        If the difference has no uncertainty at all.
    """
    names = {*result.terms, *reference.terms}
    variance = sum((result.terms.get(n, 0.0) - reference.terms.get(n, 0.0)) ** 2 for n in names)
    if variance <= 0:
        raise DataError(f"{result.label} and {reference.label} share every error; expected one of their own")
    sd = float(np.sqrt(variance))
    shared = sum(term * reference.terms.get(name, 0.0) for name, term in result.terms.items())
    return Comparison(result.label, reference.label, result.value, reference.value, sd, shared)


def combination(results: Sequence[Result], factors: Sequence[float], label: str) -> Result:
    """Return the sum of factor times result: a mean, a difference or another unit; a common cause adds up."""
    terms: dict[str, float] = {}
    for result, factor in zip(results, factors, strict=True):
        for name, term in result.terms.items():
            terms[name] = terms.get(name, 0.0) + factor * term
    value = sum(factor * result.value for result, factor in zip(results, factors, strict=True))
    return Result(label, float(value), terms)


def mean(results: Sequence[Result], label: str) -> Result:
    """Return the plain mean of results."""
    return combination(results, [1.0 / len(results)] * len(results), label)


def paired(pairs: Sequence[tuple[Result, Result]]) -> tuple[list[Comparison], Comparison]:
    """Return the comparison of each pair, and that of the means over all pairs.

    What the results of one side share, such as a flow meter, the mean keeps whole.
    """
    results, references = zip(*pairs, strict=True)
    labels = dict.fromkeys(r.label for r in references)
    means = mean(results, f"mean of {len(pairs)}"), mean(references, ", ".join(labels))
    return [compare(*pair) for pair in pairs], compare(*means)


def covariance(results: Sequence[Result]) -> Floats:
    """Return the covariance of results through their common causes."""
    names = list(dict.fromkeys(name for r in results for name in r.terms))
    columns = np.array([[r.terms.get(name, 0.0) for name in names] for r in results])
    return columns @ columns.T


@dataclass(frozen=True)
class Equivalence:
    """Degrees of equivalence of several results (Cox 2002, procedure A, with covariance).

    value, sd : reference value, the mean weighted by the inverse covariance, and its standard uncertainty
    degree, degree_sd : each result minus the reference value, shape (result,)
    pair, pair_sd : between two results, shape (result, result)
    chi2, p : consistency of all, and the probability of a larger chi2 by chance
    """

    value: float
    sd: float
    degree: Floats
    degree_sd: Floats
    pair: Floats
    pair_sd: Floats
    chi2: float
    p: float

    @property
    def e_n(self) -> Floats:
        """Each degree over its expanded uncertainty, k = 2."""
        return self.degree / (2.0 * self.degree_sd)


def equivalence(results: Sequence[Result]) -> Equivalence:
    """Return the degrees of equivalence of two or more results.

    Raises
    ------
    DataError
        If there are fewer than two results or their covariance is singular.
    """
    if len(results) < 2:
        raise DataError(f"degrees of equivalence of {len(results)} results; expected two or more")
    x, V = np.array([r.value for r in results]), covariance(results)
    if np.linalg.matrix_rank(V, hermitian=True) < len(results):
        labels = ", ".join(r.label for r in results)
        raise DataError(f"{labels}: covariance is singular; expected an error of its own in each result")
    weights = np.linalg.solve(V, np.ones(x.size))
    variance = 1.0 / weights.sum()
    weights *= variance
    value = float(weights @ x)
    away = np.eye(x.size) - np.outer(np.ones(x.size), weights)
    of_degree = away @ V @ away.T
    variances = np.diag(V)
    apart = variances[:, None] + variances - 2 * V
    statistic = float((x - value) @ np.linalg.solve(V, x - value))
    return Equivalence(
        value=value,
        sd=float(np.sqrt(variance)),
        degree=x - value,
        degree_sd=np.sqrt(np.maximum(np.diag(of_degree), 0.0)),  # rounding of what is zero
        pair=x[:, None] - x,
        pair_sd=np.sqrt(np.maximum(apart, 0.0)),
        chi2=statistic,
        p=float(chi2.sf(statistic, x.size - 1)),
    )


def mean_result(observations: xr.Dataset, rows: npt.NDArray[np.bool_], label: str) -> Result:
    """Return the mean of some data as a result; their random errors are one cause of its own.

    Raises
    ------
    DataError
        If no datum is chosen, or one is flagged or NaN.
    """
    if not rows.any() or (observations.flag.values[rows] != GOOD).any():
        raise DataError(f"{label}: {int(rows.sum())} data chosen, some flagged; expected good data only")
    missing = int((~np.isfinite(observations.mole_fraction.values[rows])).sum())
    if missing:
        raise DataError(f"{label}: {missing} of {int(rows.sum())} mole fractions are NaN; expected numbers")
    k = rows / rows.sum()
    random, shared = components(observations)
    noise = float(np.sqrt(sum(np.sum((k * r.sd) ** 2) for r in random)))
    terms = {s.name: float(k @ s.column) for s in shared}
    value = float(observations.mole_fraction.values[rows].mean())
    return Result(label, value, {f"random errors of {label}": noise, **terms})


def towers(observations: xr.Dataset, first: str, second: str) -> Comparison:
    """Return one tower against another over the hours that both measured well.

    Raises
    ------
    DataError
        If they have no hour in common or several inlets each.
    """
    good = observations.flag.values == GOOD
    hours = {}
    for site in (first, second):
        rows = np.flatnonzero(good & (observations.site.values == site))
        times = observations.time.values[rows]
        if np.unique(times).size != times.size:
            raise DataError(f"{site}: several data of one time; expected one inlet and gas")
        hours[site] = dict(zip(times.tolist(), rows.tolist(), strict=True))
    both = sorted(set(hours[first]) & set(hours[second]))
    if not both:
        raise DataError(f"{first} and {second} have no good hour in common")
    masks = {site: np.isin(np.arange(good.size), [at[t] for t in both]) for site, at in hours.items()}
    return compare(*(mean_result(observations, masks[site], site) for site in (first, second)))


def table(comparisons: Sequence[Comparison], factor: float = 1.0) -> pd.DataFrame:
    """Return comparisons as a table for a report; `factor` carries values to the unit shown."""
    return pd.DataFrame({
        "result": [c.label for c in comparisons],
        "reference": [c.reference for c in comparisons],
        "value": [c.value * factor for c in comparisons],
        "reference value": [c.reference_value * factor for c in comparisons],
        "difference": [c.difference * factor for c in comparisons],
        "sd": [c.sd * factor for c in comparisons],
        "E_n (k = 2)": [c.e_n for c in comparisons],
        "zeta": [c.zeta for c in comparisons],
        "detectable": [c.detectable * factor for c in comparisons],
        "verdict": [c.verdict for c in comparisons],
    })  # fmt: skip
