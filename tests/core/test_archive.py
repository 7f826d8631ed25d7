import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from metroflux.archive import Archive, Entry, open_archive
from metroflux.errors import ArchiveError
from metroflux.provenance import Stamp

KINDS = ("icechunk", "directory")
ENTRY = Entry("demo-1", "c0ffee", "published", "2024-03-04T00:00:00", "2024-03-04T06:00:00")


def prior(run_id: str = "demo-1") -> xr.Dataset:
    edges = np.datetime64("2024-03-04", "ns") + np.arange(3) * np.timedelta64(3, "h")
    flux = (
        ("sector", "flux_time", "y", "x"),
        np.arange(24.0).reshape(2, 2, 2, 3) * 1e-6,
        {"units": "mol m-2 s-1"},
    )
    ds = xr.Dataset(
        {
            "flux": flux,
            "flux_sd": flux,
            "flux_time_bounds": (("flux_time", "bounds"), np.stack([edges[:-1], edges[1:]], axis=1)),
        },
        coords={
            "sector": ["power", "交通"],
            "flux_time": ("flux_time", edges[:-1], {"bounds": "flux_time_bounds"}),
            "cell_area": (("y", "x"), np.full((2, 3), 4e6), {"units": "m2"}),
        },
    )
    return Stamp(run_id, "c0ffee").apply(ds, "prior", "prior of a test")


@pytest.fixture(params=KINDS)
def archive(request: pytest.FixtureRequest, tmp_path) -> Archive:
    return open_archive(tmp_path / "archive", request.param)


def test_what_is_published_is_read_back_to_the_bit(archive):
    ds = prior()
    archive.publish(ENTRY, {"prior": ds, "posterior": ds})
    xr.testing.assert_identical(archive.read("demo-1", "posterior").drop_encoding(), ds)
    [entry] = archive.runs()
    assert replace(entry, written="") == ENTRY
    assert entry.written


def test_runs_are_listed_in_the_order_of_publication_with_their_status(archive):
    held = replace(ENTRY, run_id="a-2", status="held", reasons=("chi2 is 9",))
    archive.publish(ENTRY, {"prior": prior()})
    archive.publish(held, {"prior": prior("a-2")})
    assert [entry.run_id for entry in archive.runs()] == ["demo-1", "a-2"]
    assert archive.runs()[1].reasons == ("chi2 is 9",)


def test_an_empty_archive_lists_nothing(archive):
    assert archive.runs() == []


def test_a_publication_is_never_changed(archive):
    archive.publish(ENTRY, {"prior": prior()})
    with pytest.raises(ArchiveError, match="already archived"):
        archive.publish(ENTRY, {"prior": prior()})


@pytest.mark.parametrize(("run_id", "name"), [("demo-2", "prior"), ("demo-1", "posterior"), ("..", "prior")])
def test_what_is_not_there_is_named(archive, run_id, name):
    archive.publish(ENTRY, {"prior": prior()})
    with pytest.raises(ArchiveError, match=f"no dataset '{name}' of run"):
        archive.read(run_id, name)


def unstamped() -> xr.Dataset:
    return prior().drop_attrs()


def with_nan() -> xr.Dataset:
    ds = prior()
    return ds.assign(flux=ds.flux.where(ds.flux > 0))


def with_infinity() -> xr.Dataset:
    ds = prior()
    return ds.assign(flux=ds.flux.where(ds.flux > 0, np.inf))


def with_a_time_lost() -> xr.Dataset:
    return prior().isel(flux_time=[0])


def with_other_labels() -> xr.Dataset:
    ds = prior()
    return ds.assign_coords(flux_time=ds.flux_time + np.timedelta64(1, "h"))


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (unstamped, "not stamped"),
        (with_nan, "1 NaN of 24"),
        (with_infinity, "1 values beyond"),
        (with_a_time_lost, "flux times run from"),
        (with_other_labels, "not the start of its bounds"),
        (lambda: prior("other"), "stamped by run 'other'"),
    ],
)
def test_unfit_data_are_refused_and_nothing_is_written(archive, broken, fault):
    with pytest.raises(ArchiveError, match=fault):
        archive.publish(ENTRY, {"posterior": prior(), "prior": broken()})
    assert archive.runs() == []


def test_a_crash_while_writing_leaves_nothing_to_be_seen_and_the_next_write_succeeds(archive, monkeypatch):
    archive.publish(ENTRY, {"prior": prior()})
    second = replace(ENTRY, run_id="demo-2")
    writer = "to_netcdf" if type(archive).__name__ == "Directory" else "to_zarr"
    calls = []
    original = getattr(xr.Dataset, writer)

    def dies_at_the_second(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(xr.Dataset, writer, dies_at_the_second)
        with pytest.raises(OSError, match="No space"):
            archive.publish(second, {"prior": prior("demo-2"), "posterior": prior("demo-2")})
    assert [entry.run_id for entry in archive.runs()] == ["demo-1"]
    with pytest.raises(ArchiveError):
        archive.read("demo-2", "prior")
    archive.publish(second, {"prior": prior("demo-2"), "posterior": prior("demo-2")})
    assert [entry.run_id for entry in archive.runs()] == ["demo-1", "demo-2"]


DIES = """
import os, runpy, sys
from dataclasses import replace
import xarray as xr
from metroflux.archive import open_archive

kind, path, test = sys.argv[1:]
world = runpy.run_path(test)
writer = "to_netcdf" if kind == "directory" else "to_zarr"
original = getattr(xr.Dataset, writer)

def then_dies(self, *args, **kwargs):
    original(self, *args, **kwargs)
    os.kill(os.getpid(), 9)

setattr(xr.Dataset, writer, then_dies)
open_archive(__import__("pathlib").Path(path), kind).publish(
    replace(world["ENTRY"], run_id="demo-2"), {"prior": world["prior"]("demo-2")}
)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_writer_killed_in_the_middle_leaves_the_archive_whole(kind, tmp_path):
    archive = open_archive(tmp_path, kind)
    archive.publish(ENTRY, {"prior": prior()})
    killed = subprocess.run([sys.executable, "-c", DIES, kind, str(tmp_path), __file__], timeout=60)
    assert killed.returncode == -9
    assert [entry.run_id for entry in archive.runs()] == ["demo-1"]
    second = prior("demo-2")
    archive.publish(replace(ENTRY, run_id="demo-2"), {"prior": second})
    xr.testing.assert_identical(archive.read("demo-2", "prior").drop_encoding(), second)
