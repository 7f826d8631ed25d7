"""One datum, one role: the same measurement must not count twice in an inversion."""

from collections.abc import Iterable, Mapping

from metroflux.errors import DataError


def check_roles(roles: Mapping[str, Iterable[str]]) -> None:
    """Stop if one provenance id is used in two places.

    Parameters
    ----------
    roles : the provenance ids (hash of a file, id of a scan or stack) used in each place, such as
        "prior.inventory" and "observations.sources[0]"

    Raises
    ------
    DataError
        Naming each id with all of its places.

    >>> check_roles({"prior": ["stack-1"], "validation": ["stack-1"]})
    Traceback (most recent call last):
    metroflux.errors.DataError: used twice: stack-1 in prior and validation; expected one role
    """
    places: dict[str, list[str]] = {}
    for place, ids in roles.items():
        for one in dict.fromkeys(ids):
            places.setdefault(one, []).append(place)
    twice: dict[str, list[str]] = {}
    for one, where in places.items():
        if len(where) > 1:
            twice.setdefault(" and ".join(where), []).append(one)
    found = [f"{_named(ids)} in {where}" for where, ids in twice.items()]
    if found:
        raise DataError(f"used twice: {'; '.join(found)}; expected one role")


def _named(ids: list[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1} more"
