"""Synthetic worlds whose truth is known: used by the demo, the tests, the notebook and the benchmarks."""

from metroflux.worlds.city import CitySettings, World, build

__all__ = ["CitySettings", "World", "build"]
