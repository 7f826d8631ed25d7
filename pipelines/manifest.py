"""The record of a run: what went in, by which code and seeds, how long it took, what came out."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import metroflux
from metroflux.provenance import sha256_file, sha256_json
from metroflux.roles import check_roles
from observations.flux_lidar.dial import ray_ids, read_dial_scan
from pipelines.config import Config, Read
from pipelines.engine import Engine
from pipelines.fields import DATA, paths_of, seeds
from pipelines.lidar_sections import DialSource

PACKAGES = ("numpy", "scipy", "xarray", "numba", "pyproj", "netCDF4", "dask", "distributed", "icechunk",
            "prefect", "pydantic", "matplotlib", "cartopy")  # fmt: skip

_VARIABLES = ("mole_fraction", "value", "emission")
"""Fields of a section that name the variable whose values enter."""


def hash_inputs(read: Read) -> dict[Path, str]:
    """Return the SHA-256 of every input file that the configuration names."""
    return {path: sha256_file(path) for path in dict.fromkeys(paths_of(read.config)) if path.is_file()}


def require_one_role(config: Config, hashes: Mapping[Path, str]) -> None:
    """Stop if a variable of a file is data and prior or plants, or a file is read as data twice alike.

    The content of a file is its id, so that a copy under another name is found too. Sources that read other
    sites or variables of one file are other data. Of a DIAL each ray has its id, whatever file it stands in.

    Raises
    ------
    DataError
        Naming the file's hash and what is read, or the ray, and both places.
    """
    sources = {f"observations.sources[{n}]": source for n, source in enumerate(config.observations.sources)}
    prior = {"prior.inventory": config.prior.inventory, "plants": config.plants}
    emissions = {place: _read_from(section, hashes) for place, section in prior.items()}
    check_roles(emissions)
    for place, source in sources.items():
        check_roles({place: _read_from(source, hashes)} | emissions)
    how = {place: sha256_json(s.model_dump(mode="json", exclude={"file"})) for place, s in sources.items()}
    check_roles({
        place: [f"{hashes[source.file]} read as {how[place][:8]}"]
        for place, source in sources.items()
        if source.file in hashes
    })  # fmt: skip
    dials = {place: s.file for place, s in sources.items() if isinstance(s, DialSource)}
    dials |= {f"observations.planes[{n}]": plane.file for n, plane in enumerate(config.observations.planes)}
    check_roles({place: ray_ids(read_dial_scan(file)) for place, file in dials.items()})


def _read_from(section: object, hashes: Mapping[Path, str]) -> list[str]:
    """Return hash and variable of all that a section reads; '*' where the format names the variables."""
    if not isinstance(section, BaseModel):
        return []
    inner = [one for name in type(section).model_fields for one in _read_from(getattr(section, name), hashes)]
    file = getattr(section, "file", None)
    if not isinstance(file, Path) or file not in hashes:
        return inner
    named = [getattr(section, name) for name in _VARIABLES if hasattr(section, name)]
    named += getattr(section, "sectors", {}).values()
    return inner + [f"{hashes[file]}:{name}" for name in named or ["*"]]


def shown(path: Path, config: Path) -> str:
    """Return an input file's name without the places of this machine, as far as the configuration allows."""
    data = os.environ.get(DATA)
    for base, prefix in (
        (Path(data).resolve() if data else None, f"${{{DATA}}}/"),
        (config.resolve().parent, ""),
    ):
        if base is not None and path.is_relative_to(base):
            return prefix + path.relative_to(base).as_posix()
    return path.as_posix()


def manifest_of(
    engine: Engine, read: Read, reasons: tuple[str, ...], summary: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the record of a run: what went in, by which code, how long it took, what came out."""
    return {
        "run_id": engine.stamp.run_id,
        "status": "held" if reasons else "published",
        "reasons": list(reasons),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": read.values,
        "config_sha256": read.sha256,
        "inputs": engine.stamp.inputs,
        "code_version": f"{metroflux.__version__}+{engine.code[:12]}",
        "code_sha256": engine.code,
        "seeds": seeds(read.values),
        "stages": [asdict(done) for done in engine.done],
        "seconds": round(sum(done.seconds for done in engine.done), 3),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "summary": dict(summary),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
