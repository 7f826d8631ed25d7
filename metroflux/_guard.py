"""Refuse to run beside another distribution that provides one of our top-level names."""

from importlib.util import find_spec
from pathlib import Path

ROOMS = ("observations", "priors", "transport", "inversion", "products", "pipelines")


def refuse_foreign_rooms() -> None:
    """Raise ImportError when a room of metroflux would be imported from elsewhere.

    The rooms are imported by plain names (`import transport`), and at least one other package of the
    field ships a top-level `transport`: importing that one by accident would be silent and wrong.
    """
    home = Path(__file__).resolve().parent.parent
    for room in ROOMS:
        spec = find_spec(room)
        if spec is None or spec.origin is None:
            continue  # a partial checkout: the import of the room itself will say so
        found = Path(spec.origin).resolve().parent
        if found != home / room:
            raise ImportError(
                f"metroflux: package '{room}' is provided by {found}, expected {home / room}; "
                "another distribution uses the same top-level name: remove it from this environment"
            )
