import re

import numpy as np
import pandas as pd
import pytest

from inversion.table import hyperparameters
from metroflux.errors import DataError, SchemaError
from products.fit_tables import withheld_words
from products.periods import named_periods
from products.report import Context, render, write_report
from products.totals import make_totals


def totals_of(w):
    return make_totals(w.solution, w.regions, named_periods(w.prior.flux_time_bounds.values))


def context(**more):
    return Context("Test city", "The city", "run-7", "0.1.0", "c" * 64, **more)


def body(text):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text.split("<body>")[1])).strip()


def test_the_report_is_one_file_that_asks_for_nothing(city, tmp_path):
    write_report(city.diagnostics, city.posterior, totals_of(city), context(), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text).replace("http-equiv", "")
    assert text.count("data:image/svg+xml;base64,") == 3
    assert len(text) < 2_000_000


def test_the_reason_of_a_held_run_is_the_first_line(city):
    held = render(city.diagnostics, city.posterior, totals_of(city), context(held=("chi2 is 3.2, limit 2",)))
    assert body(held).startswith("HELD by the quality gate, not published: chi2 is 3.2, limit 2")
    passed = render(city.diagnostics, city.posterior, totals_of(city), context())
    assert "HELD" not in passed


def test_the_report_says_what_was_used_and_what_was_dropped_and_why(city):
    dropped = pd.DataFrame({"site": ["T1"], "reason": ["calm night"], "count": [17]})
    text = body(render(city.diagnostics, city.posterior, totals_of(city), context(dropped=dropped)))
    assert f"{city.diagnostics.sizes['obs']} observations used at 4 sites" in text
    assert "T1 calm night 17" in text


def test_the_report_sets_the_weather_against_the_lidar_only_where_there_is_one(city):
    lidar = pd.DataFrame([
        {"site": "L1", "count": 90, "bias_m": -35.2, "sd_m": 71.0, "lidar_sd_m": 60.0},
        {"site": "L2", "count": 0, "bias_m": np.nan, "sd_m": np.nan, "lidar_sd_m": np.nan},
    ])  # fmt: skip
    parts = (city.diagnostics, city.posterior, totals_of(city))
    assert "L1 90 −35 71 60" in body(render(*parts, context(lidar=lidar)))
    assert "L2" not in body(render(*parts, context(lidar=lidar)))
    assert "Doppler" not in body(render(*parts, context()))


def test_the_budget_shares_sum_to_one_hundred_and_name_their_references(city):
    found = render(
        city.diagnostics, city.posterior, totals_of(city), context(traceability={"calibration": ["GBW 0417"]})
    )
    table = found.split('id="budget"')[1].split("</table>")[0]
    shares = [float(s) for s in re.findall(r"<td>([\d.]+) %</td>", table)]
    assert sum(shares) == pytest.approx(100, abs=0.3)
    assert "GBW 0417" in table
    assert "not stated" in table


def test_a_site_that_is_predicted_worse_than_by_the_prior_is_said_to_show_no_skill(city):
    worse = city.diagnostics.copy(deep=True)
    worse["site_withheld_rmse"] = worse["site_prior_rmse"] * np.array([0.5, 1.4, 1.0, 1.01])
    text = body(render(worse, city.posterior, totals_of(city), context()))
    assert "skill: error 50 % smaller than with the prior" in text
    assert "no skill: worse than the prior (error + 40 %)" in text
    assert text.count("no skill: the same as the prior") == 2


@pytest.mark.parametrize(
    ("withheld", "said"), [(0.5, "skill: error"), (1.0, "no skill: the same"), (1.5, "no skill: worse")]
)
def test_words_of_skill(withheld, said):
    assert withheld_words(withheld, 1.0).startswith(said)


@pytest.mark.parametrize(("chi2", "said"), [(3.0, "too small"), (1.0, "agree"), (0.1, "too wide")])
def test_chi2_is_put_into_words(city, chi2, said):
    changed = city.diagnostics.copy()
    changed["chi2_per_observation"] = ((), chi2, {"units": "1"})
    assert said in body(render(changed, city.posterior, totals_of(city), context()))


def test_inputs_seeds_and_timings_are_listed(city):
    more = context(
        inputs={"prior.nc": "d" * 64},
        seeds={"particles": 42},
        timings={"solve": 4.14},
        limits=("Synthetic.",),
    )
    text = body(render(city.diagnostics, city.posterior, totals_of(city), more))
    for part in ("prior.nc " + "d" * 64, "Seed: particles 42", "solve 4.1 s", "Synthetic.", "c" * 64):
        assert part in text


def test_no_name_becomes_markup(bad_city):
    evil = "<script>alert(1)</script>"
    dropped = pd.DataFrame({"site": [evil], "reason": ["<b>"], "count": [1]})
    more = context(
        held=(evil,),
        limits=(evil,),
        inputs={evil: evil},
        dropped=dropped,
        traceability={"calibration": [evil]},
    )
    text = render(bad_city.diagnostics, bad_city.posterior, totals_of(bad_city), more)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_regions_without_a_grid_have_a_report_too(country):
    text = body(render(country.diagnostics, country.posterior, totals_of(country), context()))
    assert "Mt CO₂ yr⁻¹" in text


def test_the_same_run_gives_the_same_bytes(city):
    made = [render(city.diagnostics, city.posterior, totals_of(city), context()) for _ in range(2)]
    assert made[0] == made[1]


def test_wrong_input_is_refused_before_anything_is_written(city, tmp_path):
    totals = totals_of(city)
    with pytest.raises(SchemaError, match="report: diagnostics"):
        write_report(city.posterior, city.posterior, totals, context(), tmp_path / "r.html")
    with pytest.raises(DataError, match="'run'"):
        write_report(
            city.diagnostics, city.posterior, totals.isel(period=[1]), context(), tmp_path / "r.html"
        )
    with pytest.raises(DataError, match="lacks count, reason"):
        write_report(
            city.diagnostics,
            city.posterior,
            totals,
            context(dropped=pd.DataFrame({"site": []})),
            tmp_path / "r.html",
        )
    assert list(tmp_path.iterdir()) == []


def test_the_report_says_plainly_when_no_withheld_site_shows_skill(city):
    worse = city.diagnostics.copy(deep=True)
    worse["site_withheld_rmse"] = worse["site_prior_rmse"] * np.array([1.5, 1.4, 1.0, 1.01])
    said = "Withholding shows no skill: no site is predicted better from the others than by the prior alone."
    assert said in body(render(worse, city.posterior, totals_of(city), context()))
    worse["site_withheld_rmse"] = worse["site_prior_rmse"] * np.array([0.5, 1.4, 1.0, 1.01])
    assert said not in body(render(worse, city.posterior, totals_of(city), context()))


def test_the_report_lists_what_was_estimated_and_the_most_influential_data(city):
    table = hyperparameters(city.solution.problem)
    table["hyperparameter_status"].values[1] = "estimated"
    table["hyperparameter_sd"].values[1] = 1500.0
    found = render(city.diagnostics.merge(table), city.posterior, totals_of(city), context())
    assert "length: road traffic 9 km 1.5 km 9 km estimated" in body(found)
    assert "duration: road traffic 48 h 0 h 48 h fixed by configuration" in body(found)
    first = str(city.diagnostics.datum_id.values[np.argmax(city.diagnostics.influence.values)])
    listed = found.split('id="influential"')[1].split("</table>")[0]
    assert listed.split("<tbody>")[1].split("<td")[1].startswith(f' class="l">{first}<')
    assert listed.count("<tr>") == 6
