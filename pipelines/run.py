"""Run a configuration into a folder: stages, gate, files, archive, manifest."""

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, cast

from filelock import FileLock, Timeout

from metroflux.archive import Entry, open_archive
from metroflux.errors import ConfigError, MetrofluxError
from metroflux.provenance import Stamp, code_sha256
from pipelines.config import Config, Read, read_config
from pipelines.dask_mapper import open_mapper
from pipelines.engine import Done, Engine, Stage, Watch
from pipelines.manifest import hash_inputs, manifest_of, require_one_role, shown
from pipelines.store import CODECS, Codec, Store, remove, write_atomically
from pipelines.watch import Silent, json_log, log

WORK = ".work"
LOCK = ".lock"
EVENTS = "run.log.jsonl"
PRODUCTS = ("posterior.nc", "diagnostics.nc", "totals.csv", "report.html", "viewer", "maps", "truth.nc",
            "manifest.json")  # fmt: skip
"""What a run leaves in its folder, manifest last."""


def _nothing(_folder: Path) -> None:
    pass


@dataclass(frozen=True)
class Host:
    """What carries the stages out: this process itself, or Prefect.

    begin : called once the run holds its folder
    execute : runs one stage
    """

    begin: Callable[[Path], None] = _nothing
    execute: Callable[[Engine, Stage], Done] = Engine.execute


HERE = Host()


@dataclass(frozen=True)
class Options:
    """How a configuration is run; only `day` changes the result.

    resume : use what an interrupted run left
    day : first day of the results in place of the configured one
    workers : processes that share the work
    scheduler : address of an existing Dask cluster, in place of our own processes
    """

    resume: bool = False
    workers: int = 1
    scheduler: str | None = None
    day: date | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    reasons : why it is held; empty if published
    summary : figures for the screen
    """

    run_id: str
    folder: Path
    reasons: tuple[str, ...]
    summary: Mapping[str, Any]
    done: tuple[Done, ...]


@dataclass(frozen=True)
class Recipe:
    """The stages of a configuration and how their results are kept; tests give their own."""

    plan: Callable[[Config], Sequence[Stage]]
    codecs: tuple[Codec, ...] = CODECS


def standard() -> Recipe:
    """Return the recipe of metroflux; imports the science."""
    from pipelines import stages

    return Recipe(stages.plan, stages.STORED)


def run(
    path: Path,
    folder: Path,
    options: Options,
    watch: Watch | None = None,
    host: Host = HERE,
    recipe: Recipe | None = None,
) -> Outcome:
    """Run a configuration; the folder has its manifest only when all else is there.

    Raises
    ------
    MetrofluxError
        If another run is using the folder, the folder holds something else, or a stage fails.
    """
    read = read_config(path, options.day)
    chosen = recipe or standard()
    with _own(folder):
        host.begin(folder)
        stamp = _begin(folder, read, options.resume)
        with (
            json_log(folder / EVENTS, stamp.run_id),
            open_mapper(options.workers, options.scheduler) as mapper,
        ):
            log("run started", config=path.name, resume=options.resume, workers=options.workers)
            engine = Engine(
                read.config,
                Store(folder / WORK, chosen.codecs),
                mapper,
                code_sha256(),
                stamp,
                watch or Silent(),
            )
            try:
                _execute(engine, chosen.plan(read.config), host)
                return _finish(engine, read, folder)
            except Exception as fault:
                log("run failed", error=str(fault), kind=type(fault).__name__)
                raise


def _execute(engine: Engine, stages: Sequence[Stage], host: Host) -> None:
    for stage in stages:
        done = host.execute(engine, stage)
        log("stage done", stage=done.stage, key=done.key, seconds=round(done.seconds, 3), reused=done.reused)


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """Hold a folder for one run; the lock goes with the process, however that ends."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / WORK).is_dir():
        raise ConfigError(f"{folder}: holds files but no run; expected an empty or new folder")
    (folder / WORK).mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise MetrofluxError(
            f"{folder}: another run is using this folder; wait for it or choose another"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _begin(folder: Path, read: Read, resume: bool) -> Stamp:
    """Return what this run's files say of it; resuming the same configuration continues the same run."""
    hashes = hash_inputs(read)
    require_one_role(read.config, hashes)
    store, record = Store(folder / WORK), folder / WORK / "run.json"
    known = _read_json(record)
    same = resume and known.get("config_sha256") == read.sha256
    run_id = str(known["run_id"]) if same else _run_id(read)
    if not resume:
        store.clear()
    for name in PRODUCTS:
        remove(folder / name)
    (folder / WORK).mkdir(exist_ok=True)
    store.sweep()
    write_atomically(record, json.dumps({"run_id": run_id, "config_sha256": read.sha256, "pid": os.getpid()}))
    inputs = {shown(file, read.path): digest for file, digest in hashes.items()}
    return Stamp(run_id, read.sha256, inputs, read.config.run.institution)


def _run_id(read: Read) -> str:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{read.config.run.name}-{now}-{read.sha256[:6]}{secrets.token_hex(2)}"


def _finish(engine: Engine, read: Read, folder: Path) -> Outcome:
    """Put the products in place, archive them, and write the manifest last."""
    reasons = tuple(map(str, cast(list[str], engine.result("reasons"))))
    summary = cast(dict[str, Any], engine.result("summary"))
    products = cast(Path, engine.result("products"))
    for source in sorted(products.iterdir()):
        _place(source, folder / source.name)
    _archive(engine, read, reasons)
    manifest = manifest_of(engine, read, reasons, summary)
    write_atomically(folder / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True))
    log("run held" if reasons else "run published", reasons="; ".join(reasons))
    return Outcome(engine.stamp.run_id, folder, reasons, summary, tuple(engine.done))


