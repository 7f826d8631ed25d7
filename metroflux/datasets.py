"""Every dataset that passes between stages, as data: variables, dims, units, types; see docs/data-model.md.

Dims of a variable may contain SPACE, which stands for ("y", "x") on a grid or ("region",) where an
external response matrix knows regions only; in "regions" of such a space it is ("source_region",), because a
dataset cannot have "region" twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SPACE = "space"


@dataclass(frozen=True)
class Variable:
    """One variable or coordinate of a dataset.

    dims : in this order; may contain SPACE
    units : exact `units` attribute; None for labels, times and flags, which carry none
    kind : numpy kind, one of f (float), i (integer), U (text), M (time), b (truth)
    missing : whether NaN is allowed (it then means: missing, see the flag or the documentation)
    optional : whether the variable may be absent
    bits : width of a float
    """

    dims: tuple[str, ...]
    units: str | None = None
    kind: str = "f"
    missing: bool = False
    optional: bool = False
    bits: int = 64


_V = Variable
_MOLE = "mol mol-1"
_FLUX = "mol m-2 s-1"
_RATE = "kg s-1"
_STATE = ("sector", "flux_time", SPACE)
_CUBE = ("time", "level", "y", "x")
_SURFACE = ("time", "y", "x")
_TOTAL = ("region", "sector", "period")

_FLUX_TIME = {
    "flux_time": _V(("flux_time",), kind="M"),
    "flux_time_bounds": _V(("flux_time", "bounds"), kind="M"),
}
_COMPONENTS = {
    "random": _V(("random",), kind="U"),
    "shared": _V(("shared",), kind="U"),
    "shared_cause": _V(("shared",), kind="U"),
    "shared_traceable_to": _V(("shared",), kind="U"),
    "random_sd": _V(("obs", "random"), _MOLE),
    "shared_column": _V(("obs", "shared"), _MOLE),
}

_HYPERPARAMETERS = {
    "hyperparameter": _V(("hyperparameter",), kind="U", optional=True),
    "hyperparameter_status": _V(("hyperparameter",), kind="U", optional=True),
    "hyperparameter_unit": _V(("hyperparameter",), kind="U", optional=True),
    "hyperparameter_value": _V(("hyperparameter",), optional=True),
    "hyperparameter_sd": _V(("hyperparameter",), optional=True),
    "hyperparameter_stated": _V(("hyperparameter",), optional=True),
}

SCHEMAS: Mapping[str, Mapping[str, Variable]] = MappingProxyType({
    "observations": {
        "datum_id": _V(("obs",), kind="U"),
        "time": _V(("obs",), kind="M"),
        "time_bounds": _V(("obs", "bounds"), kind="M"),
        "site": _V(("obs",), kind="U"),
        "species": _V(("obs",), kind="U"),
        "inlet": _V(("obs",), "m", missing=True),
        "latitude": _V(("obs",), "degrees_north"),
        "longitude": _V(("obs",), "degrees_east"),
        "mole_fraction": _V(("obs",), _MOLE, missing=True),
        "flag": _V(("obs",), kind="i"),
        "n_samples": _V(("obs",), kind="i"),
        "instrument": _V(("obs",), kind="U", optional=True),
        "flag_remark": _V(("obs",), kind="U", optional=True),
        "averaging_kernel": _V(("obs", "layer"), "1", missing=True, optional=True),
        "pressure_weight": _V(("obs", "layer"), "1", missing=True, optional=True),
        "azimuth": _V(("obs",), "degree", missing=True, optional=True),
        "elevation": _V(("obs",), "degree", missing=True, optional=True),
        "range": _V(("obs",), "m", missing=True, optional=True),
        "gate_length": _V(("obs",), "m", missing=True, optional=True),
        "true_range": _V(("true_range",), "m", optional=True),
        "gate_kernel": _V(("obs", "true_range"), "1", missing=True, optional=True),
    } | _COMPONENTS,
    "background": {
        "datum_id": _V(("obs",), kind="U"),
        "background": _V(("obs",), _MOLE),
    } | _COMPONENTS,
    "background_field": {
        "time": _V(("time",), kind="M"),
        "height": _V(("height",), "m"),
        "y": _V(("y",), "m"),
        "x": _V(("x",), "m"),
        "mole_fraction": _V(("time", "height", "y", "x"), _MOLE),
    },
    "background_lonlat": {
        "time": _V(("time",), kind="M"),
        "level": _V(("level",), "m"),
        "lat": _V(("lat",), "degrees_north"),
        "lon": _V(("lon",), "degrees_east"),
        "mole_fraction": _V(("time", "level", "lat", "lon"), _MOLE),
    },
    "profiles": {
        "site": _V(("site",), kind="U"),
        "time": _V(("time",), kind="M"),
        "height": _V(("height",), "m"),
        "latitude": _V(("site",), "degrees_north"),
        "longitude": _V(("site",), "degrees_east"),
        "u": _V(("site", "time", "height"), "m s-1", missing=True),
        "v": _V(("site", "time", "height"), "m s-1", missing=True),
        "wind_sd": _V(("site", "time", "height"), "m s-1", missing=True),
        "mixing_height": _V(("site", "time"), "m", missing=True),
        "mixing_height_sd": _V(("site", "time"), "m", missing=True),
    },
    "dial": {
        "time": _V(("time",), kind="M"),
        "range": _V(("range",), "m"),
        "azimuth": _V(("time",), "degree"),
        "elevation": _V(("time",), "degree"),
        "latitude": _V((), "degrees_north"),
        "longitude": _V((), "degrees_east"),
        "gate_length": _V((), "m"),
        "mole_fraction": _V(("time", "range"), _MOLE, missing=True),
        "random_sd": _V(("time", "range"), _MOLE, missing=True),
        "neighbour_correlation": _V(("time", "range"), "1"),
        "cross_section_sd": _V((), "1"),
        "pressure": _V(("time", "range"), "Pa"),
        "temperature": _V(("time", "range"), "K"),
        "humidity": _V(("time", "range"), "mol mol-1", optional=True),
        "averaging_kernel": _V(("time", "range", "true_range"), "1", optional=True),
        "true_range": _V(("true_range",), "m", optional=True),
    },
    "direct_fluxes": {
        "datum_id": _V(("obs",), kind="U"),
        "time_bounds": _V(("obs", "bounds"), kind="M"),
        "emission": _V(("obs",), "mol s-1"),
        "emission_sd": _V(("obs",), "mol s-1"),
        "shared": _V(("shared",), kind="U"),
        "shared_cause": _V(("shared",), kind="U"),
        "shared_traceable_to": _V(("shared",), kind="U"),
        "emission_shared": _V(("obs", "shared"), "mol s-1"),
        "latitude": _V(("obs",), "degrees_north", optional=True),
        "longitude": _V(("obs",), "degrees_east", optional=True),
        "weight": _V(("obs", "y", "x"), "1"),
    },
    "receptors": {
        "receptor": _V(("receptor",), kind="U"),
        "datum_id": _V(("receptor",), kind="U"),
        "time": _V(("receptor",), kind="M"),
        "x": _V(("receptor", "point"), "m", missing=True),
        "y": _V(("receptor", "point"), "m", missing=True),
        "height": _V(("receptor", "point"), "m", missing=True),
        "weight": _V(("receptor", "point"), "1"),
        "duration": _V(("receptor",), "s"),
        "hours": _V(("receptor",), "h"),
        "particles": _V(("receptor",), kind="i"),
        "seed": _V(("receptor",), kind="i"),
    },
    "met": {
        "time": _V(("time",), kind="M"),
        "level": _V(("level",), "m"),
        "y": _V(("y",), "m"),
        "x": _V(("x",), "m"),
        "spatial_ref": _V((), kind="i"),
        "terrain": _V(("y", "x"), "m", bits=32),
        "u": _V(_CUBE, "m s-1", bits=32),
        "v": _V(_CUBE, "m s-1", bits=32),
        "w": _V(_CUBE, "m s-1", bits=32),
        "rho": _V(_CUBE, "kg m-3", bits=32),
        "t": _V(_CUBE, "K", bits=32),
        "q": _V(_CUBE, "kg kg-1", bits=32),
        "p": _V(_CUBE, "Pa", bits=32),
        "mixing_height": _V(_SURFACE, "m", bits=32),
        "ustar": _V(_SURFACE, "m s-1", bits=32),
        "inverse_obukhov": _V(_SURFACE, "m-1", bits=32),
        "z0": _V(_SURFACE, "m", bits=32),
        "sensible_heat_flux": _V(_SURFACE, "W m-2", bits=32),
    },
    "footprints": {
        "receptor": _V(("receptor",), kind="U"),
        "datum_id": _V(("receptor",), kind="U"),
        "time": _V(("receptor",), kind="M"),
        "lag": _V(("lag",), "h", kind="i"),
        "edge": _V(("edge",), kind="U"),
        "y": _V(("y",), "m"),
        "x": _V(("x",), "m"),
        "spatial_ref": _V((), kind="i"),
        "foot": _V(("receptor", "lag", "y", "x"), "m2 s mol-1", bits=32),
        "outside": _V(("receptor", "edge"), "1", missing=True),
        "foot_sum_sd": _V(("receptor",), "m2 s mol-1", missing=True),
        "lag_bounds": _V(("lag", "bounds"), optional=True),
        "reason": _V(("receptor",), kind="U"),
        "end_x": _V(("receptor", "particle"), "m", missing=True, bits=32),
        "end_y": _V(("receptor", "particle"), "m", missing=True, bits=32),
        "end_height": _V(("receptor", "particle"), "m", missing=True, bits=32),
        "end_hours": _V(("receptor", "particle"), "h", missing=True, bits=32),
        "end_weight": _V(("receptor", "particle"), "1", missing=True, optional=True),
    },
    "footprints_lonlat": {
        "receptor": _V(("receptor",), kind="U"),
        "datum_id": _V(("receptor",), kind="U"),
        "time": _V(("receptor",), kind="M"),
        "duration": _V(("receptor",), "s"),
        "release_latitude": _V(("receptor",), "degrees_north", missing=True),
        "release_longitude": _V(("receptor",), "degrees_east", missing=True),
        "release_height": _V(("receptor",), "m", missing=True),
        "lag": _V(("lag",), "h", kind="i"),
        "lag_bounds": _V(("lag", "bounds")),
        "edge": _V(("edge",), kind="U"),
        "lat": _V(("lat",), "degrees_north"),
        "lon": _V(("lon",), "degrees_east"),
        "lat_bounds": _V(("lat", "bounds")),
        "lon_bounds": _V(("lon", "bounds")),
        "foot": _V(("receptor", "lag", "lat", "lon"), "m2 s mol-1", bits=32),
        "outside": _V(("receptor", "edge"), "1", missing=True),
        "off_grid": _V(("receptor",), "m2 s mol-1", missing=True),
        "reason": _V(("receptor",), kind="U"),
    },
    "point_sources": {
        "source": _V(("source",), kind="U"),
        "sector": _V(("source",), kind="U"),
        "x": _V(("source",), "m"),
        "y": _V(("source",), "m"),
        "bottom": _V(("source",), "m"),
        "top": _V(("source",), "m"),
        "emission": _V(("source",), "mol s-1"),
        "emission_sd": _V(("source",), "mol s-1"),
    },
    "source_footprints": {
        "receptor": _V(("receptor",), kind="U"),
        "datum_id": _V(("receptor",), kind="U"),
        "time": _V(("receptor",), kind="M"),
        "lag": _V(("lag",), "h", kind="i"),
        "source": _V(("source",), kind="U"),
        "bottom": _V(("source",), "m"),
        "top": _V(("source",), "m"),
        "source_area": _V(("source",), "m2"),
        "foot": _V(("receptor", "lag", "source"), "m2 s mol-1"),
        "foot_sd": _V(("receptor", "source"), "m2 s mol-1"),
    },
    "prior": _FLUX_TIME | {
        "sector": _V(("sector",), kind="U"),
        "cell_area": _V((SPACE,), "m2"),
        "flux": _V(_STATE, _FLUX),
        "flux_sd": _V(_STATE, _FLUX),
    },
    "jacobian": _FLUX_TIME | {
        "datum_id": _V(("obs",), kind="U"),
        "row_start": _V(("obs_edge",), kind="i"),
        "column": _V(("nonzero",), kind="i"),
        "sensitivity": _V(("nonzero",), "m2 s mol-1"),
        "cell_area": _V((SPACE,), "m2"),
    },
    "posterior": _FLUX_TIME | {
        "sector": _V(("sector",), kind="U"),
        "cell_area": _V((SPACE,), "m2"),
        "flux": _V(_STATE, _FLUX),
        "flux_sd": _V(_STATE, _FLUX),
        "prior_flux": _V(_STATE, _FLUX),
        "prior_flux_sd": _V(_STATE, _FLUX),
        "uncertainty_reduction": _V(_STATE, "1"),
        "averaging_kernel_diagonal": _V(_STATE, "1"),
        "parameter": _V(("parameter",), kind="U"),
        "parameter_unit": _V(("parameter",), kind="U"),
        "parameter_mean": _V(("parameter",)),
        "parameter_sd": _V(("parameter",)),
        "prior_parameter_sd": _V(("parameter",)),
    } | _HYPERPARAMETERS,
    "diagnostics": {
        "datum_id": _V(("obs",), kind="U"),
        "time": _V(("obs",), kind="M"),
        "site": _V(("obs",), kind="U"),
        "mole_fraction": _V(("obs",), _MOLE),
        "background": _V(("obs",), _MOLE),
        "prior_mole_fraction": _V(("obs",), _MOLE),
        "posterior_mole_fraction": _V(("obs",), _MOLE),
        "innovation": _V(("obs",), _MOLE),
        "innovation_sd": _V(("obs",), _MOLE),
        "observation_sd": _V(("obs",), _MOLE),
        "loo_residual": _V(("obs",), _MOLE),
        "loo_sd": _V(("obs",), _MOLE),
        "withheld_residual": _V(("obs",), _MOLE),
        "withheld_sd": _V(("obs",), _MOLE),
        "leverage": _V(("obs",), "1"),
        "influence": _V(("obs",), "1"),
        "weight": _V(("obs",), "1", optional=True),
        "site_name": _V(("site_name",), kind="U"),
        "site_count": _V(("site_name",), kind="i"),
        "site_chi2": _V(("site_name",), "1"),
        "site_prior_rmse": _V(("site_name",), _MOLE),
        "site_posterior_rmse": _V(("site_name",), _MOLE),
        "site_withheld_rmse": _V(("site_name",), _MOLE),
        "site_withheld_chi2": _V(("site_name",), "1"),
        "site_dofs": _V(("site_name",), "1"),
        "site_autocorrelation": _V(("site_name",), "1", missing=True),
        "site_whiteness_p": _V(("site_name",), "1", missing=True),
        "chi2": _V((), "1"),
        "chi2_per_observation": _V((), "1"),
        "dofs": _V((), "1"),
        "log_evidence": _V((), "1"),
        "condition_number": _V((), "1"),
        "direct": _V(("direct",), kind="U", optional=True),
        "direct_time": _V(("direct",), kind="M", optional=True),
        "direct_emission": _V(("direct",), "mol s-1", optional=True),
        "direct_prior": _V(("direct",), "mol s-1", optional=True),
        "direct_posterior": _V(("direct",), "mol s-1", optional=True),
        "direct_sd": _V(("direct",), "mol s-1", optional=True),
        "direct_loo_residual": _V(("direct",), "mol s-1", optional=True),
        "direct_loo_sd": _V(("direct",), "mol s-1", optional=True),
    } | _HYPERPARAMETERS,
    "regions": {
        "region": _V(("region",), kind="U"),
        "weight": _V(("region", SPACE), "1"),
    },
    "totals": {
        "region": _V(("region",), kind="U"),
        "sector": _V(("sector",), kind="U"),
        "period": _V(("period",), kind="U"),
        "period_bounds": _V(("period", "bounds"), kind="M"),
        "cause": _V(("cause",), kind="U"),
        "prior": _V(_TOTAL, _RATE),
        "prior_sd": _V(_TOTAL, _RATE),
        "posterior": _V(_TOTAL, _RATE),
        "posterior_sd": _V(_TOTAL, _RATE),
        "change_sd": _V(_TOTAL, _RATE),
        "budget": _V((*_TOTAL, "cause"), "kg2 s-2"),
        "posterior_covariance": _V(("period", "sector", "region", "region_2"), "kg2 s-2"),
        "part": _V(("part",), kind="U", optional=True),
        "sector_covariance": _V(("region", "period", "part", "part_2"), "kg2 s-2", optional=True),
        "material": _V(("material",), kind="U", optional=True),
        "traceability": _V((*_TOTAL, "material"), "1", optional=True),
    },
})  # fmt: skip
"""Every dataset that passes between stages; see docs/data-model.md for their meaning."""
