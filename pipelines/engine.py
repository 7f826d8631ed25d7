"""Run stages in order, each result kept under a key of all that it is made of.

The engine knows no science: a stage is a function of its job, the sections of the configuration that it reads
and the results it needs. The same stages run here, in process, or as Prefect tasks (flows.py).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, cast

import xarray as xr

from metroflux.errors import MetrofluxError
from metroflux.parallel import Mapper
from metroflux.provenance import Stamp, sha256_file, sha256_json
from pipelines.store import Store, remove
from pipelines.watch import Paced, log

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")


class Settings(Protocol):
    """What the engine asks of a configuration."""

    def section(self, name: str) -> object:
        """Return a section, by dotted name, as JSON can hold it."""
        ...

    def files(self, name: str) -> Sequence[Path]:
        """Return the input files that a section names."""
        ...


class Watch(Protocol):
    """Shows how far a run is."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Surround a stage."""
        ...

    def pieces(self, results: Iterator[R], total: int) -> Iterator[R]:
        """Pass on the results of mapped work as they arrive."""
        ...

    def tell(self, text: str) -> None:
        """Take a line about how far the stage is."""
        ...


@dataclass(frozen=True)
class Watched:
    """A mapper whose progress is shown."""

    mapper: Mapper
    watch: Watch

    def __call__(self, function: Callable[[C, T], R], common: C, items: Sequence[T]) -> Iterator[R]:
        """Yield function(common, item) for each item, in order."""
        return self.watch.pieces(self.mapper(function, common, items), len(items))


@dataclass(frozen=True)
class Remembering:
    """A mapper that keeps each result as it arrives, and after an interruption asks for the absent ones.

    It must get the same functions and items, in the same order, for the same `parts`: these belong to one
    stage under one key, which fixes all that goes into it.
    """

    mapper: Mapper
    parts: Store
    calls: list[str] = field(default_factory=list)

    def __call__(self, function: Callable[[C, T], R], common: C, items: Sequence[T]) -> Iterator[R]:
        """Yield function(common, item) for each item, in order, always as read back."""
        call = f"{len(self.calls)}-{function.__name__.strip('_')}"
        self.calls.append(call)
        keys = [sha256_json([call, number, len(items)]) for number in range(len(items))]
        absent = [not self.parts.has(call, key) for key in keys]
        arriving = self.mapper(function, common, [i for i, new in zip(items, absent, strict=True) if new])
        for key, new in zip(keys, absent, strict=True):
            if new:
                self.parts.keep(call, key, {"part": next(arriving)})
            yield cast(R, self.parts.get(call, key, "part"))


@dataclass(frozen=True)
class Job:
    """What a stage gets to work with.

    config : the whole configuration; a stage reads only the sections that it declares
    mapper : runs independent pieces, perhaps on many workers
    inputs : the results that the stage declares, by name
    remembering : the same, for work worth resuming in the middle; its pieces must be of a type with a codec
    stamp : what a published file says of this run; only for stages that declare `stamped`
    tell : shows people a line about how far the stage is
    scratch : folder for files that workers must see, gone when the stage ends
    """

    config: object
    mapper: Mapper
    remembering: Mapper
    inputs: Mapping[str, object]
    stamp: Stamp
    tell: Callable[[str], None] = lambda _text: None
    scratch: Path = Path()

    def told(self) -> Paced:
        """Return what shows and records lines of progress with their figures, now and then."""

        def tell(text: str, figures: dict[str, float]) -> None:
            self.tell(text)
            log("progress", text=text, **figures)

        return Paced(tell)

    def dataset(self, name: str) -> xr.Dataset:
        """Return an input that is a dataset."""
        value = self.inputs[name]
        assert isinstance(value, xr.Dataset)  # noqa: S101 - the stage list pairs names and types
        return value


@dataclass(frozen=True)
class Stage:
    """One step of the sequence.

    name : what the progress display and the logs call it
    function : from a job to its outputs by name
    outputs : names of the results
    inputs : names of results of earlier stages
    sections : dotted names of the sections of the configuration that it reads
    stamped : whether the outputs name the run that made them
    """

    name: str
    function: Callable[[Job], Mapping[str, object]]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    stamped: bool = False


@dataclass(frozen=True)
class Done:
    """One stage that has run.

    seconds : wall clock
    reused : whether an earlier run had left the result
    """

    stage: str
    key: str
    seconds: float
    reused: bool


@dataclass
class Engine:
    """Executes stages one at a time and remembers where their results lie.

    code : hash of all source, part of every key
    """

    config: Settings
    store: Store
    mapper: Mapper
    code: str
    stamp: Stamp
    watch: Watch
    done: list[Done] = field(default_factory=list)
    makers: dict[str, tuple[str, str]] = field(default_factory=dict)
    file_hashes: dict[Path, str] = field(default_factory=dict)

    def execute(self, stage: Stage) -> Done:
        """Run a stage, or find its result; return what happened.

        Raises
        ------
        MetrofluxError
            If the stage leaves an output out or gives one it did not declare.
        """
        start, key = time.perf_counter(), self.key(stage)
        reused = self.store.has(stage.name, key)
        if not reused:
            with self.watch.stage(stage.name):
                self._make(stage, key)
        self.makers |= dict.fromkeys(stage.outputs, (stage.name, key))
        self.done.append(Done(stage.name, key, time.perf_counter() - start, reused))
        return self.done[-1]

    def _make(self, stage: Stage, key: str) -> None:
        parts = Store(self.store.place(stage.name, key).with_suffix(".parts"), self.store.codecs)
        parts.sweep()
        mapper = Watched(self.mapper, self.watch)
        inputs = {name: self.result(name) for name in stage.inputs}
        remembering, scratch = Remembering(mapper, parts), parts.folder.with_suffix(".scratch")
        values = stage.function(
            Job(self.config, mapper, remembering, inputs, self.stamp, self.watch.tell, scratch)
        )
        if set(values) != set(stage.outputs):
            raise MetrofluxError(
                f"stage '{stage.name}' gave {sorted(values)}, expected {sorted(stage.outputs)}"
            )
        self.store.keep(stage.name, key, values)
        remove(parts.folder)
        remove(scratch)

    def result(self, name: str) -> object:
        """Return a result, always as read from disk: a fresh and a resumed run see the same.

        Raises
        ------
        MetrofluxError
            If no stage so far has made it.
        """
        return self.store.get(*self._maker(name), name)

    def _maker(self, name: str) -> tuple[str, str]:
        if name not in self.makers:
            raise MetrofluxError(f"result '{name}' is needed before any stage has made it")
        return self.makers[name]

    def key(self, stage: Stage) -> str:
        """Return the SHA-256 of all that decides a stage's result."""
        files = [path for section in stage.sections for path in self.config.files(section)]
        return sha256_json({
            "stage": stage.name,
            "code": self.code,
            "config": {name: self.config.section(name) for name in stage.sections},
            "inputs": {name: self._maker(name)[1] for name in stage.inputs},
            "stamp": [self.stamp.run_id, self.stamp.config_sha256] if stage.stamped else [],
            "files": [self._sha256(path) for path in files],
        })  # fmt: skip

    def _sha256(self, path: Path) -> str:
        if path not in self.file_hashes:
            self.file_hashes[path] = sha256_file(path)
        return self.file_hashes[path]
