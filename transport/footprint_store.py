"""Footprints kept from run to run: found by all that decides them, written batch by batch, checked when read.

A batch is one file `<name>.zip` (zarr: pointer, lag, cell, value, and the other arrays by receptor) and
beside it `<name>.json`, written last, with the keys of its footprints and the SHA-256 of the file. Names are
unique, files appear by rename and never change: any number of processes may write and read at one time.
"""

import hashlib
import json
import logging
import os
import platform
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.codecs import BloscCodec
from zarr.storage import ZipStore

from metroflux import provenance
from metroflux.errors import ConfigError
from metroflux.grid import Grid
from metroflux.provenance import sha256_file, sha256_json
from transport.met import crs_of, hours_to_ns
from transport.sparse import Arrays

LOG = logging.getLogger("metroflux")

_HOME = Path(__file__).parent
_DAY = 86400.0
_TEXTS = ("reason",)  # kept as JSON: zarr has no settled form for text


@dataclass(frozen=True)
class Usage:
    """What a store holds: footprints, files with batches of them, bytes; days since the oldest was made."""

    footprints: int
    batches: int
    size: int
    oldest: float


@dataclass(frozen=True)
class FootprintStore:
    """The footprints under `folder`, which is made when it is first written to."""

    folder: Path

    def find(self, keys: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return where footprints are: for each batch that is needed, its row of each key."""
        wanted, found = set(keys), dict[str, dict[str, int]]()
        for path in self._records():
            held = _record(path)
            if held is None:
                continue
            rows = {key: n for n, key in enumerate(held["keys"]) if key in wanted}
            wanted -= set(rows)
            if rows:
                found[path.stem] = rows
            if not wanted:
                break
        return found

    def read(self, name: str) -> Arrays | None:
        """Return the arrays of a batch; None, with a message in the log, if it is not as it was written."""
        path, held = self.folder / f"{name}.zip", _record(self.folder / f"{name}.json")
        fault = "its record is gone"
        if held is not None:
            try:
                data = path.read_bytes()
            except OSError as error:
                fault = error.strerror or "cannot be read"
            else:
                if hashlib.sha256(data).hexdigest() == held["sha256"]:
                    return load_arrays(path)
                fault = "SHA-256 differs from the one it was written with"
        LOG.warning("%s: %s; its footprints are computed again", path, fault)
        return None

    def write(self, keys: Sequence[str], arrays: Arrays) -> None:
        """Keep a batch of footprints; until the last rename there is nothing to be found."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{sha256_json(list(keys))[:16]}-{uuid.uuid4().hex[:8]}"
        building, path = self.folder / f".tmp-{name}.zip", self.folder / f"{name}.zip"
        save_arrays(building, arrays)
        record = {"keys": list(keys), "sha256": sha256_file(building)}
        building.replace(path)
        text = self.folder / f".tmp-{name}.json"
        text.write_text(json.dumps(record), encoding="utf-8")
        text.replace(self.folder / f"{name}.json")

    def usage(self) -> Usage:
        """Return how much is kept."""
        held = {path: found for path in self._records() if (found := _record(path)) is not None}
        files = [path.with_suffix(".zip") for path in held]
        size = sum(p.stat().st_size for p in (*held, *files) if p.exists())
        ages = [(time.time() - path.stat().st_mtime) / _DAY for path in held]
        return Usage(sum(len(f["keys"]) for f in held.values()), len(held), size, max(ages, default=0.0))

    def prune(self, days: float) -> Usage:
        """Remove batches made more than `days` ago, and what interrupted writes left; return what is kept.

        A run that is reading them at this time computes them again.

        Raises
        ------
        ConfigError
            If the folder is none, or the days are negative.
        """
        if not self.folder.is_dir() or not days >= 0:
            raise ConfigError(f"{self.folder}: older than {days} days; expected an existing store, days >= 0")
        limit = time.time() - days * _DAY
        for path in self._records():
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)  # first the record: without it there is no batch
        recorded = {path.stem for path in self._records()}
        for path in {*self.folder.glob("*.zip"), *self.folder.glob(".tmp-*")}:
            # a file without record may be one that is being written
            if path.stem not in recorded and path.stat().st_mtime < min(limit, time.time() - _DAY):
                path.unlink(missing_ok=True)
        return self.usage()

    def _records(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("*.json") if not p.name.startswith("."))


