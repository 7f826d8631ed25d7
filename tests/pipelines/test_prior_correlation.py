"""The correlation that a configuration states is the one that is solved with."""

from types import SimpleNamespace

import pytest
import xarray as xr
from pydantic import ValidationError

from inversion.settings import PriorError
from pipelines.model import _prior_errors
from pipelines.sections import SectorError, StatedError

PRIOR = xr.Dataset(coords={"sector": ["traffic", "power"]})


def test_every_field_reaches_the_covariance_in_its_unit():
    errors = {
        "traffic": SectorError(
            relative=0.5, floor=0.1, length_km=12, length_y_km=7, per_axis=True, form="matern32",
            duration_h=48, hour_duration_h=3,
        ),
        "power": StatedError(stated=True, length_km=2, duration_h=120),
    }  # fmt: skip
    config = SimpleNamespace(prior=SimpleNamespace(errors=errors))
    assert _prior_errors(config, PRIOR) == {
        "traffic": PriorError(
            12e3, 48 * 3600.0, "matern32", length_y=7e3, per_axis=True, hour_duration=3 * 3600.0
        ),
        "power": PriorError(2e3, 120 * 3600.0),
    }


def test_a_length_northward_must_be_positive():
    with pytest.raises(ValidationError, match="length_y_km"):
        StatedError(stated=True, length_km=2, length_y_km=0, duration_h=120)
