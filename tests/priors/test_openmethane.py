"""The Open Methane prior: twelve sectors, mass kept, closure checked."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from metroflux import schema, time
from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.errors import with_sd
from priors.openmethane import read_openmethane

LAMBERT = "+proj=lcc +lat_1=-15 +lat_2=-40 +lat_0=-23.27 +lon_0=133.3 +R=6370000 +units=m"
GRID = Grid(LAMBERT, 1_480_000.0, 300_000.0, 10_000.0, 10_000.0, 4, 3)
DAY = np.array(["2022-12-07", "2022-12-08"], dtype="datetime64[ns]")
M_CH4 = 0.0160425


def layout(total: float = 3.0) -> xr.Dataset:
    """Return a file of the published layout with two sectors, 1 and 2, synthetic numbers."""
    coords = GRID.coords().drop_vars(["lat", "lon", "cell_area"])
    dims = ("time", "vertical", "y", "x")
    attrs = {"units": "kg/m2/s", "grid_mapping": "spatial_ref"}
    old = attrs | {"deprecated": "will go", "superseded_by": "ch4_total"}
    values = {"ch4_sector_fugitive": 1.0, "ch4_sector_waste": 2.0, "ch4_total": total, "OCH4_TOTAL": total}
    ds = coords.assign({k: (dims, np.full((1, 1, 3, 4), v * 1e-10), attrs) for k, v in values.items()})
    ds["OCH4_TOTAL"].attrs = old
    ds["ch4_sector_old"] = (dims, np.full((1, 1, 3, 4), 1.0), old)
    time_bounds = (("time", "nv"), DAY[None])
    ds = ds.assign_coords(time=("time", DAY[:1], {"bounds": "time_bounds"})).assign(time_bounds=time_bounds)
    ds["time"].encoding["units"] = "hours since 2022-12-07"
    return ds.assign_attrs(openmethane_prior_version="v1.0.0")


def test_sectors_are_kept_and_totals_and_deprecated_variables_left_out(tmp_path: Path) -> None:
    layout().to_netcdf(tmp_path / "prior.nc")
    prior = read_openmethane(tmp_path / "prior.nc", DAY)
    assert list(prior.sector.values) == ["fugitive", "waste"]
    assert prior.attrs["inventory_version"] == "v1.0.0"
    mass = float((prior.flux.sum("sector")[0] * prior.cell_area).sum()) * M_CH4
    assert mass == pytest.approx(12 * 3e-10 * 1e8, rel=1e-9)


def test_sectors_that_miss_the_total_are_refused(tmp_path: Path) -> None:
    layout(total=3.00001).to_netcdf(tmp_path / "prior.nc")
    with pytest.raises(DataError, match=r"prior\.nc: sectors differ from ch4_total by up to 1e-15"):
        read_openmethane(tmp_path / "prior.nc", DAY)


def test_other_files_and_other_days_are_refused(tmp_path: Path) -> None:
    layout()[["ch4_total"]].to_netcdf(tmp_path / "total.nc")
    with pytest.raises(DataError, match=r"total\.nc: no variables ch4_sector_\*"):
        read_openmethane(tmp_path / "total.nc", DAY)
    layout().to_netcdf(tmp_path / "prior.nc")
    with pytest.raises(DataError, match="do not cover 2022-12-08"):
        read_openmethane(tmp_path / "prior.nc", DAY + np.timedelta64(1, "D"))


def total(prior: xr.Dataset) -> float:
    """Emission of all sectors in the first interval, kg s-1."""
    return float((prior.flux[:, 0] * prior.cell_area).sum()) * M_CH4


@pytest.mark.realdata
def test_the_bowen_basin_file_keeps_its_mass_on_its_own_and_on_another_grid() -> None:
    if "METROFLUX_DATA" not in os.environ:
        pytest.skip("METROFLUX_DATA is not set")
    path = Path(os.environ["METROFLUX_DATA"]) / "bowen_basin_ch4" / "prior-emissions.nc"
    edges = time.intervals(DAY[0], DAY[0] + np.timedelta64(12, "h"), np.timedelta64(1, "h"))
    with xr.open_dataset(path) as ds:
        mass = float(ds["ch4_total"].sum()) * 1e8  # kg s-1, cells of 10 km by 10 km
    own = read_openmethane(path, edges)
    schema.check(with_sd(own, 1.0, 1e-12), "prior")
    assert own.sizes["sector"] == 12
    assert total(own) == pytest.approx(mass, rel=1e-9)
    assert 0.94 < 1e8 / float(own.cell_area.mean()) < 0.97  # the true cells are 4 % larger than the projected
    fine = Grid(Grid.from_dataset(own).crs, 1_480_000.375, 314_369.5, 5_000.0, 5_000.0, 20, 20)
    assert total(read_openmethane(path, edges, fine)) == pytest.approx(mass, rel=1e-9)
    x, y = Grid("EPSG:32755", 0, 0, 1, 1, 1, 1).to_xy(148.45, -23.5)
    utm = Grid("EPSG:32755", float(x), float(y), 2_000.0, 2_000.0, 20, 20)
    part = read_openmethane(path, edges, utm)
    sectors = (own.flux[:, 0] * own.cell_area).sum(("y", "x"))
    inside = (part.flux[:, 0] * part.cell_area).sum(("y", "x"))
    np.testing.assert_allclose(inside, sectors * (1 - part.outside_share.values), rtol=1e-9)
    wide = Grid("EPSG:32755", float(x), float(y), 20_000.0, 20_000.0, 20, 20)
    with pytest.raises(DataError, match="does not cover"):
        read_openmethane(path, edges, wide)
