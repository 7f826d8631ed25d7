"""Comparisons with a travelling cylinder on the screen, and `metroflux observations equivalence`."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from observations.metrology.comparison import Equivalence
from observations.metrology.trace import shown
from observations.metrology.transfer_file import read_transfers
from observations.metrology.travelling import Transfer, degrees
from products.table import write_whole

LEAST = 0.05
"""Probability of chi2 below which results count as inconsistent (Cox 2002)."""


def transfer_table(found: Sequence[Transfer]) -> Table:
    """Return comparisons for the screen, with expanded uncertainties (k = 2)."""
    factor, unit = shown(found[0].species)
    table = Table(
        "tank", "laboratory", "runs", f"measured, {unit}", f"certified, {unit}", f"difference, {unit}",
        "U (k = 2)", "E_n", "zeta", "detectable (80 %)", "verdict", "cylinder",
        title="travelling cylinders, measured minus certified",
    )  # fmt: skip
    for t in found:
        c = t.comparison
        table.add_row(
            escape(t.tank), escape(t.measured.label), str(t.runs), f"{t.measured.value * factor:.3f}",
            f"{t.certified.value * factor:.3f}", f"{c.difference * factor:+.3f}", f"{2 * c.sd * factor:.3f}",
            f"{c.e_n:+.2f}", f"{c.zeta:+.2f}", f"{c.detectable * factor:.3f}", c.verdict,
            _cylinder(t, factor),
        )  # fmt: skip
    return table


def _cylinder(t: Transfer, factor: float) -> str:
    """Return what is known of the cylinder's journey."""
    beyond = "; beyond the standards" if t.beyond else ""
    if t.moved is None:
        return "provisional: no certificate after it" + beyond
    return f"moved {t.moved.difference * factor:+.3f} (zeta {t.moved.zeta:+.1f})" + beyond


def equivalence_command(files: Sequence[Path], output: Path | None, out: Console) -> None:
    """Print the degrees of equivalence of the analysers that measured the same cylinders."""
    found = degrees([t for path in files for t in read_transfers(path)])
    for tank, (measured, result) in found.items():
        out.print(_degrees(tank, measured, result))
    if output is not None:
        rows = pd.concat([_rows(tank, *one) for tank, one in found.items()])
        write_whole(output, rows.to_csv(index=False))
        out.print(str(output), markup=False, highlight=False, soft_wrap=True)


def _degrees(tank: str, measured: Sequence[Transfer], result: Equivalence) -> Table:
    factor, unit = shown(measured[0].species)
    verdict = "consistent" if result.p >= LEAST else "NOT consistent"
    table = Table(
        "laboratory", f"difference, {unit}", "U (k = 2)", f"degree of equivalence, {unit}", "U (k = 2)",
        "E_n",
        title=f"{escape(tank)}: reference value {result.value * factor:+.3f} from the certificate, U "
        f"{2 * result.sd * factor:.3f} {unit} (k = 2); chi2 {result.chi2:.2f} for {len(measured) - 1}, p "
        f"{result.p:.3f}: {verdict}",
    )  # fmt: skip
    for i, one in enumerate(measured):
        d = one.difference
        numbers = (d.value, 2 * d.sd, result.degree[i], 2 * result.degree_sd[i])
        texts = [
            f"{number * factor:{sign}.3f}" for number, sign in zip(numbers, ("+", "", "+", ""), strict=True)
        ]
        table.add_row(escape(d.label), *texts, f"{result.e_n[i]:+.2f}")
    return table


def _rows(tank: str, measured: Sequence[Transfer], result: Equivalence) -> pd.DataFrame:
    """Return the degrees of equivalence of one tank, mol mol-1, uncertainties standard ones."""
    differences = [t.difference for t in measured]
    return pd.DataFrame({
        "tank": tank,
        "laboratory": [d.label for d in differences],
        "difference": [d.value for d in differences],
        "difference_sd": [d.sd for d in differences],
        "degree": result.degree,
        "degree_sd": result.degree_sd,
        "e_n": result.e_n,
        "reference": result.value,
        "reference_sd": result.sd,
        "chi2": result.chi2,
        "p": result.p,
    })  # fmt: skip