def receptor_keys(met: xr.Dataset, receptors: xr.Dataset, grid: Grid, settings: object) -> list[str]:
    """Return for each receptor the SHA-256 of all that decides its footprint.

    Its own content and seed, the met at the hours of its flight (every field, to the bit), grid, settings and
    the code with the compiler. `settings` is a dataclass; its `batch` does not count.
    """
    time_ns = met.time.values.astype("datetime64[ns]")
    end = receptors.time.values.astype("datetime64[ns]")
    start = end - hours_to_ns(receptors.hours.values)
    first = np.searchsorted(time_ns, start, side="right") - 1
    last = np.searchsorted(time_ns, end, side="left")
    hours = _digests(met, sorted({i for a, b in zip(first, last, strict=True) for i in range(a, b + 1)}))
    plain = {k: v for k, v in asdict(settings).items() if k != "batch"}  # type: ignore[call-overload]
    common = sha256_json([asdict(grid), plain, _axes(met), code_digest()])
    own = [str(name) for name in receptors.data_vars if "receptor" in receptors[name].dims]
    return [
        sha256_json([
            common, str(end[r]), [hours[i] for i in range(first[r], last[r] + 1)],
            {name: _points(receptors, name, r) for name in own},
        ])
        for r in range(end.size)
    ]  # fmt: skip


def code_digest() -> str:
    """Return the SHA-256 of the code that may touch a footprint, and of the versions that compile it."""
    homes = (_HOME, _HOME / "kernels", Path(provenance.__file__).parent)
    paths = [path for home in homes for path in sorted(home.glob("*.py"))]
    versions = [numba.__version__, np.__version__, platform.machine()]
    return sha256_json([versions, [sha256_file(path) for path in paths]])


def _points(receptors: xr.Dataset, name: str, r: int) -> Any:
    """Return a receptor's values as JSON; points of no weight only fill up the row."""
    values = receptors[name].values[r]
    if values.ndim:
        values = values[receptors.weight.values[r] != 0]
    return values.tolist()


def _digests(met: xr.Dataset, times: list[int]) -> dict[int, str]:
    """Return the SHA-256 of all fields at each of these times; one time is in memory at once."""
    names = sorted(str(n) for n, v in met.data_vars.items() if "time" in v.dims)
    found = {}
    for i in times:
        now = met[names].isel(time=i).compute(scheduler="synchronous")
        digest = hashlib.sha256(str(met.time.values[i]).encode())
        for name in names:
            digest.update(f"{name}{now[name].dims}{now[name].dtype}".encode())
            digest.update(np.ascontiguousarray(now[name].values).data)
        found[i] = digest.hexdigest()
    return found


def _axes(met: xr.Dataset) -> list[object]:
    return [crs_of(met).to_wkt(), *(met[axis].values.astype(np.float64).tolist() for axis in "yx"),
            met.level.values.astype(np.float64).tolist()]  # fmt: skip


def _record(path: Path) -> dict[str, Any] | None:
    """Return the record of a batch; None, with a message, if it is damaged; None if it was removed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if [type(found["keys"]), type(found["sha256"])] == [list, str]:
            return dict(found)
        fault = "expected keys and sha256"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = str(error)
    LOG.warning("%s: not the record of a batch of footprints (%s); they are computed again", path, fault)
    return None


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays to one zip file of zarr, on the disk when it returns."""
    texts = {name: arrays[name].astype(str).tolist() for name in _TEXTS if name in arrays}
    packed = BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")
    store = ZipStore(path, mode="w")
    group = zarr.create_group(store, zarr_format=3, attributes=texts)
    for name, values in arrays.items():
        if name not in texts:
            chunks = tuple(max(1, n) for n in values.shape)
            array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=chunks,
                                       compressors=packed)  # fmt: skip
            array[...] = values
    store.close()
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def load_arrays(path: Path) -> Arrays:
    """Return the arrays of such a file."""
    store = ZipStore(path, mode="r")
    group = zarr.open_group(store, mode="r")
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, array in group.arrays():
        arrays[name] = np.asarray(array[...])
    for name in _TEXTS:
        if name in group.attrs:
            arrays[name] = np.array(group.attrs[name], dtype=str)
    store.close()
    return arrays
