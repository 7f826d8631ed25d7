from collections.abc import Callable

import numpy as np
import pytest

from inversion.problem import PriorError
from inversion.settings import Parameter
from metroflux.errors import DataError, SchemaError


def _ids(ds, ids):
    return ds.assign_coords(datum_id=("obs", np.array(ids)))


def _shuffle(i):
    i.background = i.background.isel(obs=np.r_[1, 0, 2:24])


def _other(i):
    i.jacobian = _ids(i.jacobian, [*i.jacobian.datum_id.values[:-1], "stranger"])


def _fewer(i):
    i.background = i.background.isel(obs=slice(20))


def _twice(i):
    for name in ("observations", "background", "jacobian"):
        ds = getattr(i, name)
        setattr(i, name, _ids(ds, ["d001", *ds.datum_id.values[1:]]))


def _same_again(i):
    ds = i.observations
    for name in ("site", "inlet", "time", "species", "mole_fraction"):
        ds[name].values[4] = ds[name].values[3]


def _refined(**change):
    def spoil(i):
        i.errors["traffic"] = PriorError(**({"length": 4000.0, "duration": 0.0} | change))

    return spoil


def _flagged(i):
    i.observations["flag"].values[3] = 2


def _no_value(i):
    i.observations["mole_fraction"].values[3] = np.nan


def _no_sd(i):
    i.observations["random_sd"].values[5] = 0
    i.background["random_sd"].values[5] = 0


def _negative_sd(i):
    i.observations["random_sd"].values[5, 0] = -1e-7


def _prior_sd_zero(i):
    i.prior["flux_sd"].values[:] = 0


def _prior_sd_negative(i):
    i.prior["flux_sd"].values[1, 1, 1, 1] = -1e-7


def _no_settings(i):
    del i.errors["plants"]


def _extra_settings(i):
    i.errors["farms"] = PriorError(0, 0)


def _bad_settings(i):
    i.errors["plants"] = PriorError(-1.0, float("nan"), "cubic")


def _bad_matrix(i):
    i.errors["plants"] = PriorError(0, 0, correlation=1.5 * np.ones((20, 20)) - 0.5 * np.eye(20))


def _other_times(i):
    i.jacobian = i.jacobian.assign_coords(
        flux_time_bounds=i.jacobian.flux_time_bounds + np.timedelta64(1, "h")
    )


def _other_cells(i):
    i.jacobian = i.jacobian.assign_coords(cell_area=i.jacobian.cell_area * 2)


def _far_column(i):
    i.jacobian["column"].values[-1] = 10**6


def _broken_rows(i):
    i.jacobian["row_start"].values[-1] += 1


def _other_species(i):
    i.prior = i.prior.assign_attrs(species="ch4")


def _reserved(i):
    i.prior = i.prior.assign_coords(sector=("sector", np.array(["traffic", "heating", "total"])))
    i.errors = {s: PriorError(0, 0) for s in ("traffic", "heating", "total")}


def _parameter(**change):
    def spoil(i):
        values = {"name": "extra", "cause": "background", "column": np.ones(24), "sd": 1e-7} | change
        i.parameters.append(Parameter(**values))

    return spoil


