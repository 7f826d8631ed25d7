"""Transport error: fields as stated, mass kept, none without met errors, closed form of a uniform error."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import xarray as xr

from metroflux import schema, time
from metroflux.constants import M_AIR
from metroflux.errors import ConfigError, DataError
from metroflux.grid import Grid
from metroflux.uncertainty import ErrorModel, Random, attach
from transport.ensemble import (
    NAME,
    modelled_ensemble,
    shared_columns,
    transport_error,
    with_transport_error,
)
from transport.footprints import FootprintSettings, compute_footprints
from transport.meteorology.balance import mass_balance
from transport.meteorology.cfmet import CFReader
from transport.meteorology.cube import read_met
from transport.meteorology.era5 import era5_pressure_levels
from transport.perturbation import (
    EnsembleSettings,
    MixingHeightError,
    WindError,
    draw,
    perturb,
)

SETTINGS = FootprintSettings()
NO_HEIGHT = MixingHeightError(0.0, 100e3, 3600.0)
NO_WIND = WindError(0.0, 100e3, 3600.0, 1000.0)
EVERYWHERE = WindError(0.5, np.inf, np.inf, np.inf)


def ensemble(wind=NO_WIND, mixing_height=NO_HEIGHT, members=4, seed=1):
    return EnsembleSettings(wind, mixing_height, members, seed)


def prior_on(grid, hours=5, flux=1e-6):
    edges = np.datetime64("2024-06-01T00", "ns") + np.arange(hours + 1) * np.timedelta64(1, "h")
    values = np.full((1, hours, *grid.shape), flux)
    dims, units = ("sector", "flux_time", "y", "x"), {"units": "mol m-2 s-1"}
    data = {"flux": (dims, values, units), "flux_sd": (dims, values, units)}
    return xr.Dataset(data, coords=grid.coords().coords).assign_coords(
        sector=("sector", ["all"]),
        flux_time=("flux_time", edges[:-1]),
        flux_time_bounds=(("flux_time", "bounds"), time.bounds(edges)),
    )


def made_up(members=5, obs=3, noise=1.0):
    rng = np.random.default_rng(4)
    both = ("member", "obs")
    shared = rng.standard_normal((members, 1)) * np.arange(1.0, obs + 1)
    perturbed = 1e-6 * (5.0 + shared + rng.standard_normal((members, obs)))
    unperturbed = 1e-6 * (5.0 + noise * rng.standard_normal((members, obs)))
    data = {"perturbed": (both, perturbed), "unperturbed": (both, unperturbed)}
    return xr.Dataset(data).assign_coords(datum_id=("obs", [f"d{n}" for n in range(obs)]))


def test_drawn_fields_have_the_stated_covariance_on_uneven_axes():
    axes = (
        np.array([0.0, 1.0, 3.0]),
        np.array([10.0, 30.0]),
        np.array([0.0, 5.0]),
        np.array([0.0, 2.0, 4.0]),
    )
    lengths = (2.0, 25.0, 8.0, np.inf)
    members = 20_000
    fields = np.stack([np.ravel(list(draw(axes, lengths, [3, m]))) for m in range(members)])
    places = list(product(*axes))
    expected = np.array(
        [
            [np.exp(-sum(abs(p - q) / k for p, q, k in zip(a, b, lengths, strict=True))) for b in places]
            for a in places
        ]
    )
    # five standard errors of a covariance of unit normals
    error = np.sqrt((1.0 + expected**2) / members)
    assert np.all(np.abs(fields.T @ fields / members - expected) < 5.0 * error)
    assert np.all(np.abs(fields.mean(axis=0)) < 5.0 / np.sqrt(members))


def test_a_recursion_along_an_axis_is_the_cholesky_factor_of_its_correlation():
    axis, length = np.array([0.0, 0.4, 1.0, 5.0]), 1.3
    white = np.random.default_rng([7]).standard_normal(4)
    factor = np.linalg.cholesky(np.exp(-np.abs(axis[:, None] - axis) / length))
    assert list(draw((axis,), (length,), [7])) == pytest.approx(factor @ white, rel=1e-12)


def test_members_have_the_stated_sd_of_wind_and_mixing_height(make_met):
    met = make_met(2)
    settings = ensemble(WindError(1.5, 80e3, 7200.0, 500.0), MixingHeightError(0.4, 80e3, 7200.0), 200)
    cubes = [perturb(met, settings, m) for m in range(200)]
    u, v = (np.stack([(c[n] - met[n]).values.ravel() for c in cubes]) for n in ("u", "v"))
    factor = np.stack([(c.mixing_height / met.mixing_height).values.ravel() for c in cubes])
    # some hundred independent values per member, so sampling errors near 1 %
    assert u.std() == pytest.approx(1.5, rel=0.03)
    assert v.std() == pytest.approx(1.5, rel=0.03)
    assert np.mean(u * v) == pytest.approx(0.0, abs=0.05)
    assert factor.mean() == pytest.approx(1.0, abs=0.02)
    assert factor.std() == pytest.approx(0.4, rel=0.06)


def test_perturbed_winds_conserve_mass_as_well_as_those_they_come_from(make_met):
    met = make_met(2)
    cube = perturb(met, ensemble(WindError(2.0, 100e3, 7200.0, 1000.0)), 0)
    before, after = mass_balance(met), mass_balance(cube)
    assert float(np.abs(cube.w).max()) > 0.01
    assert after["residual"] < before["residual"] + 1e-9
    unbalanced = mass_balance(cube.assign(w=met.w))
    assert unbalanced["residual"] > 1e3 * after["residual"]


@pytest.mark.realdata
def test_real_met_keeps_its_mass_balance(data_dir):
    files = sorted((data_dir / "met" / "era5_utm32").glob("*.nc"))
    met = read_met(CFReader(era5_pressure_levels(roughness=0.3, cut_margin=True)), files)
    cube = perturb(met, ensemble(WindError(1.0, 100e3, 10800.0, 1000.0)), 0)
    before, after, unbalanced = (mass_balance(m)["residual"] for m in (met, cube, cube.assign(w=met.w)))
    assert after == pytest.approx(before, rel=1e-3)
    assert unbalanced > 30 * before


def test_members_are_the_same_bits_each_time_and_differ_from_each_other(make_met):
    met = make_met(2)
    settings = ensemble(WindError(1.0, 100e3, 7200.0, 1000.0), MixingHeightError(0.3, 100e3, 7200.0))
    first, again = perturb(met, settings, 1), perturb(met, replace(settings, members=9), 1)
    xr.testing.assert_identical(first, again)
    assert not np.array_equal(first.u, perturb(met, settings, 2).u)
    assert not np.array_equal(first.u, perturb(met, replace(settings, seed=2), 1).u)
    xr.testing.assert_identical(met, make_met(2))


def test_without_errors_the_footprints_are_the_same_bits(make_met, make_points, wide_grid):
    met, receptors = make_met(), make_points((10.0, 200.0))
    plain, member = (
        compute_footprints(cube, receptors, wide_grid, SETTINGS)
        for cube in (met, perturb(met, ensemble(), 0))
    )
    assert plain.foot.values.tobytes() == member.foot.values.tobytes()
    small = Grid(wide_grid.crs, -20e3, -50e3, 10e3, 10e3, 2, 10)
    modelled = modelled_ensemble(met, receptors, prior_on(small), ensemble(members=2), SETTINGS)
    assert np.array_equal(modelled.perturbed, modelled.unperturbed)
    assert not np.array_equal(modelled.perturbed[0], modelled.perturbed[1])  # other particles
    error = transport_error(modelled)
    assert not error.resolved.any()
    assert not error.sd.any()


H = 600.0  # m, mixing height
DENSITY = np.exp(-2 * H * (np.arange(40) + 0.5) / 40 / 8500.0)  # over that of the ground, up to 2 H


def mixed_air(make_met, make_points, particles):
    """Return met and a receptor of air mixed from the ground to 2 H: all hours of its footprint are equal."""
    levels = (5.0, *np.linspace(20.0, 2000.0, 100))
    met = make_met(4, wind=(5.0, 0.0), mixing_height=H, ustar=0.3, inverse_obukhov=-0.05, levels=levels)
    receptors = make_points(hours=4.0, particles=particles).isel(point=np.zeros(40, int))
    receptors["height"][0] = 2 * H * (np.arange(40) + 0.5) / 40
    receptors["weight"][0] = DENSITY / DENSITY.sum()
    return met, receptors


def strip_runs(make_met, make_points, wind, members, particles=3000):
    """Return met, settings and what a long strip of flux 10 to 40 km upwind gives."""
    met, receptors = mixed_air(make_met, make_points, particles)
    strip = Grid(met.spatial_ref.attrs["crs_wkt"], -40e3, -190e3, 10e3, 190e3, 3, 2)
    settings = ensemble(wind, members=members)
    return met, settings, modelled_ensemble(met, receptors, prior_on(strip, 4), settings, SETTINGS)


def test_a_uniform_wind_error_changes_what_a_strip_gives_by_its_reciprocal(make_met, make_points):
    # Residence near the ground does not depend on a uniform wind, only where it lies. In mixed air a second
    # adds M_air / (rho h) per flux, and air crosses a strip of width W in W / u seconds: y is as 1 / u, to
    # first order dy/y = -du/u. (A point release does not serve: its footprint per second falls with age.)
    met, settings, modelled = strip_runs(make_met, make_points, EVERYWHERE, members=8)
    u = np.array([float(perturb(met, settings, m).u[0, 0, 0, 0]) for m in range(8)])
    expected = 1e-6 * M_AIR / (1.2 * DENSITY.mean() * 2 * H) * 30e3 / u
    noise = modelled.unperturbed.values.std(ddof=1)
    assert np.ptp(u) > 1.0
    assert modelled.perturbed.values[:, 0] == pytest.approx(
        expected, abs=3.0 * noise + 0.01 * expected.mean()
    )
    # the covariance of met error and Monte-Carlo noise in eight members is of order noise / sqrt(7)
    sd = transport_error(modelled).sd.values
    first_order = expected.mean() * np.std(u, ddof=1) / 5.0
    assert sd == pytest.approx(first_order, abs=3.0 * noise / np.sqrt(7.0))


def test_a_uniform_factor_on_the_mixing_height_dilutes_by_as_much(make_met, make_points, wide_grid):
    # y is as 1 / h after the first hour, once mixed; what leaks above h (less from a deep layer) is left
    met = make_met(4, mixing_height=H, ustar=0.3, inverse_obukhov=-0.05)
    receptors = make_points(hours=4.0, particles=3000)
    cube = perturb(met, ensemble(mixing_height=MixingHeightError(0.3, np.inf, np.inf)), 2)
    factor = float(cube.mixing_height[0, 0, 0]) / H
    shallow, deep = (
        float(compute_footprints(c, receptors, wide_grid, SETTINGS).foot[0, 1:].sum()) for c in (met, cube)
    )
    assert factor > 1.3
    assert deep * factor / shallow == pytest.approx(1.0, abs=0.1)


def test_a_uniform_wind_error_moves_the_footprint_without_changing_its_sum(make_met, make_points, wide_grid):
    met, receptors = make_met(4, wind=(5.0, 0.0)), make_points(hours=4.0)
    cube = perturb(met, ensemble(EVERYWHERE), 0)
    plain, moved = (compute_footprints(c, receptors, wide_grid, SETTINGS) for c in (met, cube))
    assert not np.array_equal(plain.foot, moved.foot)
    # the same random numbers: far closer than two independent runs would be
    total = float(plain.foot.sum(dtype=float))
    assert float(moved.foot.sum(dtype=float)) == pytest.approx(total, abs=0.1 * float(plain.foot_sum_sd[0]))


def test_twice_the_wind_error_gives_about_twice_the_transport_error(make_met, make_points):
    single, double = (
        transport_error(strip_runs(make_met, make_points, replace(EVERYWHERE, sd=sd), 6, 1500)[2])
        for sd in (0.4, 0.8)
    )
    assert single.resolved.all()
    assert 1.5 < float(double.sd[0] / single.sd[0]) < 3.0


def test_transport_error_is_the_spread_without_its_monte_carlo_part():
    modelled = made_up(400, 3, noise=1.0)
    error = transport_error(modelled)
    assert error.sd.values == pytest.approx(1e-6 * np.arange(1.0, 4.0), rel=0.15)
    assert error.monte_carlo_sd.values == pytest.approx(np.full(3, 1e-6), rel=0.15)
    assert error.resolved.all()
    noisy = transport_error(made_up(50, 3, noise=20.0))
    assert not noisy.resolved.any()
    assert not noisy.sd.any()


def test_shared_columns_are_the_sample_covariance():
    modelled = made_up()
    columns = shared_columns(modelled.transpose("obs", "member"))
    expected = np.cov(modelled.perturbed.values.T)
    assert np.max(np.abs(columns @ columns.T - expected)) < 1e-12 * expected.max()


def observations(n=3):
    start = np.datetime64("2024-06-01T03", "ns") + np.arange(n) * np.timedelta64(1, "h")
    ds = xr.Dataset({
        "mole_fraction": ("obs", np.full(n, 4e-4), {"units": "mol mol-1"}),
        "flag": ("obs", np.zeros(n, np.int64)),
        "n_samples": ("obs", np.ones(n, np.int64)),
        "inlet": ("obs", np.full(n, 10.0), {"units": "m"}),
        "latitude": ("obs", np.full(n, 50.0), {"units": "degrees_north"}),
        "longitude": ("obs", np.full(n, 10.0), {"units": "degrees_east"}),
        "site": ("obs", np.full(n, "a")),
        "species": ("obs", np.full(n, "co2")),
    }).assign_coords(
        datum_id=("obs", [f"d{k}" for k in range(n)]),
        time=("obs", start),
        time_bounds=(("obs", "bounds"), np.stack([start, start + np.timedelta64(1, "h")], axis=1)),
    )  # fmt: skip
    return attach(ds, [Random("repeatability", np.full(n, 1e-7))], [])


def test_transport_error_joins_the_budget_of_the_observations():
    modelled = made_up()
    random = ErrorModel.from_datasets(with_transport_error(observations(), modelled, "random"))
    assert random.random[NAME] == pytest.approx(transport_error(modelled).sd.values ** 2)
    shared = ErrorModel.from_datasets(with_transport_error(observations(), modelled, "shared"))
    covariance = np.cov(modelled.perturbed.values.T) + 1e-14 * np.eye(3)
    assert shared.dense() == pytest.approx(covariance, rel=1e-9)
    assert set(shared.causes) == {"transport"}
    schema.check(with_transport_error(observations(), modelled, "shared"), "observations")


def in_threads(function, common, items):
    with ThreadPoolExecutor(3) as pool:
        yield from pool.map(partial(function, common), items)


def test_neither_workers_nor_a_lazily_opened_cube_change_a_bit(make_met, make_points, wide_grid):
    met, receptors = make_met(), make_points((10.0, 50.0, 200.0))
    settings = ensemble(WindError(1.0, 100e3, 7200.0, 1000.0), MixingHeightError(0.3, 100e3, 7200.0), 2)
    prior, footprint = prior_on(wide_grid), FootprintSettings(batch=1)
    plain = modelled_ensemble(met, receptors, prior, settings, footprint)
    xr.testing.assert_identical(
        plain, modelled_ensemble(met, receptors, prior, settings, footprint, in_threads)
    )
    lazy = met.chunk(time=1)
    xr.testing.assert_identical(plain, modelled_ensemble(lazy, receptors, prior, settings, footprint))
    assert lazy.u.chunks is not None


def test_what_cannot_be_meant_is_refused(make_met):
    with pytest.raises(ConfigError, match=r"sd = -1.*length = 0.*depth = nan"):
        WindError(-1.0, 0.0, 3600.0, np.nan)
    with pytest.raises(ConfigError, match=r"mixing height error: relative_sd = inf.*duration = -1"):
        MixingHeightError(np.inf, 1e3, -1.0)
    with pytest.raises(ConfigError, match="members = 1"):
        ensemble(members=1)
    with pytest.raises(ConfigError, match="member 4; expected 0 to 3"):
        perturb(make_met(), ensemble(), 4)
    met = make_met()
    met["u"][0, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="'u' has 1 NaN"):
        perturb(met, ensemble(), 0)
    modelled = made_up()
    with pytest.raises(ConfigError, match="structure 'both'"):
        with_transport_error(observations(), modelled, "both")
    with pytest.raises(DataError, match="datum_id"):
        with_transport_error(observations(), modelled.isel(obs=[1, 0, 2]), "random")
    with pytest.raises(DataError, match="1 values that are not finite"):
        transport_error(modelled.where(modelled.perturbed != modelled.perturbed[0, 0]))
    with pytest.raises(DataError, match="1 members"):
        shared_columns(modelled.isel(member=[0]))
