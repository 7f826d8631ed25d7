"""`metroflux observations compare`: sites against each other, with the errors that they share."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from metroflux.errors import ConfigError
from observations.metrology.comparison import table, towers
from pipelines.tracing import observations_of
from products.table import write_whole

_TO_UNIT = {"co2": (1e6, "ppm"), "ch4": (1e9, "ppb")}


def compare_sites(dataset: Path, sites: tuple[str, ...], output: Path | None, out: Console) -> None:
    """Print difference, E_n and zeta of each pair of sites over their common good hours.

    Raises
    ------
    ConfigError
        If a site is not in the dataset, there are fewer than two, or the data are of several gases.
    """
    ds = observations_of(dataset)
    known = sorted(set(ds.site.values.tolist()))
    chosen = sites or tuple(known)
    absent = [site for site in chosen if site not in known]
    if absent or len(chosen) < 2:
        raise ConfigError(
            f"{dataset}: sites {', '.join(absent or chosen)}; expected two or more of {', '.join(known)}"
        )
    gases = np.unique(ds.species.values).tolist()
    if len(gases) > 1:
        raise ConfigError(f"{dataset}: data of {', '.join(gases)}; expected one gas")
    factor, unit = _TO_UNIT[gases[0]]
    found = table([towers(ds, *pair) for pair in combinations(chosen, 2)], factor)
    if output is not None:
        write_whole(output, found.to_csv(index=False))
    out.print(comparison_table(found, unit))


def comparison_table(found: pd.DataFrame, unit: str) -> Table:
    """Return comparisons for the screen."""
    shown = Table(
        "result", "reference", "value", "reference value", "difference", "u", "E_n (k = 2)", "zeta",
        "detectable", "verdict", title=f"in {unit}",
    )  # fmt: skip
    for row in found.itertuples(index=False):
        first, second, value, against, away, sd, e_n, zeta, least, verdict = row
        shown.add_row(
            escape(first), escape(second), f"{value:.6g}", f"{against:.6g}", f"{away:+.3g}", f"{sd:.3g}",
            f"{e_n:+.2f}", f"{zeta:+.2f}", f"{least:.3g}", verdict,
        )  # fmt: skip
    return shown
