"""Map over many processes with Dask: ordered, memory bounded, the same bits for any number of workers."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from metroflux.errors import ConfigError, MetrofluxError
from metroflux.parallel import Mapper

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")

TASKS_PER_WORKER = 2
"""In flight: one that runs and one that waits, so that results never pile up."""

RESTARTS = 3
"""How often the common data may be lost with all their workers before the run gives up."""

SHARE_OF_MEMORY = 0.6
"""Of a worker's memory that the common data may take; above it Dask pauses, then kills without a word."""


def one_thread(function: Callable[[C, T], R], common: C, items: Sequence[T]) -> Iterator[R]:
    """Run in this process as a worker would: linear algebra on one thread, for more sum in other order."""
    for item in items:
        with threadpool_limits(1):
            result = function(common, item)
        yield result


@dataclass
class DaskMapper:
    """A `Mapper` on a Dask cluster that is started at its first use.

    workers : processes of one thread each, when the cluster is our own
    scheduler : address of an existing cluster, such as "tcp://host:8786"; None starts our own
    timeout : longest wait for one result, s
    patience : longest wait for a connection, s
    """

    workers: int
    scheduler: str | None = None
    timeout: float = 3600.0
    patience: float = 30.0
    client: Any = field(default=None, init=False)
    cluster: Any = field(default=None, init=False)

    def __call__(self, function: Callable[[C, T], R], common: C, items: Sequence[T]) -> Iterator[R]:
        """Yield function(common, item) for each item, in the order of the items."""
        if not items:
            return
        self._start()
        self._refuse_oversized(common)
        yield from self._ordered(function, common, items)

    def _ordered(self, function: Callable[[C, T], R], common: C, items: Sequence[T]) -> Iterator[R]:
        shared = self._scatter(common)
        waiting: deque[Any] = deque()
        window = TASKS_PER_WORKER * max(1, len(self.client.scheduler_info(n_workers=-1)["workers"]))
        sent = finished = restarts = 0
        try:
            while finished < len(items):
                while sent < len(items) and len(waiting) < window:
                    waiting.append(self.client.submit(function, shared, items[sent], pure=False))
                    sent += 1
                try:
                    result = self._wait(waiting[0], finished)
                except CancelledError:
                    # every worker that held the common data is gone: send them again, ask again
                    restarts += 1
                    if restarts > RESTARTS:
                        raise MetrofluxError(
                            f"Dask: all workers were lost {restarts} times; are they short of memory?"
                        ) from None
                    shared, sent = self._scatter(common), finished
                    waiting.clear()
                    continue
                waiting.popleft()
                finished += 1
                yield result
        finally:
            self.client.cancel([*waiting, shared], reason="map ended")

    def _scatter(self, common: object) -> Any:
        # in a list, because scatter takes a tuple or a dict apart
        return self.client.scatter([common], broadcast=True, hash=False)[0]

    def _wait(self, future: Any, number: int) -> Any:
        try:
            return future.result(timeout=self.timeout)
        except TimeoutError:
            raise MetrofluxError(
                f"Dask: no result of piece {number} after {self.timeout:g} s; "
                "expected workers to answer: see their logs"
            ) from None

    def _start(self) -> None:
        if self.client is not None:
            return
        from distributed import Client, LocalCluster

        if self.scheduler is None:
            # any free port of this machine only: with None, Dask asks for 8787 and warns where it is taken
            self.cluster = LocalCluster(
                n_workers=self.workers, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
            )
        try:
            self.client = Client(self.cluster or self.scheduler, timeout=self.patience, set_as_default=False)
            self.client.wait_for_workers(1, timeout=120)
        except (OSError, TimeoutError) as fault:
            self.close()
            raise ConfigError(f"Dask: no cluster with workers at '{self.scheduler}' ({fault})") from None

    def _refuse_oversized(self, common: object) -> None:
        from dask.sizeof import sizeof

        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        limits = [w["memory_limit"] for w in workers if w["memory_limit"]]
        size = sizeof(common)
        if limits and size > SHARE_OF_MEMORY * min(limits):
            raise MetrofluxError(
                f"Dask: each worker would hold {size / 2**30:.1f} GiB of its {min(limits) / 2**30:.1f} GiB; "
                "expected fewer workers or more memory"
            )

    def close(self) -> None:
        """End the connection, and the cluster if it is our own."""
        for part in (self.client, self.cluster):
            if part is not None:
                part.close(timeout=30)
        self.client = self.cluster = None


@contextmanager
def open_mapper(workers: int, scheduler: str | None = None) -> Iterator[Mapper]:
    """Give a mapper, in this process for one worker without a scheduler, and close what it started."""
    if workers == 1 and scheduler is None:
        yield one_thread
        return
    mapper = DaskMapper(workers, scheduler)
    try:
        yield mapper
    finally:
        mapper.close()
