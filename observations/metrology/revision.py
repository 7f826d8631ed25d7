"""The share of each certificate in each datum, kept so that a revised certificate needs no raw log."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.uncertainty import Shared, attach, components
from observations.metrology.certificates import Standard
from observations.metrology.trace import Node, nodes_of, record, shown

Floats = npt.NDArray[np.float64]

OWN, PARENT = "certificate:", "parent:"
"""Beginnings of the names of the components of a tank alone and of its parent."""


def certificate_parts(standards: Sequence[Standard], jacobian: Floats) -> list[Shared]:
    """Return the errors that come with certified values: one of each tank alone, one of each parent.

    Parameters
    ----------
    jacobian : derivative of each datum to each certified value, shape (obs, tank)
    """
    parts = [
        Shared(OWN + s.certificate, "calibration", jacobian[:, i] * s.own_sd, s.certificate)
        for i, s in enumerate(standards)
        if s.own_sd > 0
    ]
    for parent in dict.fromkeys(s.parent for s in standards if s.parent_sd > 0):
        common = np.array([s.parent_sd if s.parent == parent else 0.0 for s in standards])
        parts.append(Shared(PARENT + parent, "calibration", jacobian @ common, parent))
    return parts


def with_certificates(
    ds: xr.Dataset, standards: Sequence[Standard], jacobian: Floats, analyser: tuple[str, str]
) -> xr.Dataset:
    """Return observations with their derivative to the certified values, and the chain that they rest on.

    Parameters
    ----------
    analyser : site and serial number
    """
    site, serial = analyser
    gas = standards[0].species
    tanks = tuple(f"tank {s.tank}" for s in standards)
    nodes = [Node(f"{site}:{gas}", "analyser", f"{serial} at {site}, {gas}", tanks)]
    for s in standards:
        nodes += [
            Node(f"tank {s.tank}", "working standard", f"cylinder {s.tank}", (s.certificate,)),
            Node(s.certificate, "certificate", describe(s), (s.parent or s.scale,)),
        ]
        if s.parent:
            nodes.append(Node(s.parent, "reference material", s.parent, (s.scale,)))
        nodes.append(Node(s.scale, "scale", s.scale, ()))
    mole = {"units": "mol mol-1", "long_name": "certified value used"}
    kept = ds.assign(
        certificate_jacobian=(
            ("obs", "certificate"),
            jacobian,
            {"units": "1", "long_name": "derivative of the mole fraction to the certified value"},
        )
    ).assign_coords(
        certificate=("certificate", np.array([s.certificate for s in standards])),
        certified_value=("certificate", np.array([s.value for s in standards]), mole),
    )
    return record(kept, nodes)


def describe(s: Standard) -> str:
    """Return a certified value in words, with its expanded uncertainty and coverage factor."""
    factor, unit = shown(s.species)
    value, expanded = s.value * factor, s.k * s.sd * factor
    return f"{s.certificate}: ({value:.3f} ± {expanded:.3f}) {unit}, k = {s.k:g}, {s.scale}"


def revise(ds: xr.Dataset, standards: Sequence[Standard]) -> xr.Dataset:
    """Return calibrated observations recomputed with revised certificates, without the raw log.

    Values follow the kept derivatives: exact where the fit is linear in the certified values (as many tanks
    as unknowns), else to first order in the revision.

    Parameters
    ----------
    standards : one for each certificate of the data; those that did not change included

    Raises
    ------
    DataError
        If the data keep no derivatives, a certificate is missing, or the scale differs.
    """
    if "certificate_jacobian" not in ds.variables:
        raise DataError("observations keep no derivative to certificates; expected those of a calibration")
    ids = list(map(str, ds.certificate.values))
    given = {s.certificate: s for s in standards}
    absent = [name for name in ids if name not in given]
    if absent:
        raise DataError(f"certificate {', '.join(absent)} is not given; the data rest on {', '.join(ids)}")
    chosen = [given[name] for name in ids]
    scales = sorted({s.scale for s in chosen})
    if scales != [ds.attrs["scale"]]:
        raise DataError(f"revised certificates are on {', '.join(scales)}; the data on {ds.attrs['scale']}")
    jacobian = ds.certificate_jacobian.values
    moved = np.array([s.value for s in chosen]) - ds.certified_value.values
    random, shared = components(ds)
    kept = [s for s in shared if not s.name.startswith((OWN, PARENT))]
    bare = ds.drop_dims(["random", "shared"]).assign(
        mole_fraction=ds.mole_fraction.copy(data=ds.mole_fraction.values + jacobian @ moved)
    )
    site = str(ds.site.values[0])
    analyser = next(n.label for n in nodes_of(ds).values() if n.kind == "analyser").split(" at ")[0]
    revised = attach(bare, random, kept + certificate_parts(chosen, jacobian))
    return schema.check(
        with_certificates(revised, chosen, jacobian, (site, analyser)), "observations", "revision"
    )
