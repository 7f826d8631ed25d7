"""Keep publications for ever: one Icechunk repository with a commit per run, or one directory per run.

A publication is the datasets of one run, seen whole or not at all. Before anything is written, each dataset
must carry its stamp, keep its schema with finite values, and cover the times that the run was for.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import xarray as xr
from filelock import FileLock, Timeout

from metroflux import schema
from metroflux.errors import ArchiveError, SchemaError
from metroflux.time import time_encoding

Kind = Literal["icechunk", "directory"]

WAIT = 60.0
"""How long to wait for another writer, s; a publication takes a few."""


@dataclass(frozen=True)
class Entry:
    """What the archive knows of one publication.

    status : "published" or "held"
    reasons : why it was held
    start, end : the fluxes' period, ISO 8601, UTC
    written : when, ISO 8601, UTC
    """

    run_id: str
    config_sha256: str
    status: Literal["published", "held"]
    start: str
    end: str
    reasons: tuple[str, ...] = ()
    written: str = ""


class Archive(Protocol):
    """Publications by run id."""

    def publish(self, entry: Entry, datasets: Mapping[str, xr.Dataset]) -> None:
        """Add one run; either all its datasets can be read afterwards or nothing has changed."""
        ...

    def runs(self) -> list[Entry]:
        """Return all publications, oldest first."""
        ...

    def read(self, run_id: str, name: str) -> xr.Dataset:
        """Return one dataset of one run."""
        ...


def open_archive(path: Path, kind: Kind) -> Archive:
    """Return the archive at `path`, which is made when first written to."""
    archives: dict[str, type[Directory] | type[Icechunk]] = {"icechunk": Icechunk, "directory": Directory}
    return archives[kind](path)


def refuse_unfit(entry: Entry, datasets: Mapping[str, xr.Dataset]) -> None:
    """Refuse datasets that must not be published.

    Raises
    ------
    ArchiveError
        Listing all faults of all datasets: no stamp, the stamp of another run, values that break the schema
        (NaN, infinity, fill values), flux times that leave gaps or do not cover the run's period.
    """
    faults = [] if datasets else ["no datasets"]
    faults += [f"{name}: {fault}" for name, ds in datasets.items() for fault in _faults(entry, ds)]
    if faults:
        raise ArchiveError(f"run '{entry.run_id}' is not archived: " + "; ".join(faults))


def _faults(entry: Entry, ds: xr.Dataset) -> Iterator[str]:
    absent = [name for name in schema.ATTRIBUTES if not ds.attrs.get(name)]
    if absent:
        yield f"not stamped, no attribute {', '.join(absent)}"
        return
    if ds.attrs["run_id"] != entry.run_id:
        yield f"stamped by run '{ds.attrs['run_id']}'"
    if ds.attrs["schema"] not in schema.SCHEMAS:
        yield f"schema '{ds.attrs['schema']}' is unknown"
        return
    try:
        schema.check(ds, ds.attrs["schema"])
    except SchemaError as fault:
        yield str(fault)
        return
    if "flux_time_bounds" in ds.variables:
        yield from _time_faults(entry, ds)


def _time_faults(entry: Entry, ds: xr.Dataset) -> Iterator[str]:
    """Yield what is wrong with the flux times: xarray's alignment can lose or add some without a word."""
    bounds, label = ds.flux_time_bounds.values, ds.flux_time.values
    if (bounds[:, 0] != label).any() or (bounds[:, 1] <= bounds[:, 0]).any():
        yield "flux_time is not the start of its bounds"
    if (bounds[1:, 0] != bounds[:-1, 1]).any():
        yield "flux times leave gaps or overlap"
    want = [np.datetime64(t, "ns") for t in (entry.start, entry.end)]
    if bounds[0, 0] != want[0] or bounds[-1, 1] != want[1]:
        yield f"flux times run from {bounds[0, 0]} to {bounds[-1, 1]}, expected {want[0]} to {want[1]}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path / ".lock", timeout=WAIT):
            yield
    except Timeout:
        raise ArchiveError(f"{path}: another writer has held the archive for {WAIT:g} s") from None


def _refuse_known(entry: Entry, runs: list[Entry], path: Path) -> None:
    if any(known.run_id == entry.run_id for known in runs):
        raise ArchiveError(
            f"{path}: run '{entry.run_id}' is already archived; a publication is never changed"
        )


def _absent(path: Path, run_id: str, name: str, runs: list[Entry]) -> ArchiveError:
    known = ", ".join(entry.run_id for entry in runs) or "none"
    return ArchiveError(f"{path}: no dataset '{name}' of run '{run_id}'; runs: {known}")


def _entry(record: Mapping[str, Any]) -> Entry:
    return Entry(**{**record, "reasons": tuple(record["reasons"])})


