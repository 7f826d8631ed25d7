from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from plans import require_fit

from metroflux.errors import ArchiveError, MetrofluxError
from metroflux.parallel import serial
from metroflux.provenance import Stamp
from pipelines.config import read_config
from pipelines.engine import Engine, Remembering, Stage
from pipelines.stages import plan
from pipelines.store import Folder, Store
from pipelines.watch import Silent


class Settings:
    def __init__(self, **sections: object) -> None:
        self.sections = sections

    def section(self, name: str) -> object:
        return self.sections[name]

    def files(self, name: str) -> list[Path]:
        return [v for v in [self.sections[name]] if isinstance(v, Path)]


def engine(folder: Path, settings: Settings | None = None, code: str = "c1", run_id: str = "r1") -> Engine:
    return Engine(settings or Settings(a=1), Store(folder), serial, code, Stamp(run_id, "cfg"), Silent())


def stage(**changes) -> Stage:
    given = {"name": "one", "function": lambda job: {"x": [1]}, "outputs": ("x",), "sections": ("a",)}
    return Stage(**(given | changes))


VALUES = {
    "dataset": xr.Dataset(
        {"a": (("t", "n"), np.arange(6.0).reshape(2, 3), {"units": "m"}), "word": ("n", ["å", "b", "ccc"])},
        coords={"t": ("t", np.array(["2024-03-04T00:00:00.123456789", "2024-03-05"], "datetime64[ns]"),
                      {"bounds": "tb"}),
                "tb": (("t", "bounds"), np.zeros((2, 2), "datetime64[ns]")), "none": ("z", np.empty(0))},
        attrs={"species": "co2"},
    ),
    "arrays": {"f": np.arange(3, dtype=np.float32), "u": np.array(["x", "yy"])},
    "record": {"list": [1, 2.5, "text", None, True]},
}  # fmt: skip


def test_what_is_kept_is_read_back_to_the_bit(tmp_path):
    store = Store(tmp_path)
    store.keep("s", "k" * 64, VALUES)
    ds = store.get("s", "k" * 64, "dataset")
    xr.testing.assert_identical(ds, VALUES["dataset"])
    assert all(ds[name].dtype.kind == VALUES["dataset"][name].dtype.kind for name in ("a", "t", "tb"))
    arrays = store.get("s", "k" * 64, "arrays")
    assert all(
        np.array_equal(arrays[n], v) and arrays[n].dtype == v.dtype for n, v in VALUES["arrays"].items()
    )
    assert store.get("s", "k" * 64, "record") == VALUES["record"]


def test_a_folder_of_files_is_kept_as_it_was_built(tmp_path):
    store = Store(tmp_path)
    store.keep("s", "k" * 64, {"out": Folder(lambda folder: (folder / "a.txt").write_text("a"))})
    assert (store.get("s", "k" * 64, "out") / "a.txt").read_text() == "a"


def test_a_value_that_cannot_be_kept_is_named_and_leaves_nothing(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(ArchiveError, match=r"stage 's': no way to store 'x' of type object"):
        store.keep("s", "k" * 64, {"x": object()})
    assert not store.has("s", "k" * 64)


@pytest.mark.parametrize("damage", ["changed", "gone", "more", "unsealed"])
def test_a_result_that_is_not_what_was_kept_counts_as_absent(tmp_path, damage):
    store = Store(tmp_path)
    store.keep("s", "k" * 64, {"x": [1]})
    place = store.place("s", "k" * 64)
    assert store.has("s", "k" * 64)
    {
        "changed": lambda: (place / "x.json").write_text("[2]"),
        "gone": (place / "x.json").unlink,
        "more": lambda: (place / "y.json").write_text("[2]"),
        "unsealed": place.with_name(place.name + ".json").unlink,
    }[damage]()
    assert not store.has("s", "k" * 64)


def test_a_key_changes_with_all_that_decides_the_result_and_with_nothing_else(tmp_path):
    data = tmp_path / "data"
    data.write_text("1")
    base = engine(tmp_path).key(stage())
    assert engine(tmp_path / "elsewhere", run_id="r2").key(stage()) == base
    assert engine(tmp_path, Settings(a=1, b=2)).key(stage()) == base
    assert engine(tmp_path, Settings(a=2)).key(stage()) != base
    assert engine(tmp_path, code="c2").key(stage()) != base
    assert engine(tmp_path).key(stage(name="two")) != base
    with_file = engine(tmp_path, Settings(a=data)).key(stage())
    data.write_text("2")
    assert engine(tmp_path, Settings(a=data)).key(stage()) != with_file
    stamped = stage(stamped=True)
    assert engine(tmp_path, run_id="r2").key(stamped) != engine(tmp_path, run_id="r1").key(stamped)


def test_a_key_changes_with_the_keys_of_the_inputs(tmp_path):
    second = stage(name="two", outputs=("y",), inputs=("x",), sections=())
    keys = []
    for value in (1, 2):
        run = engine(tmp_path, Settings(a=value))
        run.execute(stage())
        keys.append(run.key(second))
    assert keys[0] != keys[1]


def test_an_input_that_nothing_makes_is_named(tmp_path):
    with pytest.raises(MetrofluxError, match="'x' is needed before any stage has made it"):
        engine(tmp_path).execute(stage(inputs=("x",)))


def test_outputs_other_than_declared_are_refused(tmp_path):
    with pytest.raises(MetrofluxError, match=r"stage 'one' gave \['x'\], expected \['y'\]"):
        engine(tmp_path).execute(stage(outputs=("y",)))


def piece(common: list[int], number: int) -> dict[str, np.ndarray]:
    common.append(number)
    return {"square": np.array([number**2])}


def test_remembered_pieces_are_not_asked_for_again_and_calls_do_not_mix(tmp_path):
    asked: list[int] = []
    first = Remembering(serial, Store(tmp_path))
    arriving = first(piece, asked, [1, 2, 3])
    next(arriving)
    next(arriving)  # interrupted here: the third was never asked for
    second = Remembering(serial, Store(tmp_path))
    got = [int(part["square"][0]) for part in second(piece, asked, [1, 2, 3])]
    again = [int(part["square"][0]) for part in second(piece, asked, [7, 8, 9])]
    assert (got, again) == ([1, 4, 9], [49, 64, 81])
    assert asked == [1, 2, 3, 7, 8, 9]


def test_the_stages_of_each_origin_get_what_they_need_from_those_before(config, responses):
    for path in (config, responses):
        require_fit(plan(read_config(path).config))


def test_a_selection_by_footprints_comes_between_them_and_all_that_uses_the_selection(config):
    limit = "observations: {selection: {local_influence: {radius_km: 4, most: 0.5}}}"
    config.write_text(config.read_text() + limit)
    require_fit(plan(read_config(config).config))
