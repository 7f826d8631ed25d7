"""Stages from observations to the posterior: transport, background, simulated data, solution."""

import numpy as np
import xarray as xr
from scipy.sparse import csr_matrix

from inversion.diagnostics import diagnose
from inversion.direct import apart, with_direct_rows
from inversion.mixture import Mixture, Posterior
from inversion.parameters import offsets, scale
from inversion.problem import Problem, assemble
from inversion.settings import Parameter, PriorError
from inversion.simulate import simulate
from inversion.solution import Solution
from inversion.table import hyperparameters
from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.parallel import Mapper
from metroflux.uncertainty import ErrorModel
from metroflux.units import mole_fraction_factor
from observations import background as air
from observations.components import Group
from pipelines import sections
from pipelines.config import Config
from pipelines.engine import Job
from pipelines.estimation import solved
from pipelines.inputs import Outputs, config_of, error_of, flux_edges
from pipelines.lidar import widened
from pipelines.lidar_sections import MixingInflation
from pipelines.plants import sources_of, with_plants
from pipelines.progress import followed
from transport.elevated import source_footprints
from transport.ensemble import with_transport_error
from transport.footprint_store import FootprintStore
from transport.footprints import FootprintSettings, collect, footprint_batches
from transport.jacobian import build_jacobian, jacobian_dataset
from transport.receptors import ReceptorSettings, make_receptors
from transport.response import ResponseMapping, read_response


def place_receptors(job: Job) -> Outputs:
    """Say where and when particles are released for each observation."""
    chosen = particles_of(config_of(job))
    return {"receptors": _receptors(job, chosen, chosen.seed)}


def trace(job: Job) -> Outputs:
    """Follow the particles of each receptor back in time."""
    chosen = particles_of(config_of(job))
    return {
        "footprints": footprints_of(job, job.dataset("met"), job.dataset("receptors"), chosen, _kept(job))
    }


def trace_truth(job: Job) -> Outputs:
    """Follow other particles, from which the data of a synthetic world are made."""
    config = config_of(job)
    assert config.world is not None  # noqa: S101 - this stage is only in the plan of a world
    chosen = particles_of(config)
    receptors = _receptors(job, chosen, config.world.truth_seed)
    return {"true_footprints": footprints_of(job, job.dataset("met"), receptors, chosen, _kept(job))}


def particles_of(config: Config) -> sections.Particles:
    """Return the section of our own transport."""
    assert isinstance(config.transport, sections.Particles)  # noqa: S101 - the plan pairs stage and section
    return config.transport


def _receptors(job: Job, chosen: sections.Particles, seed: int) -> xr.Dataset:
    settings = ReceptorSettings(
        particles=chosen.particles,
        hours=chosen.hours,
        seed=seed,
        minimum=min(chosen.minimum, chosen.particles),
        column_top=chosen.column_top,
        stop_at_met_start=chosen.stop_at_met_start,
    )
    return make_receptors(job.dataset("selected"), job.dataset("met"), settings)


def _settings(chosen: sections.Particles) -> FootprintSettings:
    return FootprintSettings(
        estimator=chosen.estimator,
        batch=chosen.batch,
        turbulence=chosen.turbulence,
        mesoscale=chosen.mesoscale,
    )


def read_plants(job: Job) -> Outputs:
    """Read the plants that emit above the ground."""
    config = config_of(job)
    assert config.plants is not None  # noqa: S101 - the plan pairs stage and section
    return {"plants": sources_of(config.plants, config.run.species, Grid.from_dataset(job.dataset("grid")))}


def trace_plants(job: Job) -> Outputs:
    """Follow the particles once more, for the time they spend around the plants' plumes."""
    settings, grid = _settings(particles_of(config_of(job))), Grid.from_dataset(job.dataset("grid"))
    met, receptors, plants = (job.dataset(name) for name in ("met", "receptors", "plants"))
    return {"plant_footprints": source_footprints(met, receptors, plants, grid, settings, job.remembering)}


