"""Keep what a stage made: content-addressed, written whole or not at all, checked before it is used again.

A result lies in one folder `<stage>-<first 12 digits of its key>/` with a file for each of its outputs, and
beside it `<folder>.json`, written last, with the SHA-256 of every file. Without a matching record the result
counts as absent. Nothing is ever pickled: a result may come from a disk that others can write to.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from metroflux.errors import ArchiveError
from metroflux.provenance import sha256_file
from metroflux.time import time_encoding

KEY_DIGITS = 12


@dataclass(frozen=True)
class Folder:
    """Files to be made: `build` fills an empty folder. Read back, it is the path of the folder."""

    build: Callable[[Path], None]


@dataclass(frozen=True)
class Codec:
    """How values of one type are written to a file or folder and read back.

    suffix : of the file
    fits : tells whether a value is of the type
    """

    suffix: str
    fits: Callable[[object], bool]
    save: Callable[[Any, Path], None]
    load: Callable[[Path], object]


def _save_dataset(value: Any, path: Path) -> None:
    plain = value.drop_encoding()
    packed = {"zlib": True, "complevel": 1, "shuffle": True}
    # only numbers on more than one axis are large; text cannot be packed
    large = {name: packed for name, v in plain.variables.items() if v.ndim > 1 and v.dtype.kind in "fi"}
    plain.to_netcdf(path, engine="netcdf4", encoding=large | time_encoding(plain))


def _load_dataset(path: Path) -> xr.Dataset:
    with xr.open_dataset(path, engine="netcdf4", decode_timedelta=False) as ds:
        return ds.load().drop_encoding()


def _is_arrays(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(v, np.ndarray) for v in value.values())


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


def _save_record(value: object, path: Path) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")


def _load_record(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))


def _save_folder(value: Any, path: Path) -> None:
    path.mkdir()
    value.build(path)


CODECS = (
    Codec(".nc", lambda v: isinstance(v, xr.Dataset), _save_dataset, _load_dataset),
    Codec(".npz", _is_arrays, lambda v, path: np.savez(path, **v), _load_arrays),
    Codec(
        ".json", lambda v: isinstance(v, dict | list | tuple | str | int | float), _save_record, _load_record
    ),
    Codec(".files", lambda v: isinstance(v, Folder), _save_folder, lambda path: path),
)
"""Datasets, tables of arrays, plain records, and folders of files."""


@dataclass(frozen=True)
class Store:
    """The results of one run under `folder`.

    codecs : tried in order, by type on writing and by suffix on reading
    """

    folder: Path
    codecs: tuple[Codec, ...] = CODECS

    def place(self, name: str, key: str) -> Path:
        """Return where the result of a stage lies."""
        return self.folder / f"{name}-{key[:KEY_DIGITS]}"

    def keep(self, name: str, key: str, values: Mapping[str, object]) -> None:
        """Write the outputs of a stage; until the last rename there is nothing to be found.

        Raises
        ------
        ArchiveError
            If an output has a type without codec.
        """
        place = self.place(name, key)
        building = self.folder / f".tmp-{place.name}-{os.getpid()}"
        remove(building)
        building.mkdir(parents=True)
        for output, value in values.items():
            codec = next((c for c in self.codecs if c.fits(value)), None)
            if codec is None:
                raise ArchiveError(
                    f"stage '{name}': no way to store '{output}' of type {type(value).__name__}"
                )
            codec.save(value, building / f"{output}{codec.suffix}")
        self._seal(building, place, key)

    def _seal(self, building: Path, place: Path, key: str) -> None:
        record = {"key": key, "files": hashes(building)}
        remove(place)
        building.rename(place)
        write_atomically(_record(place), json.dumps(record, indent=1, sort_keys=True))

    def has(self, name: str, key: str) -> bool:
        """Tell whether the result of a stage is there, whole and unchanged."""
        place = self.place(name, key)
        try:
            record = json.loads(_record(place).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(place.is_dir() and record == {"key": key, "files": hashes(place)})

    def get(self, name: str, key: str, output: str) -> object:
        """Read one output of a stage.

        Raises
        ------
        ArchiveError
            If it is not there.
        """
        place = self.place(name, key)
        for codec in self.codecs:
            path = place / f"{output}{codec.suffix}"
            if path.exists():
                return codec.load(path)
        raise ArchiveError(f"{place}: no output '{output}'; expected it from stage '{name}'")

    def clear(self) -> None:
        """Remove every result."""
        remove(self.folder)

    def sweep(self) -> None:
        """Remove what an interrupted write left behind."""
        for path in self.folder.glob(".tmp-*"):
            remove(path)


def _record(place: Path) -> Path:
    return place.with_name(place.name + ".json")


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that it is seen either as it was or complete."""
    building = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    building.write_text(text, encoding="utf-8")
    building.replace(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with all below it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
