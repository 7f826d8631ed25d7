"""The met cube on disk: one zarr store per day, one chunk per time, built once for the same inputs."""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import xarray as xr
from zarr.codecs import BloscCodec

from metroflux.datasets import SCHEMAS
from metroflux.provenance import sha256_file, sha256_json
from transport.met import DEFAULT_LEVELS, DONE
from transport.meteorology.balance import Balance
from transport.meteorology.cube import Target, read_hours
from transport.meteorology.reader import MetReader


def met_key(
    reader: MetReader, paths: Sequence[Path], levels: Sequence[float], target: Target | None = None
) -> str:
    """Return the content address of a cube: bytes of the files, settings, levels, target and code."""
    home = Path(__file__).parent  # all modules here, and the checks beside them, decide the content of a cube
    crs = None if target is None or target.crs is None else target.crs.to_wkt()
    return sha256_json({
        "files": sorted(sha256_file(Path(path)) for path in paths),
        "reader": reader.describe(),
        "levels": [float(z) for z in levels],
        "target": [crs, *(() if target is None else (target.step, target.vertical))],
        "code": [sha256_file(path) for path in (*sorted(home.glob("*.py")), home.parent / "met.py")],
    })  # fmt: skip


def build_met(
    reader: MetReader,
    paths: Sequence[Path],
    folder: Path,
    levels: Sequence[float] = DEFAULT_LEVELS,
    target: Target | None = None,
) -> Path:
    """Return the folder of the met cube of these files under `folder`, built if it is not there yet.

    One met time is in memory at once. The cube appears under its name when it is complete; a build that was
    stopped leaves nothing that would be opened. `met.open_met` opens the result.

    Raises
    ------
    DataError
        As `cube.read_met`.
    """
    home = folder / met_key(reader, paths, levels, target)[:16]
    if (home / DONE).is_file():
        return home
    draft = folder / f"{home.name}.{os.getpid()}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        write_cube(read_hours(reader, paths, levels, target), draft)
        if home.exists():  # another process was first, or an older draft has no end
            shutil.rmtree(home)
        draft.rename(home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return home


def write_cube(hours: Iterable[xr.Dataset], folder: Path) -> None:
    """Write a met cube, given one time after another, into an empty folder; `met.open_met` opens it."""
    times: list[str] = []
    balance, report, source = Balance(), {}, ""
    for given in hours:
        hour = given.drop_vars([name for name in given.variables if name not in SCHEMAS["met"]])
        day = folder / f"{str(hour.time.values[0])[:10]}.zarr"
        report, source = balance.add(hour), hour.attrs["source"]
        if day.exists():
            fixed = [name for name, v in hour.variables.items() if "time" not in v.dims]
            hour.drop_vars(fixed).to_zarr(day, append_dim="time", consolidated=False)
        else:
            hour.to_zarr(day, mode="w", consolidated=False, encoding=_encoding(hour))
        times.append(str(hour.time.values[0]))
    listed = {"times": times, "mass_balance": report, "source": source}
    (folder / DONE).write_text(json.dumps(listed), encoding="utf-8")


def _encoding(hour: xr.Dataset) -> dict[str, dict[str, object]]:
    """Return one chunk per time, packed fast; times as whole seconds, so that appended ones fit.

    LZ4 of shuffled bytes is smaller than zarr's default for float32 fields, and half the work.
    """
    packed = BloscCodec(cname="lz4", clevel=1, shuffle="shuffle")
    chunks: dict[str, dict[str, object]] = {
        str(name): {
            "chunks": tuple(1 if d == "time" else n for d, n in v.sizes.items()),
            "compressors": packed,
        }
        for name, v in hour.data_vars.items()
    }
    return chunks | {"time": {"units": "seconds since 1970-01-01", "dtype": "int64"}}
