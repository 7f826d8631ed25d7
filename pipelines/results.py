"""Stages from the solution to what people open: totals, gate, maps, report, page, files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from inversion.direct import CAUSE as DIRECT
from metroflux import schema
from metroflux.constants import SECONDS_PER_YEAR
from metroflux.grid import Grid
from metroflux.provenance import Stamp
from metroflux.time import Times
from metroflux.uncertainty import components
from metroflux.units import molar_mass
from pipelines import gate
from pipelines.config import Config
from pipelines.engine import Job
from pipelines.fields import seeds, to_numpy
from pipelines.inputs import Outputs, config_of
from pipelines.model import solution_of
from pipelines.store import Folder
from priors.regions import DOMAIN, region_weights, regional_regions
from products.export import write_netcdf
from products.fields import mean_fields, step_fields
from products.maps import draw_maps
from products.periods import Period, named_periods
from products.places import Outline, Site, outlines_from_geojson
from products.report import Context, write_report
from products.table import write_csv
from products.totals import make_totals
from products.viewer import About, Page, write_viewer

LIMITS = (
    "Emissions are territorial (scope 1) and net: what enters the air inside the area, less what leaves it.",
    "Plants release at the surface: stack height and plume rise are not modelled.",
    "Lengths, durations and sizes of the errors not marked estimated are as the configuration states.",
    "Emissions are not bounded: a small one may come out negative within its uncertainty.",
)
"""What a reader of the report must know, whatever the run."""


def total(job: Job) -> Outputs:
    """Make the totals of each region, sector and period."""
    regions, periods = wanted(job)
    return {"totals": make_totals(solution_of(job), regions, periods, job.mapper), "regions": regions}


def wanted(job: Job) -> tuple[xr.Dataset, tuple[Period, ...]]:
    """Return the regions and periods of which totals are made."""
    # the report and the page are about the whole run, whatever else is asked for
    kinds = dict.fromkeys(("run", *config_of(job).products.periods))
    return _regions(job), named_periods(_observed(job), list(kinds))


def _observed(job: Job) -> Times:
    """Return the bounds of the flux intervals of the run itself: the lead before it is solved, not shown."""
    bounds = job.dataset("posterior").flux_time_bounds.values
    return bounds[bounds[:, 0] >= to_numpy(config_of(job).run.start)]


def _regions(job: Job) -> xr.Dataset:
    outlines = cast(dict[str, Any], job.inputs["outlines"])
    if "grid" not in job.inputs:
        return regional_regions(job.dataset("posterior"), config_of(job).products.groups)
    grid = Grid.from_dataset(job.dataset("grid"))
    return region_weights(grid, outlines["geojson"], outlines["name"]) if outlines else _domain(grid)


def _domain(grid: Grid) -> xr.Dataset:
    """Return the whole grid as the only region."""
    share = {"units": "1", "long_name": "share of the cell in the region"}
    weight = (("region", "y", "x"), np.ones((1, *grid.shape)), share)
    return schema.check(grid.coords().assign(weight=weight).assign_coords(region=[DOMAIN]), "regions")


def judge_run(job: Job) -> Outputs:
    """Say why the run must be held, if it must."""
    footprints = job.dataset("footprints") if "footprints" in job.inputs else None
    return {"reasons": gate.judge(job.dataset("diagnostics"), footprints, config_of(job).gate)}


def summarise(job: Job) -> Outputs:
    """Put the figures of the first screen together, emissions in tonnes of the gas per year."""
    totals, diagnostics = job.dataset("totals"), job.dataset("diagnostics")
    species = config_of(job).run.species
    whole = totals.sel(region="domain", sector="total", period="run")
    tonnes = SECONDS_PER_YEAR * 1e-3
    names = ("prior", "prior_sd", "posterior", "posterior_sd")
    summary: dict[str, Any] = {name: float(whole[name]) * tonnes for name in names}
    summary |= {
        "unit": f"t {species.upper()} yr-1",
        "chi2_per_observation": float(diagnostics.chi2_per_observation),
        "dofs": float(diagnostics.dofs),
        "observations": diagnostics.sizes["obs"],
    }
    if "truth" in job.inputs:
        summary["truth"] = true_total(job.dataset("truth"), whole.period_bounds.values, species) * tonnes
    return {"summary": summary}


def true_total(truth: xr.Dataset, bounds: np.ndarray, species: str) -> float:
    """Return the true mean emission of the whole area between two instants, kg s-1."""
    starts, ends = truth.flux_time_bounds.values.T
    inside = (starts >= bounds[0]) & (ends <= bounds[1])
    seconds = (ends - starts)[inside] / np.timedelta64(1, "s")
    rate = (truth.flux * truth.cell_area).sum([d for d in truth.flux.dims if d != "flux_time"]).values[inside]
    return float(rate @ seconds / seconds.sum() * molar_mass(species))


def draw(job: Job) -> Outputs:
    """Write all that people open."""
    return {"products": Folder(lambda folder: _write(job, folder))}


def _write(job: Job, folder: Path) -> None:
    config, stamp = config_of(job), job.stamp
    for name in ("posterior", "diagnostics", *(("truth",) if "truth" in job.inputs else ())):
        write_netcdf(_stamped(job.dataset(name), name, config, stamp), folder / f"{name}.nc")
    write_csv(job.dataset("totals"), folder / "totals.csv")
    sites, outlines = _sites(job), _outlines(job)
    (whole,) = named_periods(_observed(job), ("run",))
    mean = mean_fields(solution_of(job), whole, job.mapper)
    draw_maps(mean, folder / "maps", sites, outlines, _footprint_sum(job))
    write_viewer(_page(job, mean, sites, outlines), folder / "viewer" / "index.html")
    fit, posterior, totals = (job.dataset(name) for name in ("diagnostics", "posterior", "totals"))
    write_report(fit, posterior, totals, _context(job), folder / "report.html")


def _stamped(ds: xr.Dataset, name: str, config: Config, stamp: Stamp) -> xr.Dataset:
    schema_name = "prior" if name == "truth" else name
    return stamp.apply(ds, schema_name, f"{_title(config)}: {name}")


def _title(config: Config) -> str:
    return config.products.title or config.run.name.replace("_", " ").replace("-", " ")


def _place(config: Config) -> str:
    return config.products.place or _title(config)


def _footprint_sum(job: Job) -> xr.DataArray | None:
    """Return the sum of all footprints over data and lags, m2 s mol-1."""
    if "footprints" not in job.inputs:
        return None
    return job.dataset("footprints").foot.sum(["receptor", "lag"], dtype=np.float64)


def _sites(job: Job) -> list[Site]:
    found = cast(list[dict[str, Any]], job.inputs["sites"])
    sites = [Site(s["name"], s["longitude"], s["latitude"], s["kind"]) for s in found]
    if "planes" not in job.inputs:
        return sites
    rows = job.dataset("planes")
    places = zip(rows.datum_id.values, rows.longitude.values, rows.latitude.values, strict=True)
    return sites + [Site(str(name), float(lon), float(lat), "lidar") for name, lon, lat in places]


def _outlines(job: Job) -> tuple[Outline, ...]:
    found = cast(dict[str, Any], job.inputs["outlines"])
    return outlines_from_geojson(found["geojson"], found["name"]) if found else ()


def _page(job: Job, mean: xr.Dataset, sites: Sequence[Site], outlines: Sequence[Outline]) -> Page:
    solution = solution_of(job)
    bounds = _observed(job)
    steps = named_periods(bounds, ("step",))
    fields = step_fields(solution, job.mapper)
    return Page(
        mean=mean,
        steps=fields.isel(period=fields.period_bounds.values[:, 0] >= bounds[0, 0]),
        totals=job.dataset("totals"),
        series=make_totals(solution, job.dataset("regions"), steps, job.mapper),
        about=_about(job),
        sites=sites,
        outlines=outlines,
    )


def _about(job: Job) -> About:
    config, reasons = config_of(job), cast(list[str], job.inputs["reasons"])
    return About(
        title=_title(config),
        place=_place(config),
        run_id=job.stamp.run_id,
        code_version=_version(job),
        config_sha256=job.stamp.config_sha256,
        made=str(np.datetime64("now")),
        status="held" if reasons else "provisional",
        language=config.products.language,
        notes=tuple(reasons),
    )


def _context(job: Job) -> Context:
    config, stamp = config_of(job), job.stamp
    dropped = pd.DataFrame(
        cast(list[dict[str, Any]], job.inputs["dropped"]), columns=["site", "reason", "count"]
    )
    return Context(
        title=_title(config),
        place=_place(config),
        run_id=stamp.run_id,
        code_version=_version(job),
        config_sha256=stamp.config_sha256,
        held=cast(list[str], job.inputs["reasons"]),
        dropped=dropped,
        lidar=pd.DataFrame(cast(list[dict[str, Any]], job.inputs["lidar"]))
        if "lidar" in job.inputs
        else None,
        traceability=_traceability(job),
        inputs=stamp.inputs,
        seeds=seeds(config.model_dump()),
        limits=(*LIMITS, *beyond(job.dataset("background"))),
    )


def beyond(background: xr.Dataset) -> tuple[str, ...]:
    """Return what a reader must know of a background whose field particles left; nothing if none did."""
    share = float(background.attrs.get("end_points_beyond_field", 0.0))
    if share == 0:
        return ()
    return (f"{share:.1%} of the particles ended beyond the field of the background: they took its edge.",)


def _traceability(job: Job) -> dict[str, list[str]]:
    """Return what each shared cause of uncertainty rests on, of observations and background."""
    found: dict[str, list[str]] = {}
    for name in ("selected", "background"):
        for part in components(job.dataset(name))[1]:
            known = found.setdefault(part.cause, [])
            if part.traceable_to not in known:
                known.append(part.traceable_to)
    if "planes" in job.inputs:
        rows = job.dataset("planes")
        for cause, origin in zip(rows.shared_cause.values, rows.shared_traceable_to.values, strict=True):
            known = found.setdefault(str(cause), [])
            known += [str(origin)] * (str(origin) not in known)
        found[DIRECT] = [f"scan {name}" for name in rows.datum_id.values]
    return found


def _version(job: Job) -> str:
    return str(job.stamp.apply(xr.Dataset(), "posterior", "").attrs["code_version"])
