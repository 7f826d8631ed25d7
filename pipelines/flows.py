"""The same stages as Prefect tasks: a flow is one run, a task is one stage.

Import it only after `prefect_settings.apply()`: Prefect reads its settings once.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow, tags, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters as f
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.runtime import flow_run
from prefect.states import Crashed

from metroflux.errors import HeldError
from metroflux.provenance import sha256_json
from pipelines.engine import Done, Engine, Stage, Watch
from pipelines.run import Host, Options, Outcome, Recipe, run
from pipelines.watch import Silent

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

PAGE = 200
"""Most that Prefect returns at once."""

RETRIES = 2
"""Of a stage that failed on input or output."""


def _is_io(_task: "Task[..., object]", _run: "TaskRun", state: "State[object]") -> bool:
    """Tell whether a retry may help: where a disk or a network failed, not where the data are wrong."""
    return isinstance(state.result(raise_on_failure=False), OSError)


def as_task(engine: Engine, stage: Stage) -> Done:
    """Execute a stage as a Prefect task; results are kept by our own store, not by Prefect."""
    execute = task(
        name=stage.name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=RETRIES,
        retry_delay_seconds=5,
        retry_condition_fn=_is_io,
    )(engine.execute)
    return execute(stage)


def folder_tag(folder: Path) -> str:
    """Return the tag by which the flow runs of a folder are found."""
    return f"metroflux-{sha256_json(str(folder.resolve()))[:12]}"


def close_killed_runs(folder: Path) -> None:
    """Mark runs of a folder that a kill left in the state RUNNING, once the lock says that none is.

    Prefect would show them as running for ever.
    """
    running = f.FlowRunFilterState(type=f.FlowRunFilterStateType(any_=[StateType.RUNNING]))
    wanted = f.FlowRunFilter(tags=f.FlowRunFilterTags(all_=[folder_tag(folder)]), state=running)
    with get_client(sync_client=True) as client:
        stale = client.read_flow_runs(
            flow_run_filter=wanted, sort=FlowRunSort.START_TIME_DESC, limit=PAGE, offset=0
        )
        for found in stale:
            if str(found.id) != flow_run.id:
                client.set_flow_run_state(found.id, Crashed(message="the process was killed"), force=True)


PREFECT = Host(close_killed_runs, as_task)


def run_as_flow(
    config: Path, folder: Path, options: Options, watch: Watch, recipe: Recipe | None = None
) -> Outcome:
    """Run a configuration as a flow of the configured Prefect API."""

    @flow(name="metroflux", flow_run_name=config.stem, validate_parameters=False, persist_result=False)
    def metroflux() -> Outcome:
        return run(config, folder, options, watch, PREFECT, recipe)

    with tags(folder_tag(folder)):
        return metroflux()


@flow(name="metroflux-scheduled", persist_result=False)
def scheduled(config: str, root: str, workers: int, days_ago: int | None = None) -> str:
    """Run a configuration into a folder named after the scheduled time; a repeat continues what was begun.

    days_ago : the period moves with the schedule, and begins so many days before the scheduled day
    """
    start = flow_run.scheduled_start_time or datetime.now(UTC)
    folder = Path(root) / start.astimezone(UTC).strftime("%Y-%m-%dT%H%MZ")
    day = None if days_ago is None else start.astimezone(UTC).date() - timedelta(days=days_ago)
    options = Options(resume=True, workers=workers, day=day)
    outcome = run(Path(config), folder, options, Silent(), PREFECT)
    if outcome.reasons:
        raise HeldError("held, not published: " + "; ".join(outcome.reasons))
    return str(folder)
