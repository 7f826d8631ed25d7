"""Every notebook runs from its first cell to its last."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # warnings of the kernel's own machinery; ours show in the other tests
@pytest.mark.parametrize("notebook", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs(notebook):
    client = NotebookClient(
        nbformat.read(notebook, as_version=4), timeout=280, resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()
