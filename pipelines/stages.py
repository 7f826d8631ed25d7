"""The order of the stages, as data: which stages make up a run follows from where its inputs come from."""

from dataclasses import replace
from pathlib import Path

from inversion import mixture_storage
from inversion.mixture import Mixture
from inversion.solution import Solution
from pipelines import backgrounds, curtain, ensemble, inputs, local_influence, model, results
from pipelines.choosing import choose
from pipelines.config import Config
from pipelines.engine import Stage
from pipelines.footprint_codec import FOOTPRINTS
from pipelines.lidar import read_mixing, read_planes
from pipelines.lidar_sections import MixingFilter
from pipelines.met import MET_CUBE
from pipelines.sections import Particles
from pipelines.store import CODECS, Codec


def _save_solution(value: Solution, path: Path) -> None:
    value.save(path)


SOLUTION = Codec(".solution", lambda value: isinstance(value, Solution), _save_solution, Solution.load)
"""How a solution is kept."""

MIXTURE = Codec(
    ".mixture", lambda value: isinstance(value, Mixture), mixture_storage.save, mixture_storage.load
)
"""How a solution with estimated hyperparameters is kept."""

Stages = tuple[Stage, ...]

STORED = (SOLUTION, MIXTURE, MET_CUBE, FOOTPRINTS, *CODECS)

CHOOSE = Stage(
    "selection", choose, ("selected", "dropped"), ("data",),
    ("observations.quality", "observations.selection", "observations.random", "observations.shared",
     "observations.mixing", "run"),
)  # fmt: skip
PRIOR = Stage("prior", inputs.add_prior_error, ("prior",), ("inventory",), ("prior.errors",))

WORLD = (
    Stage(
        "world", inputs.build_world,
        ("grid", "met", "inventory", "truth", "data", "background_field", "true_background_field",
         "profiles", "outlines", "sites"),
        sections=("world", "run"),
    ),
    Stage("lidar check", inputs.compare_weather, ("lidar",), ("profiles", "met")),
)  # fmt: skip

DATA = Stage(
    "observations", inputs.read_data, ("data", "sites"), (),
    ("observations.sources", "observations.scale", "run"),
)  # fmt: skip
OBSERVE = Stage("data", inputs.observe, ("observations",), ("selected",))
OUTLINES = Stage("outlines", inputs.read_outlines, ("outlines",), (), ("regions",))

GRIDS = {
    "explicit": (
        Stage("grid", inputs.lay_grid, ("grid",), (), ("grid",)),
        Stage("inventory", inputs.read_inventory_on_the_grid, ("inventory",), ("grid",),
              ("prior.inventory", "run")),
    ),
    "borrowed": (
        Stage("inventory", inputs.read_inventory_on_its_grid, ("inventory",), (),
              ("prior.inventory", "run")),
        Stage("grid", inputs.borrow_grid, ("grid",), ("inventory",)),
    ),
    "regions": (
        Stage("inventory", inputs.read_inventory_on_its_grid, ("inventory",), (),
              ("prior.inventory", "run")),
    ),
}  # fmt: skip

MIXING = Stage("mixing height", read_mixing, ("profiles",), (), ("observations.mixing",))
PLANES = Stage("lidar planes", read_planes, ("planes",), ("grid",), ("observations.planes", "run"))

MET = Stage("met", inputs.read_met, ("met",), ("grid",), ("met",))

PARTICLES = (
    Stage("receptors", model.place_receptors, ("receptors",), ("selected", "met"), ("transport",)),
    Stage("footprints", model.trace, ("footprints",), ("receptors", "met", "grid"), ("transport",)),
    Stage("jacobian", model.sum_footprints, ("jacobian",), ("footprints",), ("transport", "run")),
)
ENSEMBLE = Stage(
    "transport ensemble", ensemble.trace_ensemble, ("transport_ensemble",),
    ("receptors", "met", "grid", "prior"), ("transport",),
)  # fmt: skip
PLANTS = (
    Stage("plants", model.read_plants, ("plants",), ("grid",), ("plants", "run")),
    Stage("plant footprints", model.trace_plants, ("plant_footprints",),
          ("receptors", "met", "grid", "plants"), ("transport",)),
)  # fmt: skip
RESPONSE = (Stage("jacobian", model.read_jacobian, ("jacobian",), ("selected",), ("transport", "run")),)

FIELD = Stage(
    "background field", curtain.read_field, ("background_field",), ("selected", "met", "grid"),
    ("background", "run", "transport"),
)  # fmt: skip
_FROM_RECORD = Stage(
    "background", backgrounds.record_background, ("background",), ("selected",), ("background", "run")
)
BACKGROUNDS = {
    "upwind": _FROM_RECORD,
    "quantile": _FROM_RECORD,
    "curve": _FROM_RECORD,
    "curtain": Stage(
        "background", curtain.curtain_background, ("background",),
        ("selected", "footprints", "met", "grid", "background_field"), ("background", "observations.scale"),
    ),
    "constant": Stage(
        "background", backgrounds.constant_background, ("background",), ("selected",), ("background",)
    ),
    "series": Stage(
        "background", backgrounds.series_background, ("background",), ("selected",), ("background", "run")
    ),
    "edge_field": Stage(
        "background", backgrounds.edge_background, ("background",),
        ("selected", "footprints", "background_field"), ("background",),
    ),
}  # fmt: skip

