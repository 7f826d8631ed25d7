import numpy as np
import pytest

from products.periods import named_periods
from products.totals import make_totals
from products.words import dates, readiness, rounded, sentences


@pytest.mark.parametrize(
    ("start", "end", "english", "chinese"),
    [
        ("2024-01-10", "2024-01-15", "10–14 January 2024", "2024年1月10日至2024年1月14日"),
        ("2024-01-30", "2024-02-02", "30 January – 1 February 2024", "2024年1月30日至2024年2月1日"),
        ("2011-01", "2013-01", "January 2011 – December 2012", "2011年1月至2012年12月"),
        ("2024-03", "2024-04", "March 2024", "2024年3月"),
        ("2024-03-05", "2024-03-06", "5 March 2024", "2024年3月5日"),
        (
            "2022-12-07T00",
            "2022-12-07T04",
            "7 December 2022, 00:00–04:00 UTC",
            "2022年12月7日 00:00–04:00 UTC",
        ),
    ],
)
def test_spans_of_time_are_said_as_people_say_them(start, end, english, chinese):
    assert dates(np.array([start, end], "datetime64[ns]")) == {"en": english, "zh": chinese}


@pytest.mark.parametrize(
    ("value", "sd", "said"),
    [
        (43.5678, 1.23, "43.6"),
        (-0.0123, 0.0034, "−0.0123"),
        (1234567.0, 45678.0, "1,235,000"),
        (5.0, 0.0, "5.000"),
    ],
)
def test_the_last_digit_is_the_second_of_the_uncertainty(value, sd, said):
    assert rounded(value, sd) == said


def test_the_sentence_says_mean_interval_and_verdict_in_both_languages(city):
    totals = make_totals(city.solution, city.regions, named_periods(city.prior.flux_time_bounds.values))
    said = sentences(totals, "The city")
    run = totals.sel(region="domain", sector="total", period="run")
    kilotonnes, sd = float(run.posterior) * 86.4e-3, float(run.posterior_sd) * 86.4e-3
    assert said["en"].startswith(f"The city, 10–11 January 2024: {rounded(kilotonnes, sd)} kt CO₂ per day")
    assert rounded(kilotonnes - 1.959964 * sd, sd) in said["zh"]
    assert "千吨" in said["zh"]
    assert "包含区间" in said["zh"]
    assert "of the inventory's variance" in readiness(totals)["en"]


def test_an_uptake_is_called_one_and_its_interval_rises(country):
    totals = make_totals(
        country.solution, country.regions, named_periods(country.prior.flux_time_bounds.values)
    )
    totals["posterior"] = -abs(totals["posterior"])
    said = sentences(totals, "Land")["en"]
    assert "a net uptake of" in said
    low, high = (float(v.replace("−", "-")) for v in said.split("between ")[1].split(". ")[0].split(" and "))
    assert low < high
