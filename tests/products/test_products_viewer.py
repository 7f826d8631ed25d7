import json
import re
from dataclasses import replace

import numpy as np
import pytest
from products_pages import make_page

from metroflux.errors import DataError
from products import viewer, viewer_data
from products.viewer import payload, safe_json, write_viewer


def test_packed_numbers_come_back_within_half_a_step():
    rng = np.random.default_rng(3)
    values = rng.lognormal(0, 3, 5000) * rng.choice([-1, 1], 5000)
    back = viewer_data.unpack(viewer_data.pack(values))
    large = np.abs(values) > 1e-4 * np.abs(values).max()
    np.testing.assert_allclose(back[large], values[large], rtol=1 / 320)
    assert np.abs(back - values).max() < np.abs(values).max() / 32767


def test_zero_is_packed_as_zero():
    np.testing.assert_array_equal(viewer_data.unpack(viewer_data.pack(np.zeros(5))), np.zeros(5))


def test_the_page_names_no_other_address(city, tmp_path):
    write_viewer(make_page(city), tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text("utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text
    assert not re.search(r"<(script|link|img)[^>]+src=", text)
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_no_name_becomes_markup(bad_city, tmp_path):
    page = make_page(bad_city, notes=("<img src=x onerror=alert(1)>",), map_approval="<b>")
    page = replace(page, about=replace(page.about, title="<script>alert(2)</script>", place="</h1><script>"))
    write_viewer(page, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text("utf-8")
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert "<img src=x" not in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
    assert data["places"]["names"][1] == "</script><script>alert(1)</script>"
    assert "'=cmd()" in data["csv"]


def test_json_survives_every_awkward_character():
    awkward = {"a": "</script><!-- <script> & \u2028\u2029 \" ' é 中"}
    text = str(safe_json(awkward))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == awkward


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        safe_json({"a": float("nan")})


def test_both_languages_have_the_same_words(city):
    text = payload(make_page(city))["text"]

    def shape(value):
        if isinstance(value, dict):
            return {k: shape(v) for k, v in value.items()}
        return len(value) if isinstance(value, list) else re.findall(r"\{\w+\}", value)

    assert {k: sorted(v) if isinstance(v, list) else v for k, v in shape(text["en"]).items()} == {
        k: sorted(v) if isinstance(v, list) else v for k, v in shape(text["zh"]).items()
    }


def test_every_word_that_the_scripts_ask_for_exists(city):
    words = payload(make_page(city))["text"]["en"]
    code = "".join(viewer._asset(n) for n in (*viewer._SCRIPTS, "page.html"))
    asked = set(re.findall(r"""say\("(\w+)\"""", code)) | set(re.findall(r'data-text="(\w+)"', code))
    assert asked <= set(words)


def test_a_page_too_large_is_refused_and_not_written(city, tmp_path, monkeypatch):
    monkeypatch.setattr(viewer, "LARGEST", 1000)
    with pytest.raises(DataError, match="MB, expected at most"):
        write_viewer(make_page(city), tmp_path / "index.html")
    assert list(tmp_path.iterdir()) == []


def test_many_steps_keep_only_the_sum_of_sectors(city, monkeypatch):
    page = make_page(city)
    assert payload(page)["cells"]["step_sectors"] == [0, 1, 2, 3]
    monkeypatch.setattr(viewer_data, "_STEP_BYTES", 1000)
    assert payload(page)["cells"]["step_sectors"] == [3]


def test_parts_that_do_not_belong_together_are_all_named(city):
    page = make_page(city)
    wrong = replace(page, steps=page.steps.isel(period=slice(1, None)), mean=page.mean.isel(sector=[0, 1]))
    with pytest.raises(DataError, match=r"last sector of mean.*different periods"):
        viewer._check(wrong)


@pytest.mark.parametrize(
    ("values", "signed"),
    [
        (np.geomspace(0.01, 50, 200), False),
        (np.linspace(-5, 5, 100), True),
        (np.zeros(4), False),
        (np.r_[np.zeros(99), 7.0], False),
    ],
)
def test_classes_have_rising_round_edges(values, signed):
    found = viewer_data.classes(values)
    assert found["signed"] is signed
    assert all(b > 0 for b in found["breaks"])
    assert all(b > a for a, b in zip(found["breaks"], found["breaks"][1:], strict=False))


def test_thirty_days_of_a_large_city_stay_under_six_megabytes():
    rng = np.random.default_rng(1)
    daily = {m: viewer_data.pack(rng.lognormal(size=30 * 120 * 120)) for m in viewer_data.MOMENTS}
    mean = {m: viewer_data.pack(rng.lognormal(size=4 * 120 * 120)) for m in viewer_data.MOMENTS}
    assert len(json.dumps([daily, mean])) < 0.95 * viewer.LARGEST