def _dated(entry: Entry) -> dict[str, Any]:
    return asdict(entry) | {"written": datetime.now(UTC).isoformat(), "reasons": list(entry.reasons)}


@dataclass(frozen=True)
class Directory:
    """One directory per run with netCDF files, built under a temporary name and renamed."""

    path: Path

    def publish(self, entry: Entry, datasets: Mapping[str, xr.Dataset]) -> None:
        """Add one run.

        Raises
        ------
        ArchiveError
            If the data are unfit or the run is already there.
        """
        refuse_unfit(entry, datasets)
        with _locked(self.path):
            _refuse_known(entry, self.runs(), self.path)
            building = self.path / f".tmp-{entry.run_id}-{os.getpid()}"
            for stale in self.path.glob(".tmp-*"):  # of a writer that died: we hold the lock
                shutil.rmtree(stale)
            building.mkdir()
            for name, ds in datasets.items():
                plain = ds.drop_encoding()
                plain.to_netcdf(building / f"{name}.nc", engine="netcdf4", encoding=time_encoding(plain))
            (building / "entry.json").write_text(json.dumps(_dated(entry), indent=1), encoding="utf-8")
            building.rename(self.path / entry.run_id)

    def runs(self) -> list[Entry]:
        """Return all publications, oldest first."""
        found = [path for path in self.path.glob("*/entry.json") if not path.parent.name.startswith(".tmp-")]
        entries = [_entry(json.loads(path.read_text(encoding="utf-8"))) for path in found]
        return sorted(entries, key=lambda entry: entry.written)

    def read(self, run_id: str, name: str) -> xr.Dataset:
        """Return one dataset of one run.

        Raises
        ------
        ArchiveError
            If it is not there.
        """
        path = self.path / run_id / f"{name}.nc"
        if run_id not in {entry.run_id for entry in self.runs()} or not path.is_file():
            raise _absent(self.path, run_id, name, self.runs())
        with xr.open_dataset(path, engine="netcdf4") as ds:
            return ds.load()


@dataclass(frozen=True)
class Icechunk:
    """One Icechunk repository: each publication is a commit, so every earlier state stays readable.

    A local disk has no atomic compare-and-swap, so writers take turns by a file lock.
    """

    path: Path

    def publish(self, entry: Entry, datasets: Mapping[str, xr.Dataset]) -> None:
        """Add one run as one commit.

        Raises
        ------
        ArchiveError
            If the data are unfit or the run is already there.
        """
        refuse_unfit(entry, datasets)
        with _locked(self.path):
            repository = self._repository(create=True)
            _refuse_known(entry, self.runs(), self.path)
            session = repository.writable_session("main")
            for name, ds in datasets.items():
                plain, group = _portable(ds), f"{entry.run_id}/{name}"
                times = time_encoding(plain)
                plain.to_zarr(session.store, group=group, mode="w-", consolidated=False, encoding=times)
            message = f"run {entry.run_id} config {entry.config_sha256}"
            session.commit(message, metadata=_dated(entry))

    def runs(self) -> list[Entry]:
        """Return all publications, oldest first."""
        if not self._exists():
            return []
        commits = [c.metadata for c in self._repository(create=False).ancestry(branch="main")]
        return [_entry(record) for record in reversed(commits) if "run_id" in record]

    def read(self, run_id: str, name: str) -> xr.Dataset:
        """Return one dataset of one run.

        Raises
        ------
        ArchiveError
            If it is not there.
        """
        if run_id not in {entry.run_id for entry in self.runs()}:
            raise _absent(self.path, run_id, name, self.runs())
        store = self._repository(create=False).readonly_session("main").store
        try:
            ds = xr.open_zarr(store, group=f"{run_id}/{name}", consolidated=False, chunks=None)
        except (FileNotFoundError, KeyError):
            raise _absent(self.path, run_id, name, self.runs()) from None
        if not ds.variables:  # what xarray makes of a group that does not exist
            raise _absent(self.path, run_id, name, self.runs())
        return ds.load()

    def _exists(self) -> bool:
        return (self.path / "repository").is_dir()

    def _repository(self, create: bool) -> Any:
        import icechunk  # here, because it takes half a second and most commands need no archive

        # its advice against concurrent local commits is heeded by the lock
        icechunk.set_logs_filter("error")
        storage = icechunk.local_filesystem_storage(str(self.path / "repository"))
        return icechunk.Repository.open_or_create(storage) if create else icechunk.Repository.open(storage)


def _portable(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with text of any length: fixed-length text has no zarr 3 specification."""
    plain = ds.drop_encoding()
    text = {name: v.astype(object) for name, v in plain.variables.items() if v.dtype.kind == "U"}
    return plain.assign_coords({n: v for n, v in text.items() if n in plain.coords}).assign(
        {n: v for n, v in text.items() if n not in plain.coords}
    )
