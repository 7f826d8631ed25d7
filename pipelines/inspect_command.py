"""`metroflux observations inspect`: what a file of observations holds, on one screen."""

import math
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from observations.contents import Contents, GasContents, look
from observations.flux_lidar.files import kind_of
from pipelines.inspect_lidar import inspect_lidar

_UNITS = {"co2": (1e6, "ppm"), "ch4": (1e9, "ppb"), "co": (1e9, "ppb"), "n2o": (1e9, "ppb")}


def inspect_file(path: Path, name: str, species: str | None, plot: bool, console: Console) -> None:
    """Print what a file holds, what would be used, dropped and why; draw it into the current folder."""
    if name == "auto" and (kind := kind_of(path)):
        inspect_lidar(path, kind, console)
        return
    contents = look(path, name, species)
    title = f"[bold]{escape(contents.format.about)}[/] ({contents.format.name})"
    console.print(Panel(title, title=escape(path.name), title_align="left", expand=False))
    console.print(_gases(contents))
    console.print(_sites(contents))
    for remark, gases in _remarks(contents).items():
        console.print(f"[yellow]{escape(', '.join(gases))}[/]: {escape(remark)}", highlight=False)
    for gas, reason in contents.refused.items():
        console.print(f"[red]{escape(gas)} cannot be read[/]: {escape(reason)}", highlight=False)
    if plot:
        for gas, found in contents.gases.items():
            console.print(str(_draw(path, gas, found)), markup=False, highlight=False, soft_wrap=True)


def _remarks(contents: Contents) -> dict[str, list[str]]:
    """Return each remark with the gases it is about."""
    about: dict[str, list[str]] = {}
    for gas, found in contents.gases.items():
        for remark in found.remarks:
            about.setdefault(remark, []).append(gas)
    return about


def unit_of(species: str) -> tuple[float, str]:
    """Return the factor from mol mol-1 and the unit in which people read a gas."""
    return _UNITS.get(species, (1e12, "ppt"))


def _draw(path: Path, gas: str, found: GasContents) -> Path:
    from products.observation_plot import draw_observations

    factor, unit = unit_of(gas)
    return draw_observations(found.observations, factor, unit, Path(f"{path.name}.{gas}.png"))


def _gases(contents: Contents) -> Table:
    table = Table("gas", "scale", "from", "to (UTC)", "interval", "rows", "used", "dropped, and why", "range")
    for gas, found in contents.gases.items():
        ds, used = found.observations, found.used
        why = ", ".join(
            f"{n} {r}" for r, n in zip(*(found.dropped[c] for c in ("reason", "count")), strict=True)
        )
        table.add_row(
            gas,
            escape(ds.attrs["scale"]),
            str(ds.time.values.min())[:16],
            str(ds.time_bounds.values.max())[:16],
            found.interval,
            str(ds.sizes["obs"]),
            str(used.sizes["obs"]),
            why or "none",
            _range(gas, found),
        )
    return table


def _range(gas: str, found: GasContents) -> str:
    values = found.used.mole_fraction.values
    if not values.size:
        return "-"
    factor, unit = unit_of(gas)
    return f"{values.min() * factor:.5g} to {values.max() * factor:.5g} {unit}"


def _sites(contents: Contents) -> Table:
    table = Table("site", "gas", "inlet, m", "latitude", "longitude", "rows", "used")
    for gas, found in contents.gases.items():
        shown = found.sites.head(12).to_dict("records")
        for row in shown:
            numbers = [_number(row[name]) for name in ("inlet", "latitude", "longitude")]
            table.add_row(escape(str(row["site"])), gas, *numbers, str(row["rows"]), str(row["used"]))
        if len(found.sites) > len(shown):
            table.add_row(f"and {len(found.sites) - len(shown)} more", gas, "", "", "", "", "")
    return table


def _number(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:.7g}"
