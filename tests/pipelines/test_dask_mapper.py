import os
import time

import numpy as np
import pytest

from metroflux.errors import ConfigError, MetrofluxError
from metroflux.parallel import serial
from pipelines.dask_mapper import DaskMapper, open_mapper

ITEMS = list(range(8))


def work(common: dict[str, np.ndarray], number: int) -> np.ndarray:
    """Return sums and products whose bits would show another order of additions."""
    time.sleep(0.05)
    return np.append(common["matrix"] @ np.sin(common["vector"] * (number + 1)), os.getpid())


def fails(common: None, number: int) -> int:
    if number == 3:
        raise MetrofluxError("piece 3 is bad")
    return number


def sleeps(common: None, number: int) -> int:
    time.sleep(20)
    return number


@pytest.fixture(scope="module")
def common() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {"matrix": rng.standard_normal((200, 300)), "vector": rng.standard_normal(300)}


def bits(results) -> list[bytes]:
    return [result[:-1].tobytes() for result in results]


def test_a_mapper_that_is_not_used_starts_nothing():
    with open_mapper(4) as mapper:
        assert list(mapper(work, None, [])) == []
        assert mapper.client is None


def test_one_worker_needs_no_cluster(common):
    with open_mapper(1) as mapper:
        got = list(mapper(work, common, ITEMS))
    assert {int(result[-1]) for result in got} == {os.getpid()}
    assert bits(got) == bits(serial(work, common, ITEMS))


@pytest.mark.slow
def test_four_workers_give_the_bits_of_one_and_losing_some_or_all_of_them_changes_none(common):
    with open_mapper(1) as mapper:
        expected = bits(mapper(work, common, ITEMS))
    mapper = DaskMapper(workers=4)
    try:
        got = []
        for number, result in enumerate(mapper(work, common, ITEMS * 3)):
            got.append(result)
            if number == 2:
                os.kill(int(result[-1]), 9)
            if number == 10:
                for worker in mapper.cluster.workers.values():
                    os.kill(worker.pid, 9)
        assert bits(got) == expected * 3
        assert len({int(result[-1]) for result in got}) > 1
        # the same cluster serves the next call, and an error of the science comes through as it is
        with pytest.raises(MetrofluxError, match="piece 3 is bad"):
            list(mapper(fails, None, ITEMS))
        mapper.timeout = 0.5
        with pytest.raises(MetrofluxError, match=r"no result of piece 0 after 0.5 s"):
            list(mapper(sleeps, None, [0]))
        pids = [worker.pid for worker in mapper.cluster.workers.values()]
    finally:
        mapper.close()
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids if pid)


@pytest.mark.slow
def test_common_data_too_large_for_a_worker_are_refused_before_they_are_sent(monkeypatch):
    mapper = DaskMapper(workers=1)
    monkeypatch.setattr("pipelines.dask_mapper.SHARE_OF_MEMORY", 1e-9)
    try:
        with pytest.raises(MetrofluxError, match="each worker would hold"):
            list(mapper(work, {"matrix": np.ones(1000)}, ITEMS))
    finally:
        mapper.close()


def test_a_cluster_that_is_not_there_is_a_configuration_error(monkeypatch):
    mapper = DaskMapper(workers=1, scheduler="tcp://127.0.0.1:1", patience=1.0)
    with pytest.raises(ConfigError, match=r"no cluster with workers at 'tcp://127.0.0.1:1'"):
        list(mapper(work, None, ITEMS))
