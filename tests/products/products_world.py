"""Small solved inversions, made with the real solver: everything a run hands to products."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from inversion.diagnostics import diagnose
from inversion.problem import assemble
from inversion.settings import Parameter, PriorError
from inversion.solution import Solution
from inversion.solver import solve
from metroflux import schema, time
from metroflux.grid import Grid
from metroflux.uncertainty import Random, Shared, attach
from products.places import Outline, Site

SECTORS = ("road traffic", "power", "buildings")
BACKGROUND = 420e-6
BAD_NAME = "</script><script>alert(1)</script>"
FORMULA = "=cmd()"
MOLE = {"units": "mol mol-1"}


@dataclass
class World:
    """Everything a run hands to products."""

    grid: Grid | None
    prior: xr.Dataset
    posterior: xr.Dataset
    diagnostics: xr.Dataset
    regions: xr.Dataset
    sites: tuple[Site, ...]
    outlines: tuple[Outline, ...]
    solution: Solution


def city(nx=12, ny=10, days=2, step_hours=6, n_towers=4, species="co2", bad_names=False, seed=1):
    """A city on a grid: towers, districts, one plant the inventory does not know, and more traffic."""
    rng = np.random.default_rng(seed)
    grid = Grid("EPSG:32650", 412e3, 4386e3, 72e3 / nx, 72e3 / nx, nx, ny)
    edges = _edges("2024-01-10", days * 24 // step_hours, step_hours)
    X, Y = np.meshgrid((np.arange(nx) + 0.5) / nx, (np.arange(ny) + 0.5) / ny)
    hours = np.arange(len(edges) - 1) * step_hours + 8
    cycle = np.stack(
        [
            1 + 0.5 * np.sin((hours - 9) * np.pi / 12),
            np.ones(hours.size),
            1 + 0.3 * np.cos(hours * np.pi / 12),
        ]
    )
    flux = 1e-6 * cycle[:, :, None] * _patterns(X, Y).reshape(3, 1, -1)
    sd = flux * np.array([0.5, 0.3, 0.5])[:, None, None] + 0.15e-6
    truth = flux * np.array([1.35, 1.0, 0.8])[:, None, None]
    plant = int(0.68 * ny) * nx + int(0.78 * nx)
    truth[1, :, plant] += 30e-6
    sd[1, :, plant] += 12e-6
    towers = rng.uniform(0.2, 0.8, (n_towers, 2))
    towers[0] = 0.62, 0.55
    H, who, when = _footprints(X, Y, towers, len(edges) - 1, rng)
    names = [f"T{i + 1} tower" for i in range(n_towers)]
    sectors = list(SECTORS)
    if bad_names:
        names[0], sectors[0] = BAD_NAME, FORMULA
    prior = _prior(grid.coords(), edges, sectors, flux, sd, species)
    errors = {s: PriorError(length, 2 * 86400.0) for s, length in zip(sectors, (9e3, 2e3, 12e3), strict=True)}
    solution = _solve(prior, H, who, when, names, truth, errors, rng, step_hours)
    outlines, regions = _districts(grid, bad_names)
    sites = [
        Site(n, *_place(grid, a, b), withheld=n == names[-1]) for n, (a, b) in zip(names, towers, strict=True)
    ]
    sites.append(Site("Doppler + DIAL lidar", *_place(grid, 0.48, 0.36), kind="lidar"))
    return World(
        grid, prior, solution.posterior(), diagnose(solution), regions, tuple(sites), outlines, solution
    )


def country(months=6, species="co2", seed=2):
    """Regions known only by their response functions: no grid, no outlines."""
    rng = np.random.default_rng(seed)
    starts = (np.datetime64("2011-01", "M") + np.arange(months)).astype("datetime64[ns]")
    edges = time.month_edges(starts)
    names = [
        "Northland",
        "Auckland",
        "Waikato",
        "Taranaki",
        "Hawke's Bay",
        "Nelson",
        "Canterbury",
        "Otago",
        "Southland",
    ]
    season = np.cos(np.arange(months) * np.pi / 6)
    flux = 1e-6 * (rng.normal(-0.4, 0.6, 9)[None, None] + 0.5 * season[None, :, None])
    sd = np.broadcast_to(rng.uniform(0.3, 0.7, 9) * 1e-6, flux.shape).copy()
    truth = flux + 0.6 * sd * rng.normal(size=(1, 1, 9))
    n = 24 * months
    when = np.tile(np.repeat(np.arange(months), 12), 2)
    H = np.zeros((n, months, 9))
    H[np.arange(n), when] = rng.gamma(0.6, 1.0, (n, 9)) * np.linspace(1.5, 0.1, 9)
    area = ("region", np.linspace(9e9, 4e10, 9), {"units": "m2", "long_name": "area"})
    space = xr.Dataset(
        coords={"region": ("region", np.array(names), {"long_name": "region"}), "cell_area": area}
    )
    prior = _prior(space, edges, ["net flux"], flux, sd, species)
    errors = {"net flux": PriorError(0.0, 60 * 86400.0)}
    solution = _solve(
        prior, H, np.repeat([0, 1], n // 2), when, ["Baring Head", "Lauder"], truth, errors, rng, 700
    )
    weight = np.vstack([np.ones(9), np.eye(9)])
    regions = xr.Dataset(
        {"weight": (("region", "source_region"), weight, {"units": "1"})},
        coords={"region": np.array(["domain", *names])},
    )
    sites = (Site("Baring Head", 174.9, -41.4), Site("Lauder", 169.7, -45.0))
    return World(None, prior, solution.posterior(), diagnose(solution), regions, sites, (), solution)


def _edges(start, n, hours):
    return np.datetime64(start, "ns") + np.arange(n + 1) * np.timedelta64(hours, "h")


def _patterns(X, Y):
    river = np.exp(-(((Y - 0.45 - 0.18 * np.sin(5 * X)) / 0.045) ** 2))
    ring = np.exp(-(((np.hypot(X - 0.52, Y - 0.5) - 0.26) / 0.035) ** 2))
    centre = np.exp(-((np.hypot(X - 0.52, Y - 0.5) / 0.22) ** 2))
    plants = sum(
        w * np.exp(-((np.hypot(X - a, Y - b) / 0.03) ** 2)) for a, b, w in ((0.25, 0.3, 45), (0.7, 0.25, 30))
    )
    return np.stack([3 * river + 5 * ring + 5 * centre, plants, 9 * centre + 0.4])


def _footprints(X, Y, towers, times, rng):
    rows, who, when = [], [], []
    for number, (a, b) in enumerate(towers):
        for t in range(times):
            for _ in range(3):
                turn = rng.uniform(0, 2 * np.pi)
                along = (X - a) * np.cos(turn) + (Y - b) * np.sin(turn)
                across = -(X - a) * np.sin(turn) + (Y - b) * np.cos(turn)
                width = 0.02 + 0.25 * np.maximum(along, 0)
                foot = np.where(along > -0.02, np.exp(-((across / width) ** 2) - along / 0.45) / width, 0)
                row = np.zeros((times, X.size))
                row[t] = 0.75 * foot.ravel()
                if t:
                    row[t - 1] = 0.25 * foot.ravel()
                rows.append(row / row.sum() * 2.2)
                who.append(number)
                when.append(t)
    return np.array(rows), np.array(who), np.array(when)


def _prior(space, edges, sectors, flux, sd, species):
    dims = ("sector", "flux_time", *space.cell_area.dims)
    shape = (len(sectors), len(edges) - 1, *space.cell_area.shape)
    unit = {"units": "mol m-2 s-1"} | ({"grid_mapping": "spatial_ref"} if "y" in dims else {})
    ds = space.assign_coords(
        sector=("sector", np.array(sectors)),
        flux_time=("flux_time", edges[:-1]),
        flux_time_bounds=(("flux_time", "bounds"), time.bounds(edges)),
    ).assign(
        flux=(dims, flux.reshape(shape), unit | {"long_name": "prior flux"}),
        flux_sd=(dims, sd.reshape(shape), unit | {"long_name": "its standard uncertainty"}),
    )
    text = {"species": species, "inventory": "synthetic", "inventory_version": "1", "inventory_doi": "none"}
    return schema.check(ds.assign_attrs(text), "prior")


def _solve(prior, H, who, when, names, truth, errors, rng, step_hours):
    n = len(H)
    noise = 0.25e-6 * (1 + 0.5 * rng.random(n))
    y = BACKGROUND + np.einsum("ntc,stc->n", H, truth) + noise * rng.standard_normal(n)
    y += 0.1e-6 * rng.standard_normal()
    at = prior.flux_time.values[when] + np.arange(n) % 3 * np.timedelta64(step_hours * 20, "m")
    ids, site = np.array([f"d{i:04}" for i in range(n)]), np.array(names)[who]
    observations = xr.Dataset(
        {
            "mole_fraction": ("obs", y, MOLE),
            "flag": ("obs", np.zeros(n, int)),
            "n_samples": ("obs", np.ones(n, int)),
        },
        coords={
            "datum_id": ("obs", ids),
            "time": ("obs", at),
            "site": ("obs", site),
            "time_bounds": (("obs", "bounds"), np.stack([at, at + np.timedelta64(1, "h")], axis=1)),
            "species": ("obs", np.full(n, str(prior.species))),
            "inlet": ("obs", np.full(n, 80.0), {"units": "m"}),
            "latitude": ("obs", np.full(n, 40.0), {"units": "degrees_north"}),
            "longitude": ("obs", np.full(n, 116.0), {"units": "degrees_east"}),
        },
    )
    calibration = Shared("tank-0417", "calibration", np.full(n, 0.1e-6), "NIM GBW(E) 0417")
    mixing = Random("transport", np.full(n, 0.2e-6))
    observations = attach(observations, [Random("measurement noise", noise), mixing], [calibration])
    background = attach(
        xr.Dataset({"background": ("obs", np.full(n, BACKGROUND), MOLE)}, coords={"datum_id": ("obs", ids)}),
        [Random("background", np.full(n, 0.05e-6))],
        [],
    )
    rows = csr_array(H.reshape(n, -1))
    jacobian = xr.Dataset(
        {
            "row_start": ("obs_edge", rows.indptr),
            "column": ("nonzero", rows.indices),
            "sensitivity": ("nonzero", rows.data, {"units": "m2 s mol-1"}),
        },
        coords={
            "flux_time": prior.flux_time,
            "flux_time_bounds": prior.flux_time_bounds,
            "cell_area": prior.cell_area,
            "datum_id": ("obs", ids),
        },
    )
    offset = [Parameter("background offset", "background", np.ones(n), 0.3e-6)]
    return solve(assemble(observations, background, jacobian, prior, errors, offset))


def _place(grid, a, b):
    lon, lat = grid.to_lonlat(grid.west + a * grid.nx * grid.dx, grid.south + b * grid.ny * grid.dy)
    return float(lon), float(lat)


def _districts(grid, bad_names):
    cuts_x, cuts_y = np.linspace(0, 1, 5), np.linspace(0, 1, 4)
    X, Y = np.meshgrid((np.arange(grid.nx) + 0.5) / grid.nx, (np.arange(grid.ny) + 0.5) / grid.ny)
    names, weights, outlines = ["domain"], [np.ones(grid.shape)], []
    for j in range(3):
        for i in range(4):
            name = ["South", "Middle", "North"][j] + " " + ["West", "Inner", "Centre", "East"][i]
            name = BAD_NAME if bad_names and len(names) == 1 else name
            name = FORMULA if bad_names and len(names) == 2 else name
            inside = (np.digitize(X, cuts_x) == i + 1) & (np.digitize(Y, cuts_y) == j + 1)
            corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1), (i, j)]
            ring = np.array([_place(grid, cuts_x[a], cuts_y[b]) for a, b in corners])
            names.append(name)
            weights.append(inside * 1.0)
            outlines.append(Outline(name, (ring,)))
    regions = xr.Dataset(
        {"weight": (("region", "y", "x"), np.array(weights), {"units": "1"})},
        coords={"region": np.array(names)},
    )
    return tuple(outlines), schema.check(regions, "regions")