def footprints_of(
    job: Job, met: xr.Dataset, receptors: xr.Dataset, chosen: sections.Particles, store: FootprintStore | None
) -> xr.Dataset:
    """Return the footprints of receptors on the flux grid; a killed run resumes by the store or by itself."""
    grid = Grid.from_dataset(job.dataset("grid"))
    settings = _settings(chosen)
    mapper = job.remembering if store is None else job.mapper
    batches = footprint_batches(met, receptors, grid, settings, mapper, store)
    return collect(followed(batches, receptors.sizes["receptor"], job.told()), receptors, grid)


def _kept(job: Job) -> FootprintStore | None:
    """Return the store of the configuration; results do not depend on it, so no stage declares it."""
    chosen = config_of(job).store
    return None if chosen is None else FootprintStore(chosen.path)


def sum_footprints(job: Job) -> Outputs:
    """Sum footprints into the flux intervals."""
    config = config_of(job)
    drop = particles_of(config).drop_early
    return {"jacobian": build_jacobian(job.dataset("footprints"), flux_edges(config), drop)}


def read_jacobian(job: Job) -> Outputs:
    """Read the responses of another model, the rows of the selected observations."""
    config = config_of(job)
    chosen = config.transport
    assert isinstance(chosen, sections.Response)  # noqa: S101 - the plan pairs stage and section
    plain = chosen.model_dump(exclude={"model", "file"})
    responses = read_response(chosen.file, ResponseMapping(species=config.run.species, **plain))
    return {"jacobian": take_rows(responses, job.dataset("selected").datum_id.values.astype(str))}


def take_rows(jacobian: xr.Dataset, datum_id: np.ndarray) -> xr.Dataset:
    """Return the rows of a jacobian for the given data, in their order.

    Raises
    ------
    DataError
        If a datum has no row.
    """
    row = {name: n for n, name in enumerate(jacobian.datum_id.values.astype(str))}
    absent = [name for name in datum_id if name not in row]
    if absent:
        raise DataError(f"responses: none for {len(absent)} of {len(datum_id)} data, first '{absent[0]}'")
    parts = (jacobian.sensitivity.values, jacobian.column.values, jacobian.row_start.values)
    columns = jacobian.sizes["flux_time"] * jacobian.cell_area.size
    matrix = csr_matrix(parts, shape=(len(row), columns))[[row[name] for name in datum_id]]
    bounds = jacobian.flux_time_bounds.values
    rows = jacobian_dataset(matrix, datum_id, np.append(bounds[:, 0], bounds[-1, 1]))
    space = [n for n in jacobian.coords if not {"obs", "flux_time"} & set(jacobian[n].dims)]
    return schema.check(rows.assign_coords(jacobian[space].coords), "jacobian", "responses")


def simulate_data(job: Job) -> Outputs:
    """Make the data that the network of a synthetic world would report of its true fluxes."""
    config = config_of(job)
    assert config.world is not None  # noqa: S101 - this stage is only in the plan of a world
    selected, footprints = job.dataset("selected"), job.dataset("true_footprints")
    true_air = air.from_edge_field(
        selected, footprints, job.dataset("true_background_field"), air.BackgroundError()
    )
    # any mole fraction will do to put the problem together: that of the background
    blank = selected.assign(mole_fraction=selected.mole_fraction.copy(data=true_air.background.values))
    jacobian = build_jacobian(footprints, flux_edges(config), particles_of(config).drop_early)
    prior = job.dataset("prior")
    problem = assemble(blank, true_air, jacobian, prior, _prior_errors(config, prior))
    values = simulate(
        problem,
        job.dataset("truth"),
        np.random.default_rng(config.world.truth_seed),
        true_air.background.values,
        ErrorModel.from_datasets(selected, durations=durations(config)),
    )
    return {"observations": selected.assign(mole_fraction=selected.mole_fraction.copy(data=values))}


