"""The first sentences of the page, in English and Chinese."""

from math import floor, log10

import pandas as pd
import xarray as xr

from products.show import Shown, emission_unit, symbol
from products.totals import COVERAGE, VERDICTS, information, verdict

_ENGLISH = {
    "higher": "This is {c} % above the inventory, more than its uncertainty explains.",
    "lower": "This is {c} % below the inventory, more than its uncertainty explains.",
    "no difference found": "A difference from the inventory cannot be shown yet.",
    "no information": "The observations say nothing new about this total.",
}
_CHINESE = {
    "higher": "比清单高 {c} %,超出其不确定度所能解释的范围。",
    "lower": "比清单低 {c} %,超出其不确定度所能解释的范围。",
    "no difference found": "与清单相比,尚不能看出差异。",
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
    """Return the result of the period "run" in one or two sentences, as {"en": ..., "zh": ...}."""
    run = totals.sel(sector="total", period="run").isel(region=0)
    unit, per_en, per_zh = reading_unit(totals)
    mean, sd = float(run["posterior"]) * unit.factor, float(run["posterior_sd"]) * unit.factor
    numbers = {"x": rounded(abs(mean), sd)}
    ends = [mean - COVERAGE * sd, mean + COVERAGE * sd]
    low, high = sorted(ends if mean >= 0 else [-e for e in ends])
    numbers |= {"lo": rounded(low, sd), "hi": rounded(high, sd), "c": _percent(run)}
    start, end = (pd.Timestamp(v) for v in run["period_bounds"].values)
    gas, said = symbol(str(totals.attrs["species"])), str(verdict(run).values)
    letter = unit.plain.split()[0]
    unit_zh = next(zh for _, p, zh in _PREFIX if p + "t" == letter)
    said = said if said != "higher" and said != "lower" or numbers["c"] != "" else VERDICTS[2]
    english = (
        f"{place}, {_dates(start, end)}: {'emissions' if mean >= 0 else 'a net uptake'} of {numbers['x']} {letter} {gas} "
        f"{per_en}, with 95 % probability between {numbers['lo']} and {numbers['hi']}. " + _ENGLISH[said]
    )
    chinese = (
        f"{place},{_dates(start, end)}:{'排放' if mean >= 0 else '净吸收'}{per_zh} {numbers['x']} {unit_zh} {gas},"
        f"95 % 包含区间 {numbers['lo']} 至 {numbers['hi']}。" + _CHINESE[said]
    )
    return {"en": english.format(**numbers), "zh": chinese.format(**numbers)}


def readiness(totals: xr.Dataset) -> dict[str, str]:
    """Return how far the result carries: what the data told, and how many places differ from the inventory."""
    run = totals.sel(sector="total", period="run")
    share = round(100 * float(information(run)[0]))
    said = verdict(run).values[1:]
    clear = int(sum(v in VERDICTS[:2] for v in said))
    blind = int(sum(v == VERDICTS[3] for v in said))
    english = f"The observations removed {share} % of the inventory's variance of this total."
    chinese = f"观测消除了该总量先验方差的 {share} %。"
    if said.size:
        english += (
            f" Of {said.size} places, {clear} differ clearly from the inventory; on {blind} the observations say nothing."
        )
        chinese += f"{said.size} 处中,{clear} 处与清单明显不同,{blind} 处观测没有提供信息。"
    return {"en": english, "zh": chinese}


def rounded(value: float, sd: float) -> str:
    """Return a value whose last digit is the second of its standard uncertainty (JCGM 100, 7.2.6).

    >>> rounded(43.5678, 1.23), rounded(1234.0, 56.0), rounded(123456.0, 5678.0)
    ('43.6', '1,234', '123,500')
    """
    digits = 1 - floor(log10(sd)) if sd > 0 else 3
    text = f"{round(value, digits):,.{max(digits, 0)}f}"
    return text.replace("-", "−")


def _percent(run: xr.Dataset) -> str:
    prior = float(run["prior"])
    return f"{abs(100 * (float(run['posterior']) - prior) / prior):.0f}" if prior else ""


def _dates(start: pd.Timestamp, end: pd.Timestamp) -> str:
    if end - start <= pd.Timedelta(days=1):
        return f"{start:%Y-%m-%d %H:%M} – {end:%H:%M} UTC"
    return f"{start:%Y-%m-%d} – {end - pd.Timedelta(seconds=1):%Y-%m-%d}"
