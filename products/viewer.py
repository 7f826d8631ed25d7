"""The page for planners: one HTML file, opened from disk, that asks the network for nothing."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from metroflux import schema
from metroflux.errors import DataError
from metroflux.units import molar_mass
from products import viewer_data as data
from products.places import Outline, Site
from products.table import csv_text, write_whole
from products.totals import INFORMATION_THRESHOLD
from products.words import readiness, sentences

LARGEST = 6_000_000
"""The page is refused above this many bytes: give it fewer steps."""

_SCRIPTS = ("core.js", "colour.js", "map.js", "bars.js", "series.js", "table.js", "main.js")


@dataclass(frozen=True)
class About:
    """What the page says of its own making.

    title : shown at the top; place : starts the first sentence
    notes : further lines under "how to read it", for example the limits of this run
    map_approval : approval number of the boundaries, where the law asks for one
    """

    title: str
    place: str
    run_id: str
    code_version: str = "not stated"
    config_sha256: str = "not stated"
    made: str = "not stated"
    status: Literal["provisional", "reviewed", "final", "held"] = "provisional"
    language: Literal["en", "zh"] = "en"
    map_approval: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """Everything on the page.

    mean : fields of the period "run", every sector and "total"
    steps : the same of every step of the slider; if they are too large, the page keeps only "total" of them
    totals, series : totals of the run and of every step, regions as in the table, the whole area first
    """

    mean: xr.Dataset
    steps: xr.Dataset
    totals: xr.Dataset
    series: xr.Dataset
    about: About
    sites: Sequence[Site] = ()
    outlines: Sequence[Outline] = ()


def write_viewer(page: Page, path: Path) -> None:
    """Write the page; it appears whole or not at all.

    Raises
    ------
    DataError
        If the parts do not belong together, or the page would exceed `LARGEST` bytes.
    """
    _check(page)
    text = _render(page)
    size = len(text.encode())
    if size > LARGEST:
        raise DataError(
            f"{path}: the page has {size / 1e6:.1f} MB, expected at most {LARGEST / 1e6:.0f}; "
            f"give fewer steps than {page.steps.sizes['period']}"
        )
    write_whole(path, text)


def payload(page: Page) -> dict[str, Any]:
    """Return what the page's script reads: plain lists, numbers and text."""
    names = list(map(str, page.totals["region"].values))
    bounds = page.steps["period_bounds"].values
    about = page.about
    return data.drawing(page.mean, names, page.sites, page.outlines) | {
        "title": about.title,
        "language": about.language,
        "status": about.status,
        "map_approval": about.map_approval,
        "notes": list(about.notes),
        "origin": {
            "run": about.run_id,
            "code": about.code_version,
            "config": about.config_sha256[:12],
            "made": about.made,
        },
        "sentence": sentences(page.totals, about.place),
        "ready": readiness(page.totals),
        "text": json.loads(_asset("text.json")),
        "sectors": list(map(str, page.mean["sector"].values)),
        "molar_mass": molar_mass(str(page.totals.attrs["species"])),
        "span": _iso(page.mean["period_bounds"].values[0]),
        "steps": [_iso(pair) for pair in bounds],
        "step_hours": float((bounds[0, 1] - bounds[0, 0]) / np.timedelta64(1, "h")),
        "cells": data.cells(page.mean, page.steps),
        "places": data.places(page.totals, page.series),
        "units": data.units(page.totals),
        "classes": _classes(page),
        "palettes": data.palettes(),
        "threshold": INFORMATION_THRESHOLD,
        "csv": csv_text(page.totals),
    }


def safe_json(value: Any) -> Markup:
    """Return JSON that no HTML parser can mistake for markup, whatever text it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - every character that ends a script element is escaped above


def _render(page: Page) -> str:
    style = _asset("page.css")
    script = "(() => {\n'use strict';\n" + "\n".join(_asset(name) for name in _SCRIPTS) + "\n})();"
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    content = payload(page)
    return environment.from_string(_asset("page.html")).render(
        title=page.about.title,
        language=page.about.language,
        sentence=content["sentence"][page.about.language],
        style=Markup(style),  # noqa: S704 - our own asset
        script=Markup(script),  # noqa: S704 - our own asset
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=safe_json(content),
    )


def _classes(page: Page) -> dict[str, Any]:
    factor = data.plain_unit(str(page.totals.attrs["species"])).factor
    cell = page.mean["posterior"].sel(sector="total").values * factor
    rate = page.totals["posterior"].sel(sector="total", period="run").values
    density = rate / page.totals["area"].values / molar_mass(str(page.totals.attrs["species"])) * factor
    return {"cell": data.classes(cell), "district": data.classes(density)}


def _check(page: Page) -> None:
    schema.check(page.totals, "totals", "page: totals")
    schema.check(page.series, "totals", "page: series")
    faults = []
    if "run" not in page.totals["period"].values:
        faults.append("totals have no period 'run'")
    for name, found in (
        ("mean", page.mean),
        ("steps", page.steps),
        ("totals", page.totals),
        ("series", page.series),
    ):
        if str(found["sector"].values[-1]) != "total":
            faults.append(f"the last sector of {name} is '{found['sector'].values[-1]}', expected 'total'")
    if not np.array_equal(page.series["period_bounds"].values, page.steps["period_bounds"].values):
        faults.append("series and steps have different periods, expected the same")
    for name, found in (("mean", page.mean), ("steps", page.steps), ("series", page.series)):
        if list(found["sector"].values) != list(page.totals["sector"].values):
            faults.append(f"{name} and totals have different sectors, expected the same")
    if faults:
        raise DataError("page: " + "; ".join(faults))


def _iso(pair: Any) -> list[str]:
    return [str(v) + "Z" for v in np.asarray(pair).astype("datetime64[s]")]


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _asset(name: str) -> str:
    return (files("products") / "viewer_assets" / name).read_text("utf-8")
