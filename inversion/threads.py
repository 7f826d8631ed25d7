"""One BLAS thread wherever bits matter: the order of a threaded sum depends on the number of threads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


class _Pin:
    """How many are inside `one_thread`: the limit is the process's, so the last one out lifts it."""

    lock = threading.Lock()
    inside = 0
    limit: Any = None


@cache
def _controller() -> Any:
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS to one thread; may be nested and entered from several threads at once."""
    with _Pin.lock:
        if _Pin.inside == 0:
            _Pin.limit = _controller().limit(limits=1, user_api="blas")
        _Pin.inside += 1
    try:
        yield
    finally:
        with _Pin.lock:
            _Pin.inside -= 1
            if _Pin.inside == 0:
                _Pin.limit.restore_original_limits()
