"""Choose the engine: in process, or as a Prefect flow where a Prefect API is configured."""

import os
from importlib.resources import files
from pathlib import Path

from rich.console import Console

from pipelines import prefect_settings
from pipelines.run import Options, Outcome, run
from pipelines.watch import Bars

API = "PREFECT_API_URL"


def launch(config: Path, folder: Path, options: Options, console: Console) -> Outcome:
    """Run a configuration by the engine that the environment asks for, with progress on the screen."""
    watch = Bars(console)
    if os.environ.get(API):
        prefect_settings.apply()
        from pipelines.flows import run_as_flow

        return run_as_flow(config, folder, options, watch)
    return run(config, folder, options, watch)


def demo_config() -> Path:
    """Return the configuration of the demo: of a checkout, or as shipped with the package."""
    checkout = Path(__file__).resolve().parent.parent / "configs" / "demo.yaml"
    return checkout if checkout.is_file() else Path(str(files("pipelines") / "demo.yaml"))
