"""A small solved inversion by dense algebra: the obvious twin of what the solver gives to products."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import xarray as xr

from metroflux import schema, time
from metroflux.grid import Grid
from products.places import Outline, Site

SECTORS = ("road traffic", "power", "buildings")
CAUSES = ("prior", "measurement noise", "calibration", "transport")
CRS = "EPSG:32650"
BACKGROUND = 420e-6
BAD_NAME = "</script><script>alert(1)</script>"


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
    solution: "DenseSolution"


class DenseSolution:
    """y = H x + e with everything formed: means, variances and budgets of weighted sums."""

    def __init__(self, H, sd, time_corr, space_corr, prior, y, noise, columns):
        self.shape = sd.shape  # (sector, time, cell)
        self.prior, self.sd, self.time_corr, self.space_corr = prior, sd, time_corr, space_corr
        self.H, self.noise, self.columns = H, noise, columns
        self.HB = np.stack([self._times_b(H, s) for s in range(sd.shape[0])], axis=1)
        flat = self.HB.reshape(len(H), -1)
        HH = np.broadcast_to(H[:, None], self.HB.shape).reshape(len(H), -1)
        self.K = flat @ HH.T
        self.parts = {"measurement noise": np.diag(noise**2)}
        for cause, u in columns.items():
            self.parts[cause] = np.outer(u, u)
        self.R = sum(self.parts.values())
        self.C = self.K + self.R
        self.y_prior = HH @ prior.ravel()
        self.innovation = y - self.y_prior
        self.weight = np.linalg.solve(self.C, self.innovation)
        self.mean = prior + np.tensordot(self.weight, self.HB, 1)
        self.half = np.linalg.solve(np.linalg.cholesky(self.C), flat).reshape(self.HB.shape)
        self.variance = sd**2 - np.sum(self.half**2, axis=0)

    def _times_b(self, rows, s):
        scaled = rows * self.sd[s]
        return self.sd[s] * np.einsum("ntc,tu,cd->nud", scaled, self.time_corr[s], self.space_corr[s], optimize=True)

    def totals(self, space_weights, time_weights):
        k, p, S = len(space_weights), len(time_weights), self.shape[0]
        HBw = np.einsum("nstc,pt,kc->nskp", self.HB, time_weights, space_weights, optimize=True)
        wBw = np.zeros((p, S, k, k))
        for s in range(S):
            w = np.einsum("pt,kc,tc->pktc", time_weights, space_weights, self.sd[s])
            wBw[:, s] = np.einsum("pktc,tu,cd,pjud->pkj", w, self.time_corr[s], self.space_corr[s], w, optimize=True)
        HBw = np.concatenate([HBw, HBw.sum(axis=1, keepdims=True)], axis=1)
        wBw = np.concatenate([wBw, wBw.sum(axis=1, keepdims=True)], axis=1)
        n = len(self.H)
        gain = np.linalg.solve(self.C, HBw.reshape(n, -1)).reshape(HBw.shape)
        told = np.einsum("nskp,nsjp->pskj", HBw, gain)
        covariance = wBw - told
        by_cause = {c: np.einsum("nskp,nm,mskp->kps", gain, R, gain, optimize=True) for c, R in self.parts.items()}
        by_cause["transport"] = by_cause.get("transport", np.zeros((k, p, S + 1)))
        diag = np.einsum("pskk->kps", covariance)
        by_cause["prior"] = diag - sum(by_cause.values())
        mean = lambda x: np.einsum("stc,pt,kc->kps", x, time_weights, space_weights, optimize=True)  # noqa: E731
        with_sum = lambda m: np.concatenate([m, m.sum(axis=2, keepdims=True)], axis=2)  # noqa: E731
        return SimpleNamespace(
            prior_mean=with_sum(mean(self.prior)),
            posterior_mean=with_sum(mean(self.mean)),
            prior_variance=np.einsum("pskk->kps", wBw),
            posterior_variance=diag,
            change_variance=np.einsum("pskk->kps", told),
            budget=np.stack([by_cause[c] for c in CAUSES], axis=-1),
            causes=CAUSES,
            covariance=covariance,
        )


def city(nx=14, ny=12, days=2, step_hours=6, n_towers=4, species="co2", bad_names=False, seed=1):
    """A city on a grid, its towers, districts and dense solution."""
    rng = np.random.default_rng(seed)
    dx = 72e3 / nx
    grid = Grid(CRS, 412e3, 4386e3, dx, dx, nx, ny)
    edges = time.intervals(np.datetime64("2024-01-10"), np.datetime64("2024-01-10") + np.timedelta64(days, "D"),
                           np.timedelta64(step_hours, "h"))  # fmt: skip
    T = len(edges) - 1
    X, Y = np.meshgrid((np.arange(nx) + 0.5) / nx, (np.arange(ny) + 0.5) / ny)
    pattern = _patterns(X, Y)
    hours = np.arange(T) * step_hours + 8
    cycle = np.stack([1 + 0.5 * np.sin((hours - 9) * np.pi / 12), np.ones(T), 1 + 0.3 * np.cos(hours * np.pi / 12)])
    prior_flux = 1e-6 * cycle[:, :, None] * pattern.reshape(3, 1, -1)
    sd = prior_flux * np.array([0.5, 0.3, 0.5])[:, None, None] + 0.15e-6
    truth = prior_flux * np.array([1.35, 1.0, 0.8])[:, None, None]
    plant = int(0.68 * ny) * nx + int(0.78 * nx)
    truth[1, :, plant] += 30e-6
    sd[1, :, plant] += 12e-6
    towers = rng.uniform(0.2, 0.8, (n_towers, 2))
    towers[0] = 0.62, 0.55
    H, who = _footprints(X, Y, towers, T, step_hours, dx, rng)
    return _solve(grid, edges, prior_flux, sd, truth, H, who, towers, species, bad_names, rng,
                  _space_corr(X, Y, 0.14), _decay(T, step_hours / 48))  # fmt: skip


def country(months=6, species="co2", seed=2):
    """Eight regions known only by their response functions: no grid, no outlines."""
    rng = np.random.default_rng(seed)
    edges = time.month_edges(np.arange("2011-01", f"2011-{months:02d}", dtype="datetime64[M]").astype("datetime64[ns]"))
    edges = np.append(edges, edges[-1] + np.timedelta64(31, "D")) if len(edges) < months else edges
    T, n = len(edges) - 1, 9
    season = np.cos(np.arange(T) * np.pi / 6)
    prior_flux = 1e-6 * (rng.normal(-0.4, 0.6, n)[None, None] + 0.5 * season[None, :, None])
    sd = np.broadcast_to(rng.uniform(0.3, 0.7, n) * 1e-6, prior_flux.shape).copy()
    truth = prior_flux + 0.6 * sd * rng.normal(size=(1, 1, n))
    H = np.zeros((40 * T, T, n))
    who = np.repeat(np.arange(2), 20 * T)
    when = np.tile(np.repeat(np.arange(T), 20), 2)
    H[np.arange(40 * T), when] = rng.gamma(0.6, 1.5, (40 * T, n)) * np.linspace(1.5, 0.1, n)
    return _solve(None, edges, prior_flux, sd, truth, H, who, np.array([[0.2, 0.3], [0.6, 0.7]]), species, False,
                  rng, np.eye(n), _decay(T, 0.5))  # fmt: skip


def _patterns(X, Y):
    river = np.exp(-(((Y - 0.45 - 0.18 * np.sin(5 * X)) / 0.045) ** 2))
    ring = np.exp(-((np.hypot(X - 0.52, Y - 0.5) - 0.26) / 0.035) ** 2)
    centre = np.exp(-(np.hypot(X - 0.52, Y - 0.5) / 0.22) ** 2)
    plants = sum(w * np.exp(-(np.hypot(X - a, Y - b) / 0.03) ** 2) for a, b, w in ((0.25, 0.3, 45), (0.7, 0.25, 30)))
    return np.stack([3 * river + 5 * ring + 5 * centre, plants, 9 * centre + 0.4])


def _footprints(X, Y, towers, T, step_hours, dx, rng):
    per_step, rows, who = 3, [], []
    for number, (a, b) in enumerate(towers):
        for t in range(T):
            for _ in range(per_step):
                turn = rng.uniform(0, 2 * np.pi)
                along = (X - a) * np.cos(turn) + (Y - b) * np.sin(turn)
                across = -(X - a) * np.sin(turn) + (Y - b) * np.cos(turn)
                width = 0.02 + 0.25 * np.maximum(along, 0)
                foot = np.where(along > -0.02, np.exp(-((across / width) ** 2) - along / 0.45) / width, 0)
                row = np.zeros((T, X.size))
                row[t] = 0.75 * foot.ravel()
                if t:
                    row[t - 1] = 0.25 * np.roll(foot, 1, axis=1).ravel()
                rows.append(row / row.sum() * 2.2)
                who.append(number)
    return np.array(rows), np.array(who)


def _space_corr(X, Y, length):
    x, y = X.ravel(), Y.ravel()
    return np.exp(-np.hypot(x[:, None] - x, y[:, None] - y) / length)


def _decay(T, rate):
    return np.exp(-rate * np.abs(np.arange(T)[:, None] - np.arange(T)))


def _solve(grid, edges, prior_flux, sd, truth, H, who, towers, species, bad_names, rng, S, T_corr):
    n, sectors = len(H), len(prior_flux)
    noise = np.full(n, 0.25e-6) * (1 + 0.5 * rng.random(n))
    columns = {"calibration": np.where(who == 0, 0.1e-6, 0.08e-6), "transport": 0.15e-6 * np.sign(H.sum(axis=(1, 2)))}
    y = np.einsum("ntc,stc->n", H, truth) + noise * rng.standard_normal(n)
    y += columns["calibration"] * rng.standard_normal()
    solution = DenseSolution(H, sd, [T_corr] * sectors, [S] * sectors, prior_flux, y, noise, columns)
    names = np.array(SECTORS[:sectors] if sectors > 1 else ("net flux",))
    site_names = [f"T{i + 1} tower" for i in range(len(towers))]
    if bad_names:
        site_names[0], names[0] = BAD_NAME, "=cmd()"
    prior, posterior = _states(grid, edges, names, solution, species)
    outlines, regions = _districts(grid, prior, bad_names)
    lonlat = [_place(grid, a, b) for a, b in towers]
    sites = [Site(nm, lo, la, withheld=i == len(towers) - 1) for i, (nm, (lo, la)) in enumerate(zip(site_names, lonlat))]
    if grid is not None:
        sites.append(Site("Doppler + DIAL lidar", *_place(grid, 0.48, 0.36), kind="lidar"))
    diagnostics = _diagnostics(solution, y, who, site_names, edges)
    return World(grid, prior, posterior, diagnostics, regions, tuple(sites), outlines, solution)


def _place(grid, a, b):
    if grid is None:
        return 170.0 + 5 * a, -45.0 + 5 * b
    lon, lat = grid.to_lonlat(grid.west + a * grid.nx * grid.dx, grid.south + b * grid.ny * grid.dy)
    return float(lon), float(lat)


def _states(grid, edges, names, solution, species):
    space = ("y", "x") if grid is not None else ("region",)
    shape = (*solution.shape[:2], *(grid.shape if grid is not None else (solution.shape[2],)))
    coords = {"flux_time": ("flux_time", edges[:-1], {"standard_name": "time", "bounds": "flux_time_bounds"}),
              "flux_time_bounds": (("flux_time", "bounds"), time.bounds(edges)),
              "sector": ("sector", names, {"long_name": "emission sector"})}  # fmt: skip
    if grid is not None:
        base = grid.coords().assign_coords(coords)
    else:
        regions = np.array([f"{w} {i}" for i, w in enumerate(["Northland", "Waikato", "Otago"] * 3)])
        base = xr.Dataset(coords=coords | {"region": ("region", regions),
                          "cell_area": ("region", np.linspace(9e9, 4e10, shape[-1]), {"units": "m2"})})  # fmt: skip
    def flux(values, text):
        mapped = {"grid_mapping": "spatial_ref"} if grid is not None else {}
        attrs = {"units": "mol m-2 s-1", "long_name": text} | mapped
        return (("sector", "flux_time", *space), values.reshape(shape), attrs)
    sd = np.sqrt(np.maximum(solution.variance, 0))
    ratio = 1 - sd / solution.sd
    attrs = {"species": species, "inventory": "synthetic", "inventory_version": "1", "inventory_doi": "none"}
    prior = base.assign(flux=flux(solution.prior, "prior surface upward flux"),
                        flux_sd=flux(solution.sd, "standard uncertainty")).assign_attrs(attrs)  # fmt: skip
    one = {"units": "1"}
    posterior = base.assign(
        flux=flux(solution.mean, "posterior surface upward mole flux"),
        flux_sd=flux(sd, "standard uncertainty of the posterior flux"),
        prior_flux=flux(solution.prior, "prior surface upward mole flux"),
        prior_flux_sd=flux(solution.sd, "standard uncertainty of the prior flux"),
        uncertainty_reduction=(("sector", "flux_time", *space), ratio.reshape(shape),
                               one | {"long_name": "1 - posterior sd / prior sd"}),
        averaging_kernel_diagonal=(("sector", "flux_time", *space), (1 - (1 - ratio) ** 2).reshape(shape),
                                   one | {"long_name": "diagonal of the averaging kernel"}),
        parameter_mean=("parameter", np.zeros(1), {"units": "mol mol-1", "long_name": "parameter"}),
        parameter_sd=("parameter", np.full(1, 1e-7), {"units": "mol mol-1", "long_name": "its standard uncertainty"}),
        prior_parameter_sd=("parameter", np.full(1, 1e-6), {"units": "mol mol-1", "long_name": "its prior sd"}),
    ).assign_coords(parameter=("parameter", np.array(["background"]), {"long_name": "parameter"})).assign_attrs(attrs)
    return schema.check(prior, "prior"), schema.check(posterior, "posterior")


def _districts(grid, prior, bad_names):
    if grid is None:
        n = prior.sizes["region"]
        weight = np.vstack([np.ones(n), np.arange(n) < n // 2, np.arange(n) >= n // 2]).astype(float)
        names = np.array(["domain", "North Island", "South Island"])
        ds = xr.Dataset({"weight": (("group", "region"), weight, {"units": "1"})})
        return (), _regions(names, weight, ("region",), prior)
    cuts_x, cuts_y = np.linspace(0, 1, 5), np.linspace(0, 1, 4)
    X, Y = np.meshgrid((np.arange(grid.nx) + 0.5) / grid.nx, (np.arange(grid.ny) + 0.5) / grid.ny)
    names, weights, outlines = ["domain"], [np.ones(grid.shape)], []
    for j in range(3):
        for i in range(4):
            name = ["North", "Middle", "South"][2 - j] + " " + ["West", "Inner", "Centre", "East"][i]
            name = BAD_NAME if bad_names and not names[1:] else name
            names.append(name)
            weights.append(((X >= cuts_x[i]) & (X < cuts_x[i + 1]) & (Y >= cuts_y[j]) & (Y < cuts_y[j + 1])) * 1.0)
            corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1), (i, j)]
            ring = np.array([_place(grid, cuts_x[a], cuts_y[b]) for a, b in corners])
            outlines.append(Outline(name, (ring,)))
    return tuple(outlines), _regions(np.array(names), np.array(weights), ("y", "x"), prior)


def _regions(names, weight, space, prior):
    if space == ("region",):
        # region-space: the regions of the totals are the state's own regions, after the domain
        n = prior.sizes["region"]
        names, weight = np.append(["domain"], prior["region"].values), np.vstack([np.ones(n), np.eye(n)])
        return xr.Dataset({"weight": (("region", "cell"), weight, {"units": "1"})}, coords={"region": names})
    ds = xr.Dataset({"weight": (("region", *space), weight, {"units": "1"})}, coords={"region": ("region", names)})
    return schema.check(ds, "regions")


def _diagnostics(solution, y, who, site_names, edges):
    n = len(y)
    mid = edges[:-1] + np.timedelta64(1, "h")
    T = len(edges) - 1
    when = np.array([mid[np.flatnonzero(row.sum(axis=1))[-1]] for row in solution.H])
    when = when + np.arange(n) % 3 * np.timedelta64(90, "m")
    HH = np.broadcast_to(solution.H[:, None], solution.HB.shape).reshape(n, -1)
    fit = HH @ solution.mean.ravel()
    C = solution.C
    inverse = np.linalg.inv(C)
    loo = solution.weight / np.diag(inverse)
    sd = np.sqrt(np.diag(C))
    sites = np.array([site_names[i] for i in who])
    names = np.array(site_names)
    rmse = lambda r: np.array([np.sqrt(np.mean(r[sites == s] ** 2)) for s in names])  # noqa: E731
    chi2 = float(solution.innovation @ solution.weight)
    mole, one = {"units": "mol mol-1"}, {"units": "1"}
    obs = {
        "mole_fraction": y + BACKGROUND, "background": np.full(n, BACKGROUND),
        "prior_mole_fraction": solution.y_prior + BACKGROUND, "posterior_mole_fraction": fit + BACKGROUND,
        "innovation": solution.innovation, "innovation_sd": sd, "observation_sd": np.sqrt(np.diag(solution.R)),
        "loo_residual": loo, "loo_sd": 1 / np.sqrt(np.diag(inverse)),
    }  # fmt: skip
    by_site = {"site_prior_rmse": rmse(solution.innovation), "site_posterior_rmse": rmse(y - fit),
               "site_withheld_rmse": rmse(loo) * np.linspace(0.9, 1.6, len(names))}  # fmt: skip
    chi = {"site_chi2": rmse(solution.innovation / sd) ** 2, "site_withheld_chi2": rmse(loo / sd) ** 2}
    scalars = {"chi2": chi2, "chi2_per_observation": chi2 / n, "dofs": n - float(np.trace(inverse @ solution.R)),
               "log_evidence": -0.5 * chi2 - 0.5 * np.linalg.slogdet(C)[1], "condition_number": np.linalg.cond(C)}
    ds = xr.Dataset(
        {k: ("obs", v, mole) for k, v in obs.items()}
        | {k: ("site_name", v, mole) for k, v in by_site.items()}
        | {k: ("site_name", v, one) for k, v in chi.items()}
        | {k: ((), float(v), one) for k, v in scalars.items()}
        | {"site_count": ("site_name", np.array([int((sites == s).sum()) for s in names]))},
        coords={"datum_id": ("obs", np.array([f"d{i:04d}" for i in range(n)])), "time": ("obs", when),
                "site": ("obs", sites), "site_name": ("site_name", names)},
    )  # fmt: skip
    return schema.check(ds, "diagnostics")


def step_fields(world):
    """The sum over sectors at every flux time in closed form: the twin of make_fields without weights."""
    s, t = world.solution, world.prior.sizes["flux_time"]
    space = world.prior["cell_area"].dims
    shape = (t, 1, *world.prior["cell_area"].shape)
    told = np.sum(s.half.sum(axis=1) ** 2, axis=0)
    values = {
        "prior": s.prior.sum(axis=0), "prior_sd": np.sqrt((s.sd**2).sum(axis=0)),
        "posterior": s.mean.sum(axis=0), "posterior_sd": np.sqrt((s.sd**2).sum(axis=0) - told),
        "change_sd": np.sqrt(told),
    }  # fmt: skip
    ds = xr.Dataset(
        {k: (("period", "sector", *space), v.reshape(shape), {"units": "mol m-2 s-1"}) for k, v in values.items()},
        coords={"sector": ["total"], "period_bounds": (("period", "bounds"), world.prior.flux_time_bounds.values)},
        attrs={"species": world.prior.attrs["species"]},
    )
    keep = {n: v for n, v in world.prior.coords.items() if set(v.dims) <= {*space, "bounds"} and "bounds" not in v.dims}
    return ds.assign_coords(keep).assign_coords(cell_area=world.prior["cell_area"])
