"""Small random inverse problems, and their dense twin: every matrix formed, every formula written out."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import xarray as xr
from scipy.sparse import random_array

from inversion.problem import Parameter, PriorError, Problem, assemble
from metroflux.grid import Grid
from metroflux.uncertainty import Random, Shared, attach

FLUX = {"units": "mol m-2 s-1"}
MOLE = {"units": "mol mol-1"}
DAY = 86400.0


@dataclass
class Inputs:
    """What `assemble` takes."""

    observations: xr.Dataset
    background: xr.Dataset
    jacobian: xr.Dataset
    prior: xr.Dataset
    errors: dict[str, PriorError]
    parameters: list[Parameter]
    durations: dict[str, float] = field(default_factory=dict)

    def assemble(self) -> Problem:
        return assemble(
            self.observations, self.background, self.jacobian, self.prior, self.errors, self.parameters,
            self.durations,
        )  # fmt: skip


def _space(kind: str) -> xr.Dataset:
    if kind == "grid":
        return Grid("EPSG:32633", 3e5, 5.3e6, 2000.0, 3000.0, 5, 4).coords()
    area = ("region", np.linspace(1e9, 3e9, 6), {"units": "m2"})
    return xr.Dataset(coords={"region": [f"r{i}" for i in range(6)], "cell_area": area})


def _prior(rng: np.random.Generator, space: xr.Dataset, sectors: list[str], times: int) -> xr.Dataset:
    start = np.datetime64("2024-03-01", "ns")
    edges = start + np.arange(times + 1) * np.timedelta64(6, "h")
    dims = ("sector", "flux_time", *space.cell_area.dims)
    shape = (len(sectors), times, *space.cell_area.shape)
    sd = rng.uniform(0.2e-6, 1e-6, shape)
    sd[0].reshape(times, -1)[:, 0] = 0.0
    return space.assign_coords(
        sector=("sector", np.array(sectors)),
        flux_time=("flux_time", edges[:-1]),
        flux_time_bounds=(("flux_time", "bounds"), np.stack([edges[:-1], edges[1:]], axis=1)),
    ).assign(
        flux=(dims, rng.normal(1e-6, 0.5e-6, shape), FLUX), flux_sd=(dims, sd, FLUX)
    ).assign_attrs(species="co2", inventory="random")  # fmt: skip


def _observations(rng: np.random.Generator, n: int) -> xr.Dataset:
    time = np.datetime64("2024-03-01T12", "ns") + np.sort(rng.integers(0, 40, n)) * np.timedelta64(1, "h")
    text = np.array([f"d{i:03}" for i in range(n)])
    ds = xr.Dataset(
        {"mole_fraction": ("obs", rng.normal(4.2e-4, 3e-6, n), MOLE),
         "flag": ("obs", np.zeros(n, int)), "n_samples": ("obs", np.ones(n, int))},
        coords={
            "datum_id": ("obs", text), "time": ("obs", time),
            "time_bounds": (("obs", "bounds"), np.stack([time, time + np.timedelta64(1, "h")], axis=1)),
            "site": ("obs", np.array(["AAA", "BBB", "CCC"])[rng.integers(0, 3, n)]),
            "species": ("obs", np.full(n, "co2")), "inlet": ("obs", np.full(n, 50.0), {"units": "m"}),
            "latitude": ("obs", np.full(n, 48.0), {"units": "degrees_north"}),
            "longitude": ("obs", np.full(n, 11.0), {"units": "degrees_east"}),
        },
    )  # fmt: skip
    random = [Random("repeatability", rng.uniform(0.1e-6, 0.3e-6, n)), Random("transport", np.full(n, 4e-7))]
    shared = [
        Shared("gas", "calibration", rng.normal(0, 3e-7, n)),
        Shared("scale", "scale", np.full(n, 1e-7)),
    ]
    return attach(ds, random, shared)


def _background(rng: np.random.Generator, observations: xr.Dataset) -> xr.Dataset:
    n = observations.sizes["obs"]
    ds = xr.Dataset(
        {"background": ("obs", rng.normal(4.15e-4, 5e-7, n), MOLE)},
        coords={"datum_id": ("obs", observations.datum_id.values)},
    )
    return attach(
        ds, [Random("transport", np.full(n, 1e-7))], [Shared("edge", "background", np.full(n, 2e-7))]
    )


def _jacobian(rng: np.random.Generator, prior: xr.Dataset, n: int) -> xr.Dataset:
    times, cells = prior.sizes["flux_time"], prior.cell_area.size
    H = random_array(
        (n, times * cells), density=0.4, rng=rng, data_sampler=lambda size: rng.uniform(0, 2, size)
    )
    last = rng.integers(2, times + 1, n)  # each datum sees three flux times
    seen = np.arange(times)[:, None].repeat(cells, axis=1).ravel()
    H = H.tocsr().multiply((seen < last[:, None]) & (seen >= last[:, None] - 3)).tocsr()
    H.eliminate_zeros()
    return xr.Dataset(
        {"row_start": ("obs_edge", H.indptr), "column": ("nonzero", H.indices),
         "sensitivity": ("nonzero", H.data, {"units": "m2 s mol-1"})},
        coords={"flux_time": prior.flux_time, "flux_time_bounds": prior.flux_time_bounds,
                "cell_area": prior.cell_area, "datum_id": ("obs", np.array([f"d{i:03}" for i in range(n)]))},
    )  # fmt: skip


def make_inputs(seed: int, kind: str = "grid", n: int = 24, times: int = 8) -> Inputs:
    rng = np.random.default_rng(seed)
    sectors = ["traffic", "heating", "plants"]
    prior = _prior(rng, _space(kind), sectors, times)
    observations = _observations(rng, n)
    if kind == "grid":
        errors = {"traffic": PriorError(4000.0, DAY), "heating": PriorError(3000.0, 0.5 * DAY, "gaussian"),
                  "plants": PriorError(0.0, 0.0)}  # fmt: skip
    else:
        root = rng.normal(size=(6, 9))
        given = np.corrcoef(root)
        given = (given + given.T) / 2
        errors = {"traffic": PriorError(0.0, DAY, correlation=given), "heating": PriorError(0.0, 2 * DAY),
                  "plants": PriorError(0.0, 0.0)}  # fmt: skip
    first = (observations.site.values == "AAA").astype(float)
    parameters = [Parameter("offset", "background", np.ones(n), 5e-7), Parameter("AAA", "site", first, 3e-7)]
    background = _background(rng, observations)
    return Inputs(observations, background, _jacobian(rng, prior, n), prior, errors, parameters)


class Twin:
    """The same problem with every matrix formed from the datasets alone; state = fluxes, then parameters."""

    def __init__(self, inputs: Inputs) -> None:
        prior, n = inputs.prior, inputs.observations.sizes["obs"]
        self.sectors, self.times, self.cells = (
            prior.sizes["sector"],
            prior.sizes["flux_time"],
            prior.cell_area.size,
        )
        state = self.times * self.cells
        H1 = np.zeros((n, state))
        start = inputs.jacobian.row_start.values
        for i in range(n):
            part = slice(start[i], start[i + 1])
            np.add.at(H1[i], inputs.jacobian.column.values[part], inputs.jacobian.sensitivity.values[part])
        G = np.array([p.column for p in inputs.parameters]).reshape(-1, n).T
        self.H = np.hstack([np.tile(H1, self.sectors), G])
        self.flux_size = self.sectors * state
        self.B = np.zeros((self.H.shape[1],) * 2)
        for s, name in enumerate(prior.sector.values):
            part = slice(s * state, (s + 1) * state)
            self.B[part, part] = _dense_covariance(prior, s, inputs.errors[str(name)])
        for j, p in enumerate(inputs.parameters):
            self.B[self.flux_size + j, self.flux_size + j] = p.sd**2
        self.R_parts = _dense_errors(inputs.observations, inputs.background)
        for cause, duration in inputs.durations.items():
            fading = _fading(inputs.observations, duration)
            sd = np.sqrt(np.diag(self.R_parts[cause]))
            self.R_parts[cause] = sd[:, None] * fading * sd
        self.R = sum(self.R_parts.values())
        self.x_a = np.append(prior.flux.values.ravel(), np.zeros(len(inputs.parameters)))
        self.y = inputs.observations.mole_fraction.values - inputs.background.background.values
        self.d = self.y - self.H @ self.x_a
        self.C = self.H @ self.B @ self.H.T + self.R
        self.gain = np.linalg.solve(self.C, self.H @ self.B).T
        self.x = self.x_a + self.gain @ self.d
        left = np.eye(len(self.B)) - self.gain @ self.H
        self.A = left @ self.B @ left.T + self.gain @ self.R @ self.gain.T  # Joseph form: always positive

    def shaped(self, flat: np.ndarray) -> np.ndarray:
        return flat[: self.flux_size].reshape(self.sectors, self.times, self.cells)

    def weights(self, space: np.ndarray, time: np.ndarray, sector: int | None) -> np.ndarray:
        """Return w over the whole state; sector None = the sum over sectors."""
        w = np.zeros((self.sectors, self.times, self.cells))
        w[slice(None) if sector is None else sector] = time[:, None] * space
        return np.append(w.ravel(), np.zeros(len(self.B) - self.flux_size))


def _dense_covariance(prior: xr.Dataset, s: int, error: PriorError) -> np.ndarray:
    sd = prior.flux_sd.values[s].ravel()
    return np.diag(sd) @ np.kron(_dense_time(prior, error), _dense_space(prior, error)) @ np.diag(sd)


def _dense_time(prior: xr.Dataset, error: PriorError) -> np.ndarray:
    bounds = prior.flux_time_bounds.values.astype(np.int64) * 1e-9
    middle = bounds.mean(axis=1)
    gap = np.abs(middle[:, None] - middle)
    if error.hour_duration is not None:
        day, hour = middle // DAY, middle % DAY
        around = np.abs(hour[:, None] - hour)
        around = np.minimum(around, DAY - around)
        return np.exp(-np.abs(day[:, None] - day) * DAY / error.duration - around / error.hour_duration)
    return np.exp(-gap / error.duration) if error.duration else np.eye(len(middle))


def _dense_space(prior: xr.Dataset, error: PriorError) -> np.ndarray:
    S = np.eye(prior.cell_area.size)
    if error.correlation is not None:
        S = error.correlation
    elif error.length:
        x, y = (c.ravel() for c in np.meshgrid(prior.x.values, prior.y.values))
        dx = (x[:, None] - x) / error.length
        dy = (y[:, None] - y) / (error.length_y or error.length)
        form = SHAPES[error.form]
        S = form(np.abs(dx)) * form(np.abs(dy)) if error.per_axis else form(np.sqrt(dx**2 + dy**2))
    if error.mask is not None:
        apart = (error.mask[:, None] != error.mask) | (error.mask == 0)
        S = np.where(apart & ~np.eye(len(S), dtype=bool), 0.0, S)
    return S


SHAPES = {
    "exponential": lambda r: np.exp(-r),
    "gaussian": lambda r: np.exp(-(r**2) / 2),
    "matern32": lambda r: (1 + 3**0.5 * r) * np.exp(-(3**0.5) * r),
    "matern52": lambda r: (1 + 5**0.5 * r + 5 * r**2 / 3) * np.exp(-(5**0.5) * r),
}


def _fading(observations: xr.Dataset, duration: float) -> np.ndarray:
    time, site = observations.time.values.astype(np.int64) * 1e-9, observations.site.values
    return np.exp(-np.abs(time[:, None] - time) / duration) * (site[:, None] == site)


def _dense_errors(*datasets: xr.Dataset) -> dict[str, np.ndarray]:
    parts: dict[str, np.ndarray] = {}
    for ds in datasets:
        for i, name in enumerate(ds.random.values):
            parts[name] = parts.get(name, 0) + np.diag(ds.random_sd.values[:, i] ** 2)
        for i, cause in enumerate(ds.shared_cause.values):
            column = ds.shared_column.values[:, i]
            parts[cause] = parts.get(cause, 0) + np.outer(column, column)
    return parts


@pytest.fixture
def inputs_of() -> Callable[..., Inputs]:
    return make_inputs


@pytest.fixture
def twin_of() -> Callable[[Inputs], Twin]:
    return Twin
