"""One way to run many independent pieces: the engine is chosen above, the science does not know it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")


class Mapper(Protocol):
    """Apply a function to every item, results in the order of the items.

    The order makes sums over the results the same, to the bit, for any number of workers.
    """

    def __call__(self, function: Callable[[C, T], R], common: C, items: Sequence[T]) -> Iterator[R]:
        """Yield function(common, item) for each item; `common` is sent to each worker once."""
        ...


def serial(function: Callable[[C, T], R], common: C, items: Sequence[T]) -> Iterator[R]:
    """Run in this process, one item after the other.

    >>> list(serial(lambda base, item: base + item, 10, [1, 2]))
    [11, 12]
    """
    for item in items:
        yield function(common, item)
