"""A run without science: four stages on a tiny dataset, so that the machinery is tested by itself."""

from pathlib import Path

import pytest

CONFIG = """
run: {name: tiny, species: co2, start: 2024-03-04, end: 2024-03-05, flux_hours: 3, lead_hours: 24}
world: {seed: 1, truth_seed: 2, cells: 10, cell_size: 2000}
transport: {model: particles, particles: 20, hours: 6, seed: 3}
prior:
  errors:
    default: {relative: 0.5, floor: 0.1, length_km: 10, duration_h: 48}
background:
  kind: edge_field
  error: {random: 0.3, unit: ppm}
gate: {chi2_max: 100}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the path of a valid configuration."""
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path
