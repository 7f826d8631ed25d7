"""The random numbers are Philox4x32-10 and standard normal."""

import numpy as np
import pytest

from transport.kernels.random import normals, philox

# Random123 1.14, tests/kat_vectors: counter, key, expected words
KNOWN = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_published_vectors(counter, key, expected):
    assert [int(word) for word in philox(*map(np.uint64, [*counter, *key]))] == expected


def test_normals_have_mean_zero_variance_one_and_no_correlation():
    draws = np.array([normals(99, i % 200, i // 200) for i in range(60_000)])
    assert np.abs(draws.mean(axis=0)).max() < 4 / np.sqrt(60_000)
    # sd of a sample covariance entry is 1/sqrt(n), of a variance sqrt(2/n)
    assert np.abs(np.cov(draws.T) - np.eye(3)).max() < 4 * np.sqrt(2 / 60_000)
    assert abs(np.mean(draws[:, 0] ** 4) - 3.0) < 4 * np.sqrt(96 / 60_000)


def test_a_draw_depends_on_seed_particle_and_step_only():
    assert normals(5, 3, 2) == normals(5, 3, 2)
    assert len({normals(5, 3, 2), normals(6, 3, 2), normals(5, 2, 3), normals(5, 3, 3)}) == 4
    assert normals(2**40 + 5, 3, 2) != normals(5, 3, 2)
