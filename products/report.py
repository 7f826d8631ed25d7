"""The scientists' report of a run: one HTML file with all tables and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from metroflux import schema
from metroflux.errors import DataError
from products import attribution, figures
from products.fit_tables import hyperparameters, influential, signed, sites
from products.planes import planes
from products.show import symbol
from products.table import write_whole
from products.totals import COVERAGE, INFORMATION_THRESHOLD, information, verdict
from products.words import dates, reading_unit, rounded, sentences

_MOLE = {"co2": (1e6, "µmol/mol"), "ch4": (1e9, "nmol/mol")}
_CHI2_LIMITS = (0.5, 2.0)


@dataclass(frozen=True)
class Context:
    """What a report says of the run beyond its datasets.

    held : reasons why the quality gate held the run; empty if it passed
    dropped : columns site, reason, count
    lidar : columns site, count, bias_m, sd_m, lidar_sd_m: mixing height of the weather less the lidar's
    traceability : cause of uncertainty -> ids of reference materials, certificates or models it rests on
    inputs : name -> sha256; seeds : name -> number; timings : stage -> seconds
    limits : what the reader must know before using the numbers
    """

    title: str
    place: str
    run_id: str
    code_version: str
    config_sha256: str
    status: Literal["provisional", "reviewed", "final"] = "provisional"
    held: Sequence[str] = ()
    dropped: pd.DataFrame | None = None
    lidar: pd.DataFrame | None = None
    traceability: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    limits: Sequence[str] = ()


def write_report(
    diagnostics: xr.Dataset, posterior: xr.Dataset, totals: xr.Dataset, context: Context, path: Path
) -> None:
    """Write the report; it appears whole or not at all, and needs no other file and no network.

    Raises
    ------
    SchemaError, DataError
        If a dataset does not keep its schema or the totals have no period "run".
    """
    schema.check(diagnostics, "diagnostics", "report")
    schema.check(posterior, "posterior", "report")
    schema.check(totals, "totals", "report")
    if "run" not in totals["period"].values:
        raise DataError(
            f"report: totals have periods {', '.join(totals['period'].values)}; expected 'run' among them"
        )
    write_whole(path, render(diagnostics, posterior, totals, context))


def render(diagnostics: xr.Dataset, posterior: xr.Dataset, totals: xr.Dataset, context: Context) -> str:
    """Return the report as HTML text; every name in it is escaped."""
    species = str(totals.attrs["species"])
    factor, unit = _MOLE[species.lower()]
    run = totals.sel(period="run")
    budget = _budget(run, context.traceability)
    shares = np.array([line["share"] for line in budget])
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    home = files("products") / "report_assets"
    return environment.from_string((home / "report.html").read_text("utf-8")).render(
        style=Markup((home / "report.css").read_text("utf-8")),  # noqa: S704 - our own asset
        c=context,
        gas=symbol(species),
        unit=unit,
        emission=reading_unit(totals)[0].typeset,
        sentence=sentences(totals, context.place)["en"],
        days=dates(run["period_bounds"].values)["en"],
        made=str(totals.attrs.get("history", "")).split(" ")[0],
        dropped=_dropped(context.dropped),
        lidar=[] if context.lidar is None else context.lidar.dropna().to_dict("records"),
        used=int(diagnostics.sizes["obs"]),
        sites=sites(diagnostics, factor),
        planes=planes(diagnostics, species.lower()),
        fit=_fit(diagnostics, posterior),
        rows=_rows(run, totals),
        budget=budget,
        materials=attribution.materials(run),
        confused=attribution.confused(run),
        threshold=round(100 * INFORMATION_THRESHOLD),
        chosen=hyperparameters(diagnostics),
        influential=influential(diagnostics, factor),
        series=figures.site_series(diagnostics, factor, unit),
        histogram=figures.innovation_histogram(diagnostics),
        bars=figures.budget_bars([line["cause"] for line in budget], shares),
    )


def _dropped(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    if table is None:
        return []
    absent = {"site", "reason", "count"} - set(table.columns)
    if absent:
        raise DataError(f"report: the table of dropped data lacks {', '.join(sorted(absent))}")
    columns = zip(table["site"], table["reason"], table["count"], strict=True)
    return [{"site": str(s), "reason": str(r), "count": int(n)} for s, r, n in columns]


def _fit(diagnostics: xr.Dataset, posterior: xr.Dataset) -> dict[str, Any]:
    chi2 = float(diagnostics["chi2_per_observation"])
    n = diagnostics.sizes["obs"]
    low, high = _CHI2_LIMITS
    if chi2 > high:
        words = (
            "the stated errors are too small for these data, or the model is wrong: intervals are too narrow"
        )
    elif chi2 < low:
        words = "the stated errors are larger than these data need: intervals are too wide"
    else:
        words = "the stated errors and the data agree"
    scaled = diagnostics["innovation"].values / diagnostics["innovation_sd"].values
    return {
        "chi2": f"{chi2:.2f}",
        "words": words,
        "n": n,
        "state": int(posterior["flux"].size),
        "dofs": f"{float(diagnostics['dofs']):.1f}",
        "share": f"{100 * float(diagnostics['dofs']) / n:.0f}",
        "evidence": f"{float(diagnostics['log_evidence']):.1f}",
        "condition": f"{float(diagnostics['condition_number']):.1e}",
        "mean": signed(float(scaled.mean())),
        "outside": f"{100 * float(np.mean(np.abs(scaled) > COVERAGE)):.1f}",
        "parameters": [
            _parameter(p) for p in (posterior.isel(parameter=i) for i in range(posterior.sizes["parameter"]))
        ],
    }


def _parameter(one: xr.Dataset) -> dict[str, str]:
    """Return a solved parameter as shown: offsets in µmol/mol, scales in percent."""
    factor, unit = (1e6, "µmol/mol") if str(one.parameter_unit.values) == "mol mol-1" else (1e2, "%")
    return {
        "name": str(one.parameter.values),
        "unit": unit,
        "mean": f"{factor * float(one.parameter_mean):+.3f}",
        "prior": f"{factor * float(one.prior_parameter_sd):.3f}",
        "sd": f"{factor * float(one.parameter_sd):.3f}",
    }


def _rows(run: xr.Dataset, totals: xr.Dataset) -> list[dict[str, Any]]:
    """Return the sectors of the first region, then the total of every region."""
    unit = reading_unit(totals)[0]
    said, share = verdict(run).values, information(run).values
    last = run.sizes["sector"] - 1
    wanted = [(0, j) for j in (last, *range(last))] + [(i, last) for i in range(1, run.sizes["region"])]
    lines = []
    for i, j in wanted:
        v = {
            n: float(run[n].values[i, j]) * unit.factor
            for n in ("prior", "prior_sd", "posterior", "posterior_sd", "change_sd")
        }
        half = COVERAGE * v["posterior_sd"]
        change = v["posterior"] - v["prior"]
        lines.append(
            {
                "region": str(run["region"].values[i]),
                "sector": str(run["sector"].values[j]),
                "prior": rounded(v["prior"], v["prior_sd"]),
                "prior_sd": rounded(v["prior_sd"], v["prior_sd"]),
                "posterior": rounded(v["posterior"], v["posterior_sd"]),
                "posterior_sd": rounded(v["posterior_sd"], v["posterior_sd"]),
                "low": rounded(v["posterior"] - half, v["posterior_sd"]),
                "high": rounded(v["posterior"] + half, v["posterior_sd"]),
                "change": ("+" if change > 0 else "") + rounded(change, v["change_sd"]),
                "change_sd": rounded(v["change_sd"], v["change_sd"]),
                "verdict": str(said[i, j]),
                "information": f"{100 * float(share[i, j]):.0f}",
                "first": (i, j) == (0, last),
            }
        )
    return lines


def _budget(run: xr.Dataset, traceability: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the lines of the budget of the first region's total, the largest first."""
    unit = reading_unit(run.expand_dims("period"))[0]
    parts = run["budget"].values[0, -1]
    order = np.argsort(-parts)
    return [
        {
            "cause": str(run["cause"].values[i]),
            "share": float(parts[i] / parts.sum()),
            "percent": f"{100 * float(parts[i] / parts.sum()):.1f}",
            "u": f"{float(np.sqrt(max(parts[i], 0.0))) * unit.factor:.3g}",
            "ids": ", ".join(traceability.get(str(run["cause"].values[i]), ())) or "not stated",
        }
        for i in order
    ]
