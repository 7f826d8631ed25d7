"""Solved worlds for the tests of products, made once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import products_world


@pytest.fixture(scope="session")
def city():
    return products_world.city()


@pytest.fixture(scope="session")
def bad_city():
    return products_world.city(nx=8, ny=8, days=1, bad_names=True)


@pytest.fixture(scope="session")
def country():
    return products_world.country()
