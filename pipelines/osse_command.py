"""`metroflux osse`: what networks could say of the fluxes of a configuration, before a tower stands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from rich.console import Console
from rich.table import Table

from inversion.osse import Scores, binomial_bounds, networks_of, score, variance_without
from inversion.solver import solve
from metroflux.errors import ConfigError, DataError
from metroflux.provenance import sha256_json
from metroflux.units import molar_mass
from pipelines import stages
from pipelines.config import Config, read_config
from pipelines.dask_mapper import open_mapper
from pipelines.engine import Job, Stage
from pipelines.inputs import Outputs
from pipelines.problem_command import Posed, pose
from products.periods import time_weights

Row = dict[str, Any]


@dataclass(frozen=True)
class Tower:
    """A tower that does not stand yet; degrees, height in m above ground."""

    name: str
    latitude: float
    longitude: float
    height: float

    @classmethod
    def parse(cls, text: str) -> "Tower":
        """Return the tower that NAME,LAT,LON,HEIGHT says.

        Raises
        ------
        ConfigError
            If it does not.

        >>> Tower.parse("NORTH,48.3,16.4,50")
        Tower(name='NORTH', latitude=48.3, longitude=16.4, height=50.0)
        """
        parts = [part.strip() for part in text.split(",")]
        try:
            name, (latitude, longitude, height) = parts[0], map(float, parts[1:])
        except ValueError:
            raise ConfigError(
                f"--add {text}: expected NAME,LAT,LON,HEIGHT, such as NORTH,48.3,16.4,50"
            ) from None
        if not name.isalnum() or not (
            -90 <= latitude <= 90 and -180 <= longitude <= 360 and 0 < height < 1e4
        ):
            raise ConfigError(
                f"--add {text}: expected a name of letters and digits, degrees, and a height above 0 m"
            )
        return cls(name, latitude, longitude, height)


@dataclass(frozen=True)
class Experiment:
    """What the options of the command ask for.

    without : sites left out, one network each
    """

    draws: int
    seed: int
    without: tuple[tuple[str, ...], ...]
    added: tuple[Tower, ...]


def osse_command(
    config: Path, wanted: Experiment, output: Path, run: Path | None, workers: int, console: Console
) -> None:
    """Print and write how each network does, and what each tower brings to the first total.

    Raises
    ------
    ConfigError
        If a tower is to be added to a configuration without footprints of its own.
    """
    read = read_config(config)
    with open_mapper(workers, None) as mapper:
        posed = pose(read, run, mapper, console, plan_with(read.config, wanted.added))
    rows = removals(posed)
    show_removals(rows, {t.name for t in wanted.added}, console)
    if wanted.draws:
        found = networks(posed, wanted)
        show_networks(found, posed, console)
        rows = [*score_rows(found, posed), *rows]
    if output.suffix == ".json":
        output.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    else:
        pd.DataFrame(rows).convert_dtypes().to_csv(output, index=False)
    console.print(f"{output}", markup=False, highlight=False)


def plan_with(config: Config, added: Sequence[Tower]) -> tuple[Stage, ...]:
    """Return the stages of a configuration, with towers added to what it selects."""
    plan = stages.plan(config)
    if not added:
        return plan
    if config.origin == "responses":
        raise ConfigError("--add: the responses are those of another model, expected transport: particles")
    # a name of its own: a stage's results are found by it
    name = f"selection with {', '.join(t.name for t in added)} {sha256_json([repr(t) for t in added])[:8]}"
    return tuple(
        replace(s, name=name, function=partial(_choose_with, tuple(added), s)) if s.name == "selection" else s
        for s in plan
    )


def _choose_with(added: tuple[Tower, ...], stage: Stage, job: Job) -> Outputs:
    found = dict(stage.function(job))
    selected = found["selected"]
    assert isinstance(selected, xr.Dataset)  # noqa: S101 - the stage list pairs names and types
    found["selected"] = with_towers(selected, added)
    return found


def with_towers(selected: xr.Dataset, added: Sequence[Tower]) -> xr.Dataset:
    """Return the data with those of new towers: hours, values and errors of the tower nearest in height.

    The shared errors are that tower's, too: the new one is taken to hang on the same standards.

    Raises
    ------
    DataError
        If a tower has the name of another site.
    """
    sites = selected.site.values.astype(str)
    names = [t.name for t in added]
    twice = sorted({n for n in names if n in set(sites) or names.count(n) > 1})
    if twice:
        raise DataError(f"--add: site {', '.join(twice)} exists already, expected a new name")
    parts = [selected]
    for tower in added:
        apart = np.abs(selected.inlet.values - tower.height)
        part = selected.isel(obs=np.flatnonzero(sites == sites[int(np.nanargmin(apart))]))
        n = part.sizes["obs"]
        ids = [f"{tower.name}:{k}:{i}" for k, i in enumerate(part.datum_id.values.astype(str))]
        parts.append(
            part.assign_coords(
                datum_id=("obs", np.array(ids)),
                site=("obs", np.full(n, tower.name)),
                inlet=("obs", np.full(n, tower.height), part.inlet.attrs),
                latitude=("obs", np.full(n, tower.latitude), part.latitude.attrs),
                longitude=("obs", np.full(n, tower.longitude), part.longitude.attrs),
            )
        )
    return xr.concat(parts, dim="obs", data_vars="minimal", coords="minimal", combine_attrs="override")


def networks(posed: Posed, wanted: Experiment) -> dict[str, Scores]:
    """Return how each network does."""
    names = [t.name for t in wanted.added]
    kept = networks_of(posed.problem.site, wanted.without, names)
    return score(posed.problem, kept, _weights(posed), wanted.draws, wanted.seed)


def _weights(posed: Posed) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights that make emission rates, kg s-1."""
    coords = posed.problem.coords
    share = posed.regions.weight.values.reshape(posed.regions.sizes["region"], -1)
    mass = molar_mass(str(coords.attrs["species"]))
    return share * coords.cell_area.values.ravel() * mass, time_weights(
        posed.periods, coords.flux_time_bounds.values
    )


