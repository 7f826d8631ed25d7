"""`metroflux observations profiles` on real files of Doppler lidars, and used wrongly."""

import numpy as np
import pytest
from typer.testing import CliRunner

from metroflux.errors import ConfigError, DataError
from observations.lidar import read_profiles
from pipelines.cli import cli


def profiles(*words):
    done = CliRunner().invoke(
        cli, ["observations", "profiles", *map(str, words), "--site", "L", "--height", "2"]
    )
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


@pytest.mark.realdata
def test_a_scan_of_arm_is_a_wind_profile_whose_mixing_height_it_cannot_say(data_dir, tmp_path):
    scan = data_dir / "observations/lidar_arm/sgpdlppiC1.b1.20191015.120023.cdf"
    said = profiles(scan, "-o", tmp_path / "p.nc")
    found = read_profiles(tmp_path / "p.nc")
    assert int(np.isfinite(found.u.values).sum()) == 138
    assert float(found.latitude[0]) == pytest.approx(36.6053, abs=1e-4)
    assert np.isnan(found.mixing_height.values).all()
    assert "cannot say: no vertical rays" in said
    assert list(tmp_path.iterdir()) == [tmp_path / "p.nc"]


@pytest.mark.realdata
def test_files_that_are_no_doppler_lidar_or_say_no_place_are_refused(data_dir, tmp_path):
    stare = data_dir / "observations/lidar_halo/pass/eriswil-2022-12-14-Stare_91_20221214_11.hpl"
    tower = data_dir / "observations/icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4"
    with pytest.raises(ConfigError, match="the files say 0 places; expected --place"):
        profiles(stare, "-o", tmp_path / "p.nc")
    with pytest.raises(DataError, match="not a lidar file; expected HALO"):
        profiles(tower, "-o", tmp_path / "p.nc", "--place", "7.9,47.1")
    with pytest.raises(ConfigError, match="given twice"):
        profiles(stare, stare, "-o", tmp_path / "p.nc", "--place", "7.9,47.1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["x", "1", "400,0", "10,91"])
def test_a_place_that_is_none_is_refused(tmp_path, place):
    with pytest.raises(ConfigError, match=f"--place '{place}'"):
        profiles(tmp_path / "none", "-o", tmp_path / "p.nc", "--place", place)
