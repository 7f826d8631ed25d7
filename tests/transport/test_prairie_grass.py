"""Backward particles against the Project Prairie Grass tracer experiment (1956), nothing fitted."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metroflux.constants import M_AIR, VON_KARMAN
from transport.kernels.field import stability
from transport.kernels.state import Rules, Target
from transport.particles import MetTimes, fly, release

LEVELS = (2.0, 4.0, 7.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0, 200.0, 500.0, 1000.0, 3000.0)
Z0, CORIOLIS = 0.006, 9.85e-5
ARCS = (50.0, 100.0, 200.0, 400.0, 800.0)
CELL, REACH = 2.5, 1000.0


def run_met(make_met, run):
    """Return the similarity profile of one run; stable mixing height 0.4 sqrt(u* L / f) (Zilitinkevich)."""
    ustar, length = run.friction_velocity_m_s, run.obukhov_length_m
    h = run.mixing_height_m if run.mixing_height_m > 0 else 0.4 * np.sqrt(ustar * length / CORIOLIS)
    met = make_met(1, mixing_height=h, ustar=ustar, inverse_obukhov=1 / length, levels=LEVELS)
    inside = np.minimum(LEVELS, max(h, 10.0))
    wind = [np.log(z / Z0) - stability(z / length) + stability(Z0 / length) for z in inside]
    met["u"] = met.u.copy(data=np.broadcast_to(np.array(wind), (2, 9, 9, len(LEVELS))).transpose(0, 3, 1, 2))
    met["u"] = (met.u * ustar / VON_KARMAN).astype(np.float32)
    met["z0"][:] = Z0
    return met


def predicted(met, points):
    """Return the crosswind-integrated concentration per release rate (s m-2) over upwind distance."""
    flight = release(points)
    flight.particles.floor[:] = 2 * 0.46  # the thinnest layer is centred on the release height
    corner, cell = np.array([-REACH, -1e6]), np.array([CELL, 2e6])
    target = Target(np.zeros((1, 1, 1, int(REACH / CELL))), np.zeros(1), np.zeros(1, np.int64), corner, cell)
    fly(flight, MetTimes(met), target, Rules(0.1, 0.1, 0.0, 0))
    return target.foot[0, 0, 0] / CELL * float(met.rho[0, 0, 0, 0]) / M_AIR


def observed(samples, run):
    """Return the arc integral of concentration per release rate, s m-2."""
    angle = (samples.azimuth_deg.values - run.wind_direction_deg) % 360.0 - 180.0
    order = np.argsort(angle)
    across = np.radians(angle[order]) * samples.arc_distance_m.iloc[0]
    return np.trapezoid(samples.concentration_mg_m3.values[order], across) * 1e-3 / run.release_rate_g_s


@pytest.mark.slow
@pytest.mark.realdata
def test_prairie_grass_arcs_are_met_within_a_factor_of_two_and_without_bias(make_met, make_points):
    if "METROFLUX_DATA" not in os.environ:
        pytest.skip("METROFLUX_DATA is not set: no real files")
    folder = Path(os.environ["METROFLUX_DATA"]) / "controlled_release" / "prairie_grass"
    runs, arcs = pd.read_csv(folder / "runs.csv"), pd.read_csv(folder / "arcs.csv")
    upwind = REACH - CELL * (np.arange(int(REACH / CELL)) + 0.5)
    pairs = []
    for run in runs.itertuples():
        points = make_points((1.5,), hours=0.6, end=1.0, particles=1000)
        along = predicted(run_met(make_met, run), points)
        for arc in ARCS:
            near = np.abs(upwind - arc) < max(0.05 * arc, CELL)
            samples = arcs[(arcs.run == run.run) & (arcs.arc_distance_m == arc)]
            pairs.append((arc, observed(samples, run), along[near].mean()))
    arc, seen, modelled = np.array(pairs).T
    ratio = modelled / seen
    # design page nearfield.md: FAC2 0.94-0.95, FB 0.00, NMSE 0.16-0.22 with these formulae
    assert np.mean((ratio > 0.5) & (ratio < 2.0)) > 0.9
    assert abs(2 * (seen.mean() - modelled.mean()) / (seen.mean() + modelled.mean())) < 0.1
    assert np.mean((seen - modelled) ** 2) / (seen.mean() * modelled.mean()) < 0.3
    assert np.mean((ratio[arc == 50.0] > 0.5) & (ratio[arc == 50.0] < 2.0)) == 1.0
