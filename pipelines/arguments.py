"""What several commands take, and where they print."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

OUT, ERR = Console(), Console(stderr=True)
CORES = os.cpu_count() or 1

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="configuration, YAML")]
Workers = Annotated[
    int, typer.Option(min=1, max=1024, help="processes; the result is the same for any number")
]
