"""The table of totals as CSV."""

import csv
import io
import os
from pathlib import Path

import xarray as xr

from metroflux import schema
from products.show import defuse, emission_unit
from products.totals import COVERAGE, information, verdict

COLUMNS = (
    "region", "sector", "period", "prior", "prior_sd", "posterior", "posterior_sd", "unit",
    "low_95", "high_95", "change", "change_sd", "verdict", "information",
    "period_start", "period_end",
)  # fmt: skip


def write_csv(totals: xr.Dataset, path: Path) -> None:
    """Write the totals, one row per region, sector and period, in tonnes of the gas per day or year.

    `information` is the share of the prior variance that the data removed; `verdict` is explained in
    `products.totals.verdict`. The file appears whole or not at all.
    """
    schema.check(totals, "totals")
    write_whole(path, csv_text(totals))


def csv_text(totals: xr.Dataset) -> str:
    """Return the table as text, ready for a spreadsheet."""
    unit = emission_unit(totals)
    shown = {name: totals[name].values * unit.factor for name in
             ("prior", "prior_sd", "posterior", "posterior_sd", "change_sd")}  # fmt: skip
    said, share = verdict(totals).values, information(totals).values
    bounds = totals["period_bounds"].values.astype("datetime64[s]").astype(str)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for i, region in enumerate(totals["region"].values):
        for j, sector in enumerate(totals["sector"].values):
            for k, period in enumerate(totals["period"].values):
                at = (i, j, k)
                value = {name: float(values[at]) for name, values in shown.items()}
                half = COVERAGE * value["posterior_sd"]
                numbers = [value["posterior"] - half, value["posterior"] + half,
                           value["posterior"] - value["prior"], value["change_sd"]]  # fmt: skip
                head = [value[name] for name in COLUMNS[3:7]]
                writer.writerow([
                    defuse(str(region)), defuse(str(sector)), defuse(str(period)),
                    *map(_number, head), unit.plain, *map(_number, numbers),
                    str(said[at]), f"{share[at]:.3f}", bounds[k, 0] + "Z", bounds[k, 1] + "Z",
                ])  # fmt: skip
    return stream.getvalue()


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it: readers never see half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _number(value: float) -> str:
    return f"{value:.10g}"
