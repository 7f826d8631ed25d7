"""Where a dataset comes from: hashes of inputs, code version, and the stamp on every published file."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path, PurePath

import numpy as np
import xarray as xr

import metroflux
from metroflux import schema
from metroflux.errors import DataError


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}); expected an input file") from None


def sha256_json(value: object) -> str:
    """Return the SHA-256 of a value that JSON can hold, independent of the order of its keys.

    Paths, dates and numpy scalars count as their text. Anything else is a TypeError: the text of a set
    changes from run to run, and that of a long array leaves out its middle.
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=_text).encode()).hexdigest()


def _text(value: object) -> str:
    if isinstance(value, (PurePath, date, np.generic)):  # a datetime is a date
        return str(value)
    raise TypeError(f"{type(value).__name__} has no stable text; expected what JSON can hold")


def sha256_dataset(ds: xr.Dataset) -> str:
    """Return the SHA-256 of a dataset's names, dims, types and values; attributes do not count."""
    digest = hashlib.sha256()
    for name in sorted(map(str, ds.variables)):
        values = ds[name].values
        if values.dtype.kind in "OTU":  # as wide as its longest text, whatever room its array leaves
            values = values.astype(object).astype(str)
        digest.update(f"{name}{ds[name].dims}{values.dtype}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def code_sha256() -> str:
    """Return the SHA-256 of all Python source, so that changed code is never mistaken for old."""
    home = Path(metroflux.__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for room in ("metroflux", "observations", "priors", "transport", "inversion", "products", "pipelines"):
        for path in sorted((home / room).rglob("*.py")):
            digest.update(path.relative_to(home).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Stamp:
    """What a published dataset says of its own making.

    run_id : id of the run
    config_sha256 : hash of the configuration
    inputs : name of each input -> sha256
    institution : who made it
    """

    run_id: str
    config_sha256: str
    inputs: dict[str, str] = field(default_factory=dict)
    institution: str = "not stated"

    def apply(self, ds: xr.Dataset, schema_name: str, title: str) -> xr.Dataset:
        """Return the dataset with all global attributes of `schema.ATTRIBUTES`."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return ds.assign_attrs(
            Conventions="CF-1.8, ACDD-1.3",
            title=title,
            institution=self.institution,
            source=f"metroflux {metroflux.__version__}",
            history=f"{now} metroflux {metroflux.__version__} run {self.run_id}",
            schema=schema_name,
            schema_version=schema.VERSION,
            run_id=self.run_id,
            code_version=f"{metroflux.__version__}+{code_sha256()[:12]}",
            config_sha256=self.config_sha256,
            input_ids=json.dumps(self.inputs, sort_keys=True),
        )
