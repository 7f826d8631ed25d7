"""Run stages in order, each result kept under a key of all that it is made of.

The engine knows no science: a stage is a function of its job, the sections of the configuration that it reads
and the results it needs. The same stages run here, in process, or as Prefect tasks (flows.py).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import xarray as xr

from metroflux.errors import MetrofluxError
from metroflux.parallel import Mapper
from metroflux.provenance import sha256_file, sha256_json
from pipelines.store import Store, remove


class Settings(Protocol):
    """What the engine asks of a configuration."""

    def section(self, name: str) -> object:
        """Return a section, by dotted name, as JSON can hold it."""
        ...

    def files(self, name: str) -> Sequence[Path]:
        """Return the input files that a section names."""
        ...


@dataclass(frozen=True)
class Job:
    """What a stage gets to work with.

    config : the whole configuration; a stage reads only the sections that it declares
    mapper : runs independent pieces, perhaps on many workers
    inputs : the results that the stage declares, by name
    parts : where pieces of the stage's work survive an interruption
    """

    config: object
    mapper: Mapper
    inputs: Mapping[str, object]
    parts: Store

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
    """

    name: str
    function: Callable[[Job], Mapping[str, object]]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()


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
            self._make(stage, key)
        self.makers |= dict.fromkeys(stage.outputs, (stage.name, key))
        self.done.append(Done(stage.name, key, time.perf_counter() - start, reused))
        return self.done[-1]

    def _make(self, stage: Stage, key: str) -> None:
        parts = Store(self.store.place(stage.name, key).with_suffix(".parts"), self.store.codecs)
        inputs = {name: self.result(name) for name in stage.inputs}
        values = stage.function(Job(self.config, self.mapper, inputs, parts))
        if set(values) != set(stage.outputs):
            raise MetrofluxError(
                f"stage '{stage.name}' gave {sorted(values)}, expected {sorted(stage.outputs)}"
            )
        self.store.keep(stage.name, key, values)
        remove(parts.folder)

    def result(self, name: str) -> object:
        """Return a result, always as read from disk: a fresh and a resumed run see the same.

        Raises
        ------
        MetrofluxError
            If no stage so far has made it.
        """
        if name not in self.makers:
            raise MetrofluxError(f"result '{name}' is needed before any stage has made it")
        return self.store.get(*self.makers[name], name)

    def key(self, stage: Stage) -> str:
        """Return the SHA-256 of all that decides a stage's result."""
        files = [path for section in stage.sections for path in self.config.files(section)]
        return sha256_json({
            "stage": stage.name,
            "code": self.code,
            "config": {name: self.config.section(name) for name in stage.sections},
            "inputs": {name: self.makers[name][1] for name in stage.inputs if name in self.makers},
            "files": [self._sha256(path) for path in files],
        })  # fmt: skip

    def _sha256(self, path: Path) -> str:
        if path not in self.file_hashes:
            self.file_hashes[path] = sha256_file(path)
        return self.file_hashes[path]


@dataclass(frozen=True)
class Piece:
    """A part of a stage's work that is kept by itself: `item` goes to the worker, `key` names the result."""

    key: str
    item: object


def in_pieces(
    job: Job, name: str, function: Callable[..., xr.Dataset], common: object, pieces: Sequence[Piece]
) -> list[xr.Dataset]:
    """Return function(common, item) of each piece, in order; those that an interrupted run left are reused.

    Results are kept as they arrive, so that an interruption loses only those under way.
    """
    absent = [piece for piece in pieces if not job.parts.has(name, piece.key)]
    arriving = job.mapper(function, common, [piece.item for piece in absent])
    for piece, result in zip(absent, arriving, strict=True):
        job.parts.keep(name, piece.key, {"part": result})
    found = [job.parts.get(name, piece.key, "part") for piece in pieces]
    return [ds for ds in found if isinstance(ds, xr.Dataset)]