def _prior_errors(config: Config, prior: xr.Dataset) -> dict[str, PriorError]:
    chosen = {name: error_of(config.prior.errors, name) for name in map(str, prior.sector.values)}
    return {
        name: PriorError(
            error.length_km * 1e3,
            error.duration_h * 3600.0,
            error.form,
            length_y=None if error.length_y_km is None else error.length_y_km * 1e3,
            per_axis=error.per_axis,
            hour_duration=None if error.hour_duration_h is None else error.hour_duration_h * 3600.0,
        )
        for name, error in chosen.items()
    }


def durations(config: Config) -> dict[str, float]:
    """Return the correlation time of each random error that has one, s, by cause."""
    return {r.name: r.duration_h * 3600.0 for r in config.observations.random if r.duration_h is not None}


def parameters(config: Config, data: xr.Dataset) -> list[Parameter]:
    """Return what is solved beside the fluxes: offsets by group of data, scales of sites."""
    found = []
    for p in config.background.parameters:
        found += offsets(data, Group(p.name, "background", p.by), p.sd * mole_fraction_factor(p.unit))
    for q in config.inversion.parameters:
        if isinstance(q, sections.Scale):
            found.append(scale(data, q.name, q.cause, q.sites, q.relative_sd))
        else:
            found += offsets(data, Group(q.name, q.cause, q.by), q.sd * mole_fraction_factor(q.unit))
    return found


def problem_of(job: Job) -> Problem:
    """Put the inverse problem together."""
    config = config_of(job)
    data, prior = job.dataset("observations"), job.dataset("prior")
    if "transport_ensemble" in job.inputs:
        data = with_transport_error(data, job.dataset("transport_ensemble"), "shared")
    mixing = config.observations.mixing
    if isinstance(mixing, MixingInflation):
        data = widened(job, data, mixing)
    background, numbers = job.dataset("background"), parameters(config, data)
    if "plants" in job.inputs:
        background, more = with_plants(background, job.dataset("plant_footprints"), job.dataset("plants"))
        numbers += more
    problem = assemble(
        data,
        background,
        job.dataset("jacobian"),
        prior,
        _prior_errors(config, prior),
        numbers,
        durations(config),
    )
    if "planes" not in job.inputs:
        return problem
    return with_direct_rows(problem, job.dataset("planes"), data.shared.values.tolist())


def invert(job: Job) -> Outputs:
    """Solve for the fluxes."""
    mapper: Mapper = job.mapper
    return {"solution": solved(problem_of(job), config_of(job).inversion, mapper)}


def evaluate(job: Job) -> Outputs:
    """Give the posterior with its uncertainty, and how well it fits at the most probable hyperparameters."""
    solution = solution_of(job)
    if isinstance(solution, Mixture):
        mode, table = solution.mode, hyperparameters(solution.problem, solution.estimate)
    else:
        mode, table = solution, hyperparameters(solution.problem)
    posterior, fit = solution.posterior(), diagnose(mode)
    if config_of(job).inversion.student_t is not None:
        stated = ErrorModel.from_datasets(job.dataset("observations"), job.dataset("background"))
        weight = stated.diagonal / mode.problem.errors.diagonal
        text = {"units": "1", "long_name": "weight of the datum under Student-t errors, about 1"}
        fit = fit.assign(weight=("obs", weight, text))
    if "planes" in job.inputs:
        fit = apart(fit, job.dataset("planes"))
    return {
        "posterior": schema.check(posterior.merge(table), "posterior", "evaluation"),
        "diagnostics": schema.check(fit.merge(table), "diagnostics", "evaluation"),
    }


def solution_of(job: Job) -> Posterior:
    """Return the solution among a job's inputs."""
    value = job.inputs["solution"]
    assert isinstance(value, Solution | Mixture)  # noqa: S101 - the stage list pairs names and types
    return value