def _place(source: Path, target: Path) -> None:
    """Link a product into the run's folder, by rename so that it is seen whole."""
    import shutil

    building = target.with_name(f".tmp-{target.name}-{os.getpid()}")
    remove(building)
    if source.is_dir():
        shutil.copytree(source, building)
    else:
        shutil.copy2(source, building)
    remove(target)
    building.rename(target)


def _archive(engine: Engine, read: Read, reasons: tuple[str, ...]) -> None:
    chosen = read.config.archive
    if chosen is None:
        return
    import xarray as xr

    archive, run_id = open_archive(chosen.path, chosen.kind), engine.stamp.run_id
    if any(entry.run_id == run_id for entry in archive.runs()):
        return  # an interrupted run had come this far
    datasets = {}
    for name in ("posterior", "diagnostics", "totals"):
        ds = cast(xr.Dataset, engine.result(name))
        datasets[name] = engine.stamp.apply(ds, name, f"{name} of {read.config.run.name}")
    bounds = datasets["posterior"].flux_time_bounds.values
    status: Literal["published", "held"] = "held" if reasons else "published"
    archive.publish(
        Entry(run_id, read.sha256, status, str(bounds[0, 0]), str(bounds[-1, 1]), reasons), datasets
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def status(folder: Path) -> dict[str, Any]:
    """Return what is known of a run from its folder.

    Raises
    ------
    MetrofluxError
        If there is no run.
    """
    begun = _read_json(folder / WORK / "run.json")
    manifest = _read_json(folder / "manifest.json")
    if not begun and not manifest:
        raise MetrofluxError(f"{folder}: no run here; expected manifest.json or {WORK}/")
    if manifest:
        return {
            name: manifest[name] for name in ("run_id", "status", "reasons", "finished", "seconds", "stages")
        }
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
        lock.release()
        state = "interrupted; continue with --resume"
    except Timeout:
        state = "running"
    lines = (folder / EVENTS).read_text(encoding="utf-8").splitlines() if (folder / EVENTS).exists() else []
    events = [json.loads(line) for line in lines]
    done = [e for e in events if e.get("run_id") == begun["run_id"] and e["message"] == "stage done"]
    last = events[-1] if events else {}
    progress = last["text"] if state == "running" and last.get("message") == "progress" else ""
    return {"run_id": begun["run_id"], "status": state, "stages": done, "progress": progress}