SIMULATE = (
    Stage("true footprints", model.trace_truth, ("true_footprints",), ("selected", "met", "grid"),
          ("transport", "world.truth_seed")),
    Stage("simulation", model.simulate_data, ("observations",),
          ("selected", "true_footprints", "true_background_field", "truth", "prior"),
          ("world", "run", "transport", "prior.errors")),
)  # fmt: skip

SOLVE = (
    Stage("inversion", model.invert, ("solution",), ("observations", "background", "jacobian", "prior"),
          ("prior.errors", "background.parameters", "observations.random", "observations.mixing",
           "inversion")),
    Stage("evaluation", model.evaluate, ("posterior", "diagnostics"),
          ("solution", "observations", "background"), ("inversion",)),
)  # fmt: skip


def _results(planes: tuple[str, ...], *, footprints: bool, truth: bool, grid: bool) -> tuple[Stage, ...]:
    """Return the last stages; what there is to show differs, how it is shown does not."""
    seen = ("footprints",) * footprints
    true = ("truth",) * truth
    checked = ("lidar",) * truth
    areas = ("grid",) * grid
    shown = (
        "solution",
        "posterior",
        "diagnostics",
        "totals",
        "regions",
        "reasons",
        "dropped",
        "selected",
        "background",
        "sites",
        "outlines",
    )
    return (
        Stage("totals", results.total, ("totals", "regions"), ("solution", "posterior", "outlines", *areas),
              ("run", "products.periods", "products.groups")),
        Stage("gate", results.judge_run, ("reasons",), ("diagnostics", *seen), ("gate",)),
        Stage("summary", results.summarise, ("summary",), ("totals", "regions", "diagnostics", *true),
              ("run",)),
        Stage("products", results.draw, ("products",), (*shown, *seen, *true, *checked, *planes),
              ("run", "products"),
              stamped=True),
    )  # fmt: skip


def plan(config: Config) -> tuple[Stage, ...]:
    """Return the stages of a run in their order."""
    background, grid = BACKGROUNDS[config.background.kind], GRIDS[config.grid_kind]
    before, particles, solve = _asked_for(config)
    choose, particles = _by_influence(_choosing(config), particles, config)
    planes = PLANES.outputs if PLANES in before else ()
    return {
        "a world": (*WORLD, choose, PRIOR, *particles, background, *SIMULATE, *solve,
                    *_results(planes, footprints=True, truth=True, grid=True)),
        "files": (DATA, *grid, MET, OUTLINES, *before, choose, PRIOR, *particles, OBSERVE, background, *solve,
                  *_results(planes, footprints=True, truth=False, grid=True)),
        "responses": (DATA, *grid, OUTLINES, *before, choose, OBSERVE, PRIOR, *RESPONSE, background, *solve,
                      *_results(planes, footprints=False, truth=False, grid=False)),
    }[config.origin]  # fmt: skip


def _choosing(config: Config) -> Stage:
    chosen = config.observations
    more = ("met",) * chosen.selection.by_air + ("profiles",) * isinstance(chosen.mixing, MixingFilter)
    return replace(CHOOSE, inputs=(*CHOOSE.inputs, *more))


def _by_influence(choose: Stage, particles: Stages, config: Config) -> tuple[Stage, Stages]:
    """Return selection and transport, with the selection by footprints between them if there is one."""
    field = (FIELD,) * (config.background.kind == "curtain")  # first: a fault is told before the work
    if config.observations.selection.local_influence is None:
        return choose, (*field, *particles)
    receptors, footprints, *rest = particles
    early, *traced = (local_influence.before(stage) for stage in (choose, *field, receptors, footprints))
    return early, (*traced, local_influence.INFLUENCE, *rest)


def _asked_for(config: Config) -> tuple[Stages, Stages, Stages]:
    """Return the stages before the selection, of the transport and of the solution that sections ask for."""
    before: Stages = ()
    particles: Stages = PARTICLES
    known: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    if isinstance(config.transport, Particles) and config.transport.ensemble is not None:
        particles, known = (*particles, ENSEMBLE), (*known, *ENSEMBLE.outputs)
    if config.plants is not None:
        particles = (*particles, *PLANTS)
        known = (*known, *(name for stage in PLANTS for name in stage.outputs))
    mixing = config.observations.mixing
    if mixing is not None:
        before = (MIXING,) if mixing.file is not None else ()
        known = known if isinstance(mixing, MixingFilter) else (*known, "profiles", "met")
    if config.observations.planes:
        before, seen = (*before, PLANES), PLANES.outputs
    invert, evaluate = SOLVE
    return (
        before,
        particles,
        (
            replace(invert, inputs=(*invert.inputs, *known, *seen)),
            replace(evaluate, inputs=(*evaluate.inputs, *seen)),
        ),
    )
