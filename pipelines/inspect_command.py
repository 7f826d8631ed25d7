"""`metroflux observations inspect`: what a file of the observations room holds, on one screen."""

from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from observations import raw
from observations.contents import GasContents
from observations.head import read_head
from observations.kinds import Kind, kind_of
from pipelines.inspection import beside, dial, doppler, picarro, stacks, standards
from pipelines.inspection.gases import show_calibrated, show_gases, unit_of

SHOW: Mapping[str, Callable[[Path, Kind, Console], None]] = {
    "picarro-log": picarro.show_log,
    "tanks": standards.show_tanks,
    "certificate": standards.show_certificate,
    "stacks": stacks.show_stacks,
    "calibrated": show_calibrated,
    "precisions": beside.show_precisions,
    "edits": beside.show_edits,
    "halo": doppler.show_rays,
    "halo-background": doppler.show_background,
    "arm": doppler.show_rays,
    "windcube": doppler.show_rays,
    "dial": dial.show_dial,
}
"""What prints each kind of file that is no observations as it is."""


def inspect_file(path: Path, name: str, species: str | None, plot: bool, console: Console) -> None:
    """Print what a file holds, what would be used, dropped and why; draw it into the current folder."""
    kind = kind_of(read_head(path)) if name == "auto" else None
    if kind is not None:
        with raw.truncations() as cut:
            SHOW[kind.name](path, kind, console)
        for text in cut:
            console.print(Text(text.removeprefix(f"{path}: "), style="yellow"))
        return
    contents = show_gases(path, name, species, console)
    if plot:
        for gas, found in contents.gases.items():
            console.print(str(_draw(path, gas, found)), markup=False, highlight=False, soft_wrap=True)


def _draw(path: Path, gas: str, found: GasContents) -> Path:
    from products.observation_plot import draw_observations

    factor, unit = unit_of(gas)
    return draw_observations(found.observations, factor, unit, Path(f"{path.name}.{gas}.png"))