FAULTS: list[tuple[Callable, str]] = [
    (_shuffle, "background: data in another order, first at 0: 'd001', expected 'd000'"),
    (
        _other,
        r"jacobian: 1 data of the observations are missing \(d023\); jacobian: 1 data are not .*stranger",
    ),
    (_fewer, "background: 4 data of the observations are missing"),
    (_twice, "datum_id given more than once: d001"),
    (_same_again, r"2 data have the same site, inlet, .* \(d003, d004\), expected each observation once"),
    (_refined(length_y=-1.0), "'traffic': length_y is -1.0, expected a positive number"),
    (_refined(hour_duration=np.inf), "'traffic': hour_duration is inf"),
    (_refined(length=0.0, per_axis=True), "'traffic': length_y or per_axis without a length"),
    (_refined(mask=np.ones(3, int)), r"'traffic': mask has shape \(3,\) and type int64, expected \(20,\)"),
    (_refined(mask=np.ones(20)), "'traffic': mask has .* float64, expected .* integers"),
    (_refined(length=0.0, mask=np.ones(20, int)), "'traffic': mask without a length"),
    (_flagged, r"1 data are flagged \(d003\)"),
    (_no_value, r"1 data have no mole_fraction \(d003\)"),
    (_no_sd, r"1 data have no random error \(d005\)"),
    (_negative_sd, r"observations: random_sd is negative for 1 data \(d005\)"),
    (_prior_sd_zero, "flux_sd is zero everywhere"),
    (_prior_sd_negative, "flux_sd is negative in 1 of 480"),
    (_no_settings, "no prior error settings for sector plants"),
    (_extra_settings, "prior error settings for farms"),
    (
        _bad_settings,
        "length is -1.0.*duration is nan.*form 'cubic', expected one of exponential, gaussian, matern32",
    ),
    (_bad_matrix, "correlation matrix has a negative eigenvalue"),
    (_other_times, "jacobian: flux_time_bounds start"),
    (_other_cells, "jacobian: cell_area is not that of the prior"),
    (_far_column, "jacobian: column from 0 to 1000000, expected within 0 to 159"),
    (_broken_rows, "jacobian: row_start is not 25 ascending edges"),
    (_other_species, "species ch4, co2 in one inversion"),
    (_reserved, "expected distinct names other than 'total'"),
    (_parameter(sd=0.0), "parameter 'extra': sd is 0.0"),
    (_parameter(column=np.zeros(24)), "parameter 'extra': column is all zero"),
    (_parameter(column=np.ones(3)), r"parameter 'extra': column has shape \(3,\), expected \(24,\)"),
    (_parameter(column=np.full(24, np.nan)), "parameter 'extra': column has 24 values not finite"),
    (_parameter(name="offset"), "parameter given twice: offset"),
    (_parameter(cause="prior"), "cause 'prior' is the budget line of the fluxes"),
]


@pytest.mark.parametrize(("spoil", "message"), FAULTS)
def test_wrong_input_is_refused_with_value_and_expectation(inputs_of, spoil, message):
    inputs = inputs_of(1)
    spoil(inputs)
    with pytest.raises(DataError, match=message):
        inputs.assemble()


def test_all_faults_are_listed_at_once(inputs_of):
    inputs = inputs_of(1)
    for spoil in (_no_sd, _flagged, _no_settings):
        spoil(inputs)
    with pytest.raises(DataError, match=r"flagged.*no random error.*plants"):
        inputs.assemble()


def test_length_between_regions_is_refused(inputs_of):
    inputs = inputs_of(1, "region")
    inputs.errors["plants"] = PriorError(5e4, 0)
    with pytest.raises(
        DataError, match=r"'plants': length 50000\.0 m between regions, expected 0 or a matrix"
    ):
        inputs.assemble()


def test_prior_with_nan_is_refused_by_the_schema(inputs_of):
    inputs = inputs_of(1)
    inputs.prior["flux"].values[0, 0, 0, 0] = np.nan
    with pytest.raises(SchemaError, match="'flux' has 1 NaN"):
        inputs.assemble()


def test_no_observations_is_refused(inputs_of):
    inputs = inputs_of(1)
    for name in ("observations", "background", "jacobian"):
        setattr(inputs, name, getattr(inputs, name).isel(obs=slice(0)))
    inputs.parameters = []
    with pytest.raises(DataError, match="dimension 'obs' is empty"):
        inputs.assemble()


def test_datum_that_sees_nothing_is_kept_and_named(inputs_of):
    inputs = inputs_of(1)
    start = inputs.jacobian.row_start.values
    inputs.jacobian["sensitivity"].values[start[4] : start[5]] = 0
    assert inputs.assemble().unseen == ("d004",)


def test_jacobian_with_nan_is_refused_by_the_schema(inputs_of):
    inputs = inputs_of(1)
    inputs.jacobian["sensitivity"].values[7] = np.nan
    with pytest.raises(SchemaError, match="jacobian: 'sensitivity' has 1 NaN"):
        inputs.assemble()


@pytest.mark.parametrize(
    ("name", "variable", "units"),
    [("prior", "flux", "umol m-2 s-1"), ("jacobian", "sensitivity", "ppm m2 s umol-1"),
     ("observations", "mole_fraction", "ppm"), ("background", "background", "umol mol-1")],
)  # fmt: skip
def test_units_that_do_not_fit_together_are_refused_by_the_schema(inputs_of, name, variable, units):
    inputs = inputs_of(1)
    getattr(inputs, name)[variable].attrs["units"] = units
    with pytest.raises(SchemaError, match=f"{name}: '{variable}' has units '{units}'"):
        inputs.assemble()


def test_duration_of_an_unknown_error_is_refused(inputs_of):
    inputs = inputs_of(1)
    inputs.durations = {"wind": 3600.0}
    with pytest.raises(DataError, match="durations of random errors: wind; expected"):
        inputs.assemble()