def removals(posed: Posed) -> list[Row]:
    """Return what each total's variance would be without each site, exact: most needed sites first."""
    without, now, prior = variance_without(solve(posed.problem), *_weights(posed))
    count = {name: int((posed.problem.site == name).sum()) for name in without}
    ranked = sorted(without, key=lambda name: -float(without[name][0, 0]))
    return [
        {
            "kind": "removal", "network": f"without {name}", "site": name, "data": count[name],
            "region": region, "period": period, "prior_sd": float(np.sqrt(prior[r, p])),
            "sd": float(np.sqrt(now[r, p])), "sd_without": float(np.sqrt(variance[r, p])),
            "variance_without_over_with": float(variance[r, p] / now[r, p]),
        }
        for name in ranked
        for variance in [without[name]]
        for r, p, region, period in _places(posed)
    ]  # fmt: skip


def score_rows(found: Mapping[str, Scores], posed: Posed) -> list[Row]:
    """Return one row per network and total, and one per network of all cells."""
    rows = []
    for name, s in found.items():
        for r, p, region, period in _places(posed):
            low, high = binomial_bounds(int(s.inside[r, p]), s.draws)
            rows.append({
                "kind": "total", "network": name, "region": region, "period": period, "data": s.data,
                "draws": s.draws, "prior_sd": float(s.prior_sd[r, p]), "sd": float(s.sd[r, p]),
                "bias": float(s.bias[r, p]), "bias_se": float(s.rmse[r, p] / np.sqrt(s.draws)),
                "rmse": float(s.rmse[r, p]), "prior_rmse": float(s.prior_rmse[r, p]),
                "skill": float(s.skill[r, p]), "coverage": float(s.inside[r, p] / s.draws),
                "coverage_low": low, "coverage_high": high, "variance_reduction": float(s.reduction[r, p]),
            })  # fmt: skip
        rows.append({
            "kind": "cells", "network": name, "data": s.data, "draws": s.draws, "skill": s.cells_skill,
            "coverage": float(s.cells_inside.mean()), "coverage_low": float(s.cells_inside.min()),
            "coverage_high": float(s.cells_inside.max()), "dofs": s.dofs,
        })  # fmt: skip
    return rows


def _places(posed: Posed) -> list[tuple[int, int, str, str]]:
    regions = posed.regions.region.values.astype(str)
    return [
        (r, p, str(region), period.name)
        for r, region in enumerate(regions)
        for p, period in enumerate(posed.periods)
    ]


def show_networks(found: Mapping[str, Scores], posed: Posed, console: Console) -> None:
    """Print the scores of the total of everything, and of the cells."""
    _, _, region, period = _places(posed)[0]
    title = f"{region}, {period}: {next(iter(found.values())).draws} draws, kg/s"
    totals = Table("network", "sd", "bias", "95 % interval holds", "skill", title=title, title_justify="left")
    every = Table("network", "data", "DOFS", "variance -", "cells hold", "cells' skill")
    for name, s in found.items():
        low, high = binomial_bounds(int(s.inside[0, 0]), s.draws)
        totals.add_row(
            name, f"{s.sd[0, 0]:.3g}", f"{s.bias[0, 0]:+.2g} ± {s.rmse[0, 0] / np.sqrt(s.draws):.2g}",
            f"{s.inside[0, 0] / s.draws:.1%} ({low:.1%} to {high:.1%})", f"{s.skill[0, 0]:.3f}",
        )  # fmt: skip
        every.add_row(
            name, str(s.data), f"{s.dofs:.1f}", f"{s.reduction[0, 0]:.1%}",
            f"{s.cells_inside.mean():.1%}", f"{s.cells_skill:.3f}",
        )  # fmt: skip
    console.print(totals)
    console.print(every)


def show_removals(rows: Sequence[Row], added: set[str], console: Console) -> None:
    """Print what each tower brings to the first total, without draws."""
    region, period = rows[0]["region"], rows[0]["period"]
    title = f"{region}, {period}: sd {rows[0]['sd']:.4g}, prior {rows[0]['prior_sd']:.4g}, kg/s"
    table = Table("without", "data", "sd, kg/s", "variance +", title=title, title_justify="left")
    for row in rows:
        if (row["region"], row["period"]) == (region, period):
            name = f"{row['site']} (added)" if row["site"] in added else row["site"]
            more = row["variance_without_over_with"] - 1
            table.add_row(name, str(row["data"]), f"{row['sd_without']:.4g}", f"{more:.1%}")
    console.print(table)
