"""A file of observations: gases, scales, period, what would be used, dropped and why, what must be given."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from metroflux.uncertainty import components
from observations.contents import Contents, GasContents, gas_contents, is_column, look
from observations.dataset import GOOD
from observations.kinds import Kind
from observations.metrology.files import read_observations
from pipelines.inspection.sheet import Row, period, place, show, span

_UNITS = {"co2": (1e6, "ppm"), "ch4": (1e9, "ppb"), "co": (1e9, "ppb"), "n2o": (1e9, "ppb")}
_MOST_PLACES = 6
"""Lines of places that a screen bears."""
_MOST_NAMES = 8
"""Names of gases that a screen bears beside the lines of each."""


def show_gases(path: Path, name: str, species: str | None, console: Console) -> Contents:
    """Print what a file of observations holds, and return it."""
    contents = look(path, name, species)
    show(console, path, f"{contents.format.about} (reader {contents.format.name})", _rows(contents))
    return contents


def show_calibrated(path: Path, kind: Kind, console: Console) -> None:
    """Print what a file of observations that metroflux wrote holds, their shared errors included."""
    ds = read_observations(path)
    found, gas = gas_contents(ds), str(ds.species.values[0])
    facts = {"gas": gas, **_facts(gas, found)}
    notes = [Row("note", remark, "note") for remark in found.remarks]
    rows = [*(Row(name, text) for name, text in facts.items()), *notes, Row("taken by", kind.taken_by)]
    show(console, path, kind.about, rows)


def unit_of(species: str) -> tuple[float, str]:
    """Return the factor from mol mol-1 and the unit in which people read a gas."""
    return _UNITS.get(species, (1e12, "ppt"))


def _rows(contents: Contents) -> Iterator[Row]:
    facts = {gas: _facts(gas, found) for gas, found in contents.gases.items()}
    first, *others = facts.values()
    common = {name: text for name, text in first.items() if all(f[name] == text for f in others)}
    yield Row(
        "gases" if others else "gas", ", ".join(facts) if len(facts) <= _MOST_NAMES else str(len(facts))
    )
    yield from (Row(name, text) for name, text in common.items())
    for gas, own in facts.items():
        said = [f"{name} {text.replace(chr(10), ', ')}" for name, text in own.items() if name not in common]
        if said:
            yield Row(gas, "; ".join(said))
    notes = ((gas, remark) for gas, found in contents.gases.items() for remark in found.remarks)
    for remark, gases in _together(notes).items():
        about = "" if len(gases) == len(facts) else f"{', '.join(gases)}: "
        yield Row("note", f"{about}{remark}", "note")
    for reason, gases in _together(contents.refused.items()).items():
        yield Row("refused", f"{', '.join(gases)}: {reason}", "fault")


def _facts(gas: str, found: GasContents) -> dict[str, str]:
    """Return what is said of a gas, by the name of the fact."""
    ds = found.observations
    dropped = [f"{n} {reason}" for reason, n in found.dropped.itertuples(index=False)]
    return {
        "scale": str(ds.attrs["scale"]),
        "period": f"{period(ds.time.values.min(), ds.time_bounds.values.max())} UTC",
        "interval": found.interval,
        "used": f"{found.used.sizes['obs']} of {ds.sizes['obs']} rows",
        "dropped": ", ".join(dropped) or "none",
        "range": _range(gas, found),
        "uncertainty": _uncertainty(gas, found),
        "place": "\n".join(_places(found.sites, is_column(ds))),
    }


def _range(gas: str, found: GasContents) -> str:
    values = found.used.mole_fraction.values
    factor, unit = unit_of(gas)
    return span(values.min() * factor, values.max() * factor, unit) if values.size else "none"


def _uncertainty(gas: str, found: GasContents) -> str:
    factor, unit = unit_of(gas)
    good = found.observations.flag.values == GOOD
    parts, shared = components(found.observations)
    sd = {part.name: np.median(part.sd[good]) * factor for part in parts} if good.any() else {}
    said = [f"{p.name}, median sd {sd[p.name]:.3g} {unit}" if sd else p.name for p in parts]
    said += [f"shared: {', '.join(part.name for part in shared)}"] if shared else []
    return "; ".join(said) or "not stated"


def _places(sites: pd.DataFrame, column: bool) -> Iterator[str]:
    """Yield a line for each inlet or, where they are many, for each site."""
    by = ["site", "inlet"] if len(sites) <= _MOST_PLACES else ["site"]
    groups = list(sites.groupby(by, dropna=False, sort=False))
    for _, rows in groups[:_MOST_PLACES]:
        inlet = "column" if column else _inlet(rows["inlet"])
        where = place(rows["south"].min(), rows["north"].max(), rows["west"].min(), rows["east"].max())
        where = where.replace("not known", "place not known")
        counts = f"; {rows['used'].sum()} of {rows['rows'].sum()} rows used" if len(groups) > 1 else ""
        yield f"{rows['site'].iloc[0]}, {inlet}, {where}{counts}"
    if len(groups) > _MOST_PLACES:
        yield f"and {len(groups) - _MOST_PLACES} more sites"


def _inlet(heights: pd.Series) -> str:
    if heights.isna().any():
        return "inlet not known"
    many = f"{len(heights)} inlets of " if len(heights) > 1 else "inlet "
    return many + span(heights.min(), heights.max(), "m")


def _together(said: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return each text with the gases that it is said of."""
    about: dict[str, list[str]] = {}
    for gas, text in said:
        about.setdefault(text, []).append(gas)
    return about
