"""What the page carries: fields and totals as compact numbers, outlines in cells of the grid."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.grid import Grid
from metroflux.units import molar_mass
from products import colours
from products.places import Outline, Site, project
from products.show import Shown, flux_unit, symbol
from products.totals import verdict
from products.words import reading_unit

Floats = npt.NDArray[np.float64]

MOMENTS = ("prior", "prior_sd", "posterior", "posterior_sd")
_STEP_BYTES = 2_500_000  # before base64, which adds a third
_NICE = (1, 1.5, 2, 3, 5, 7, 10)


def pack(values: Floats) -> dict[str, Any]:
    """Return numbers as base64 of little-endian int16 q with value = q |q| scale.

    The step grows with the value: the error is under 1 part in 650 for a value of 1e-4 of the largest, and
    smaller above; the page rounds to two digits of the uncertainty.
    """
    largest = float(np.max(np.abs(values), initial=0.0))
    scale = largest / 32767.0**2 if largest > 0 else 1.0
    whole = np.rint(np.sign(values) * np.sqrt(np.abs(values) / scale)).astype("<i2")
    return {"scale": scale, "data": base64.b64encode(whole.tobytes()).decode("ascii")}


def unpack(packed: dict[str, Any]) -> Floats:
    """Return the numbers of `pack`, flat."""
    whole = np.frombuffer(base64.b64decode(packed["data"]), "<i2").astype(np.float64)
    return whole * np.abs(whole) * packed["scale"]


def cells(mean: xr.Dataset, steps: xr.Dataset) -> dict[str, Any]:
    """Return the fields: the mean of every sector, and per step every sector if small, else their sum."""
    held = slice(None) if len(MOMENTS) * steps["prior"].size * 2 <= _STEP_BYTES else slice(-1, None)
    sectors = list(map(str, mean["sector"].values))
    flat_mean = {m: mean[m].values.reshape(len(sectors), -1) for m in MOMENTS}
    found = {
        "count": flat_mean["prior"].shape[1],
        "step_sectors": list(range(len(sectors)))[held],
        "mean": {m: pack(v) for m, v in flat_mean.items()},
        "steps": {m: pack(steps[m].values[:, held]) for m in MOMENTS},
    }
    if "region" in mean.dims:
        return found | {"names": list(map(str, mean["region"].values)),
                        "area": [float(a) for a in mean["cell_area"].values]}  # fmt: skip
    return found | {"lon": _short(mean["lon"].values, 4), "lat": _short(mean["lat"].values, 4)}


def places(totals: xr.Dataset, series: xr.Dataset) -> dict[str, Any]:
    """Return the totals of the run in full, and their course packed; dims (step, sector, region)."""
    run = totals.sel(period="run")
    return {
        "names": list(map(str, totals["region"].values)),
        "area": [float(a) for a in totals["area"].values],
        "run": {m: [[float(f"{v:.7g}") for v in row] for row in run[m].values.T] for m in MOMENTS},
        "verdict": verdict(run).values.T.tolist(),
        "series": {m: pack(series[m].transpose("period", "sector", "region").values) for m in MOMENTS},
    }


def drawing(
    mean: xr.Dataset, names: Sequence[str], sites: Sequence[Site], outlines: Sequence[Outline]
) -> dict[str, Any]:
    """Return grid, shapes and sites, in cells from the south-west corner; nothing for region space."""
    if "region" in mean.dims:
        return {"space": "region", "grid": None, "shapes": [], "sites": []}
    grid = Grid.from_dataset(mean)
    shapes = [
        {
            "name": outline.name,
            "place": list(names).index(outline.name) if outline.name in names else -1,
            "rings": [
                _short(_in_cells(ring, grid), 3) for ring in project(outline.rings, grid, 0.01 * grid.dx)
            ],
        }
        for outline in outlines
    ]
    marks = []
    for site in sites:
        x, y = _in_cells(np.array([grid.to_xy(site.longitude, site.latitude)], dtype=np.float64), grid)[0]
        if 0 <= x <= grid.nx and 0 <= y <= grid.ny:
            marks.append({"name": site.name, "kind": site.kind, "withheld": site.withheld,
                          "x": round(float(x), 3), "y": round(float(y), 3)})  # fmt: skip
    shape = {"nx": grid.nx, "ny": grid.ny, "cell_km": round(grid.dx / 1e3, 3)}
    return {"space": "grid", "grid": shape, "shapes": shapes, "sites": marks}


def units(totals: xr.Dataset) -> dict[str, Any]:
    """Return the units of the page: fluxes for scientists and for everyone, and the rates of places."""
    species = str(totals.attrs["species"])
    return {
        "flux": _unit(flux_unit(species)),
        "plain": _unit(plain_unit(species)),
        "emission": _unit(reading_unit(totals)[0]),
    }


def plain_unit(species: str) -> Shown:
    """Return mass per square kilometre and day: tonnes of CO2, kilograms of CH4."""
    mass, per_mol = {"co2": ("t", 1e-3), "ch4": ("kg", 1.0)}[species.lower()]
    gas = symbol(species)
    return Shown(
        molar_mass(species) * per_mol * 1e6 * 86400,
        f"{mass} {species.upper()} km-2 d-1",
        f"{mass} {gas} km⁻² d⁻¹",
    )


def classes(values: Floats) -> dict[str, Any]:
    """Return the edges of the four classes of everyday values, round numbers.

    Where a real part is negative (uptake) the classes are strong and weak uptake, weak and strong emission.
    """
    found = np.abs(values[values != 0])
    if not found.size:
        return {"signed": False, "breaks": [1, 2, 3]}
    if np.mean(values < -0.02 * np.max(found)) > 0.02:
        return {"signed": True, "breaks": [nice(float(np.median(found)))]}
    breaks = [nice(float(q)) for q in np.quantile(np.maximum(values, 0), (0.5, 0.75, 0.93))]
    for i in (1, 2):
        while breaks[i] <= breaks[i - 1]:
            breaks[i] = nice(breaks[i] * 1.5) if breaks[i] else nice(float(np.max(found)) / 4)
    if breaks[0] <= 0:
        breaks[0] = nice(breaks[1] / 2)
    return {"signed": False, "breaks": breaks}


def nice(value: float) -> float:
    """Return a round number near a positive value.

    >>> nice(0.0234), nice(61.0), nice(1.2)
    (0.02, 70.0, 1.0)
    """
    if value <= 0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(value))
    best = min(_NICE, key=lambda step: abs(np.log(step * power / value)))
    return float(f"{best * power:.3g}")


def palettes() -> dict[str, Any]:
    """Return the colour tables of the page, the same as those of the printed maps."""
    warm, both = colours.sequential(), colours.diverging()
    return {
        "sequential": colours.hex_table(warm, 64),
        "diverging": colours.hex_table(both, 65),
        "information": colours.hex_table(colours.information(), 64),
        "doubt": colours.hex_table(colours.doubt(), 64),
        "classes": _suppressed([warm(x) for x in (0.10, 0.34, 0.60, 0.86)]),
        "signed_classes": _suppressed([both(x) for x in (0.08, 0.32, 0.68, 0.92)]),
    }


def _suppressed(four: Sequence[Any]) -> dict[str, Any]:
    """Return four colours, the two they merge into, nearer grey, and the one grey that is left."""
    rgb = np.array(four)[:, :3]
    grey = np.array([0.86, 0.87, 0.88])
    two = 0.62 * (rgb[0::2] + rgb[1::2]) / 2 + 0.38 * grey
    return {"four": _hex(rgb), "two": _hex(two), "one": _hex(grey[None])[0]}


def _hex(rgb: Floats) -> list[str]:
    return ["#" + "".join(f"{round(255 * float(c)):02x}" for c in row) for row in rgb]


def _unit(shown: Shown) -> dict[str, Any]:
    return {"factor": shown.factor, "typeset": shown.typeset}


def _in_cells(points: Floats, grid: Grid) -> Floats:
    return (points - [grid.west, grid.south]) / [grid.dx, grid.dy]


def _short(values: Floats, digits: int) -> list[float]:
    return [round(float(v), digits) for v in np.ravel(values)]
