"""The first sentences of the page, in English and Chinese."""

from math import floor, log10

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from products.show import Shown, emission_unit, symbol
from products.totals import COVERAGE, VERDICTS, information, verdict

_ENGLISH = {
    "higher": "This is {c} above the inventory, more than its uncertainty explains.",
    "lower": "This is {c} below the inventory, more than its uncertainty explains.",
    "no difference found": "A difference from the inventory cannot be shown yet.",
    "no information": "The observations say nothing new about this total.",
}
_CHINESE = {
    "higher": "比清单高 {c}，超出清单不确定度所能解释的范围。",
    "lower": "比清单低 {c}，超出清单不确定度所能解释的范围。",
    "no difference found": "与清单相比，尚不能看出差异。",
    "no information": "观测没有为这一总量提供新的信息。",
}
_PREFIX = ((1e6, "M", "百万吨"), (1e3, "k", "千吨"), (1.0, "", "吨"))
_PER = {"d-1": ("per day", "每天"), "yr-1": ("per year", "每年")}


def reading_unit(totals: xr.Dataset) -> tuple[Shown, str, str]:
    """Return the unit in which the first region's total has 1 to 4 digits, and its time in words (en, zh)."""
    unit = emission_unit(totals)
    size = float(abs(totals["posterior"].values[0, -1]).max()) * unit.factor
    factor, letter, _ = next((p for p in _PREFIX if size >= p[0]), _PREFIX[-1])
    shown = Shown(unit.factor / factor, letter + unit.plain, letter + unit.typeset)
    return shown, *_PER[unit.plain.split()[-1]]


def sentences(totals: xr.Dataset, place: str) -> dict[str, str]:
    """Return the result of the period "run" in two sentences, as {"en": ..., "zh": ...}."""
    run = totals.sel(sector="total", period="run").isel(region=0)
    unit, per_en, per_zh = reading_unit(totals)
    mean, sd, prior = (float(run[name]) * unit.factor for name in ("posterior", "posterior_sd", "prior"))
    uptake = mean < 0
    low, high = sorted((1 if not uptake else -1) * (mean + sign * COVERAGE * sd) for sign in (-1, 1))
    x, lo, hi = rounded(abs(mean), sd), rounded(low, sd), rounded(high, sd)
    said, gas = str(verdict(run).values), symbol(str(totals.attrs["species"]))
    letter = unit.plain.split()[0]
    words = next(zh for _, p, zh in _PREFIX if p + "t" == letter)
    apart = abs(mean - prior)
    percent = f"{100 * apart / prior:.0f} %" if prior > 0 else ""
    days = dates(run["period_bounds"].values)
    english = (
        f"{place}, {days['en']}: {'a net uptake of ' if uptake else ''}{x} {letter} {gas} {per_en}, "
        f"with 95 % probability between {lo} and {hi}. "
        + _ENGLISH[said].replace("{c}", percent or f"{rounded(apart, sd)} {letter}")
    )
    chinese = (
        f"{place}，{days['zh']}：{per_zh}{'净吸收' if uptake else '排放'} {x} {words} {gas}，"
        f"95 % 包含区间为 {lo} 至 {hi}。"
        + _CHINESE[said].replace("{c}", percent or f"{rounded(apart, sd)} {words}")
    )
    return {"en": english, "zh": chinese}


def readiness(totals: xr.Dataset) -> dict[str, str]:
    """Return how far the result carries: what the data told, how many places differ from the inventory."""
    run = totals.sel(sector="total", period="run")
    share = round(100 * float(information(run)[0]))
    said = verdict(run).values[1:]
    clear = int(np.isin(said, VERDICTS[:2]).sum())
    blind = int(np.sum(said == VERDICTS[3]))
    english = f"The observations removed {share} % of the inventory's variance of this total."
    chinese = f"观测消除了该总量先验方差的 {share} %。"
    if said.size:
        verb = "differs" if clear == 1 else "differ"
        english += f" Of {said.size} places, {clear or 'none'} {verb} clearly from the inventory"
        english += f"; on {blind} of them the observations tell nothing new." if blind else "."
        chinese += f"{said.size} 处中，{clear} 处与清单明显不同，"
        chinese += f"{blind} 处观测没有提供信息。"
    return {"en": english, "zh": chinese}


def rounded(value: float, sd: float) -> str:
    """Return a value whose last digit is the second of its standard uncertainty (JCGM 100, 7.2.6).

    >>> rounded(43.5678, 1.23), rounded(1234.0, 56.0), rounded(123456.0, 5678.0)
    ('43.6', '1,234', '123,500')
    """
    digits = 1 - floor(log10(sd)) if sd > 0 else 3
    text = f"{round(value, digits):,.{max(digits, 0)}f}"
    return text.replace("-", "−")


def dates(bounds: npt.NDArray[np.datetime64]) -> dict[str, str]:
    """Return a span of time (UTC, end excluded) as a reader says it.

    >>> dates(np.array(["2024-01-10", "2024-01-15"], dtype="datetime64[ns]"))["en"]
    '10–14 January 2024'
    """
    start, end = (pd.Timestamp(v) for v in bounds)
    last = end - pd.Timedelta(seconds=1)
    months = start == start.normalize().replace(day=1) and end == end.normalize().replace(day=1)
    zh = [f"{t.year}年{t.month}月" + ("" if months else f"{t.day}日") for t in (start, last)]
    english = _span(start, last, months)
    chinese = zh[0] if zh[0] == zh[1] else "至".join(zh)
    if end - start < pd.Timedelta(days=1) and start.date() == last.date():
        clock = f"{start:%H:%M}–{end:%H:%M}"
        return {"en": f"{english}, {clock} UTC", "zh": f"{chinese} {clock} UTC"}
    return {"en": english, "zh": chinese}


def _span(start: pd.Timestamp, last: pd.Timestamp, months: bool) -> str:
    year = "" if start.year == last.year else f" {start.year}"
    end = f"{last:%B %Y}" if months else f"{last.day} {last:%B %Y}"
    if (start.year, start.month) == (last.year, last.month):
        return end if months or start.day == last.day else f"{start.day}–{end}"
    return f"{start:%B}{year} – {end}" if months else f"{start.day} {start:%B}{year} – {end}"
