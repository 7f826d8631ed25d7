"""How far footprints are, what one costs and how long the rest will take."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from time import monotonic

from transport.sparse import Batch

Tell = Callable[[str, dict[str, float]], None]
"""Takes a line for people and its figures for machines."""


@dataclass(frozen=True)
class Figures:
    """Batches and receptors done of all, those of them from the store, costs; -1 where not known yet."""

    batches: int
    batches_total: int
    receptors: int
    receptors_total: int
    receptors_reused: int
    cpu_seconds_per_receptor: float
    seconds_left: float

    def __str__(self) -> str:
        reused = f" ({self.receptors_reused} from the store)" if self.receptors_reused else ""
        parts = [
            f"{self.batches} of {self.batches_total} batches",
            f"{self.receptors} of {self.receptors_total} receptors{reused}",
        ]
        if self.cpu_seconds_per_receptor >= 0:
            parts.append(f"{self.cpu_seconds_per_receptor:.2f} CPU s per receptor")
        if self.receptors < self.receptors_total and self.seconds_left >= 0:
            parts.append(f"{duration(self.seconds_left)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a span of time in words.

    >>> duration(7.2), duration(200), duration(9000)
    ('7 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def followed(
    batches: Iterator[Batch], receptors: int, tell: Tell, clock: Callable[[], float] = monotonic
) -> Iterator[Batch]:
    """Pass on batches of footprints and tell after each how far the work is.

    The time left is that of the receptors computed so far, per receptor: those from the store cost nothing.
    """
    began, done, computed, cpu, reused = clock(), 0, 0, 0.0, 0
    for number, batch in enumerate(batches, 1):
        done += batch.rows.size
        if batch.reused:
            reused += batch.rows.size
            began = clock()
        else:
            computed += batch.rows.size
            cpu += batch.cpu_seconds
        pace = (clock() - began) / computed if computed else -1.0
        figures = Figures(
            number, number + batch.left, done, receptors, reused,
            cpu / computed if computed else -1.0, pace * (receptors - done) if computed else -1.0,
        )  # fmt: skip
        tell(str(figures), {name: float(value) for name, value in asdict(figures).items()})
        yield batch
