"""The page in a real browser: what a planner does with it."""

import base64
import os

import pytest
from chrome import Chrome, find
from products_pages import make_page

from products.viewer import write_viewer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium():
    if find() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing; in CI the page must be tested (apt-get install chromium)")
        pytest.skip("Chromium is missing: the page is not tested (apt-get install chromium)")


@pytest.fixture(scope="module")
def browser(chromium):
    with Chrome(1280, 1000) as chrome:
        yield chrome


@pytest.fixture(scope="module")
def pages(city, country, bad_city, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, world in (("city", city), ("country", country), ("bad", bad_city)):
        write_viewer(make_page(world), folder / f"{name}.html")
    return folder


@pytest.fixture
def page(browser, pages):
    def opened(name):
        browser.logs.clear()
        browser.requests.clear()
        browser.open(pages / f"{name}.html")
        return browser

    return opened


def move_slider(chrome, step):
    chrome.run(
        f"(() => {{ const s = document.getElementById('slider'); s.value = {step};"
        "s.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def select(chrome, box, value):
    chrome.run(
        f"(() => {{ const s = document.getElementById('{box}'); s.value = '{value}';"
        "s.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


def text(chrome, box):
    return chrome.run(f"document.getElementById('{box}').textContent")


@pytest.mark.parametrize("name", ["city", "country"])
def test_the_page_asks_the_network_for_nothing_and_logs_no_fault(page, pages, name):
    chrome = page(name)
    for action in ("document.getElementById('language').click()", "document.getElementById('play').click()"):
        chrome.run(action)
    chrome.run("new Promise((done) => setTimeout(done, 900))")
    chrome.run("document.getElementById('play').click()")
    assert chrome.requests == [(pages / f"{name}.html").as_uri()]
    assert chrome.logs == []


@pytest.mark.parametrize("name", ["city", "country"])
def test_moving_the_slider_moves_the_picture(page, name):
    chrome = page(name)
    seen = {chrome.pixels()}
    select(chrome, "layer", "posterior")
    for step in (1, 2, 3):
        move_slider(chrome, step)
        assert chrome.run("metroflux.state.step") == step
        seen.add(chrome.pixels())
    assert len(seen) == 4
    assert "UTC" in text(chrome, "when") or "2011" in text(chrome, "when")


def test_play_advances_the_time(page):
    chrome = page("city")
    chrome.run("document.getElementById('play').click()")
    chrome.run("new Promise((done) => setTimeout(done, 1600))")
    chrome.run("document.getElementById('play').click()")
    step = chrome.run("metroflux.state.step")
    assert step >= 1
    chrome.run("new Promise((done) => setTimeout(done, 800))")
    assert chrome.run("metroflux.state.step") == step


@pytest.mark.parametrize("name", ["city", "country"])
def test_every_layer_is_a_different_picture_with_its_legend(page, name):
    chrome = page(name)
    pictures, legends = set(), set()
    for layer in ("plain", "posterior", "prior", "change", "sd", "information"):
        select(chrome, "layer", layer)
        pictures.add(chrome.pixels())
        legends.add(chrome.run("document.getElementById('legend').innerHTML"))
    assert len(pictures) == 6
    assert len(legends) >= 5  # prior and posterior share one
    assert "%" in text(chrome, "legend")


def test_sectors_and_detail_change_the_picture(page):
    chrome = page("city")
    seen = {chrome.pixels()}
    select(chrome, "sector", "1")
    seen.add(chrome.pixels())
    chrome.run("document.querySelector('[value=cell]').click()")
    seen.add(chrome.pixels())
    assert len(seen) == 3


def test_the_language_switch_translates_and_back(page):
    chrome = page("city")
    english = text(chrome, "sentence")
    chrome.run("document.getElementById('language').click()")
    assert "包含区间" in text(chrome, "sentence")
    assert "不确定度" in chrome.run("document.body.textContent")
    assert chrome.run("document.documentElement.lang") == "zh"
    chrome.run("document.getElementById('language').click()")
    assert text(chrome, "sentence") == english


@pytest.mark.parametrize("detail", ["district", "cell"])
def test_a_click_on_the_map_shows_the_course_of_the_place(page, detail):
    chrome = page("city")
    chrome.run(f"metroflux.change({{detail: '{detail}'}})")
    before = text(chrome, "series-title")
    x, y = chrome.run(
        "(() => { const r = document.getElementById('map').getBoundingClientRect();"
        "return [r.left + 0.6 * r.width, r.top + 0.4 * r.height]; })()"
    )
    chrome.click(x, y)
    assert text(chrome, "series-title") != before
    assert chrome.run("document.querySelectorAll('#series polygon').length") == 2
    assert "95 %" in text(chrome, "facts")


def test_the_page_shows_the_numbers_of_the_totals(page, city):
    chrome = page("city")
    pages_totals = make_page(city).totals
    expected = float(pages_totals.posterior.sel(region="Middle Inner", sector="total", period="run"))
    shown = chrome.run(
        "(() => { const p = metroflux.data.places, i = p.names.indexOf('Middle Inner');"
        "return p.run.posterior[metroflux.data.sectors.length - 1][i]; })()"
    )
    assert shown == pytest.approx(expected, rel=1e-6)


def test_the_table_sorts_and_a_row_chooses_its_place(page):
    chrome = page("city")
    names = "[...document.querySelectorAll('#table tbody td:first-child')].map((c) => c.textContent)"
    first = chrome.run(names)
    chrome.run("document.querySelector('th[data-key=region] button').click()")
    second = chrome.run(names)
    assert second[0] == first[0] == "Whole area"
    assert second[1:] == sorted(first[1:])
    chrome.run("document.querySelectorAll('#table tbody tr')[3].click()")
    assert text(chrome, "series-title").startswith(second[3])


def test_the_map_is_reached_by_keyboard(page):
    chrome = page("city")
    chrome.run("document.getElementById('map').focus()")
    before = text(chrome, "series-title")
    for key, code in (("ArrowRight", 39), ("Enter", 13)):
        for kind in ("keyDown", "keyUp"):
            chrome("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)
    assert text(chrome, "readout") != ""
    assert text(chrome, "series-title") != before


def test_the_map_is_saved_as_a_picture(page):
    chrome = page("city")
    address = chrome.run(
        "metroflux.mapPicture().then((blob) => new Promise((done) => {"
        " const r = new FileReader();"
        "r.onload = () => done(r.result); r.readAsDataURL(blob); }))"
    )
    assert base64.b64decode(address.split(",")[1]).startswith(b"\x89PNG")


def test_hostile_names_are_shown_as_text(page):
    chrome = page("bad")
    assert chrome.run("document.querySelectorAll('script').length") == 2
    assert "</script><script>alert(1)</script>" in text(chrome, "table")
    assert chrome.logs == []


def test_a_phone_needs_no_sideways_scrolling(chromium, pages):
    with Chrome(390, 844, mobile=True) as chrome:
        for name in ("city", "country"):
            chrome.open(pages / f"{name}.html")
            assert chrome.run("document.documentElement.scrollWidth") <= 390
            assert chrome.logs == []
