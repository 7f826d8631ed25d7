"""The tree of what a datum rests on, drawn."""

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from observations.metrology.trace import Branch, Tree

INK, SOFT, TEAL = "#1d2733", "#5b6673", "#0f7f93"


def draw_trace(tree: Tree, path: Path) -> None:
    """Draw a tree of traceability from left to right; the suffix of the path says PNG, SVG or PDF."""
    rows = _count(tree.root)
    figure = Figure(figsize=(13.0, 0.8 + 0.36 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_axis_off()
    head = f"{tree.root.text}: {tree.value * tree.factor:.6g} {tree.unit}"
    _place(axes, tree, Branch(head, tree.root.sd, tree.root.children), 0, 0.0)
    axes.set_xlim(-0.2, 10.0)
    axes.set_ylim(rows - 0.5, -0.6)
    figure.savefig(path, dpi=130)


def _count(branch: Branch) -> int:
    return 1 + sum(map(_count, branch.children))


def _place(axes: Any, tree: Tree, branch: Branch, depth: int, row: float) -> float:
    """Write a branch and what follows it; return the first free row."""
    amount = f"u = {branch.sd * tree.factor:.3g} {tree.unit}" if branch.sd else ""
    x = 0.45 * depth
    axes.text(x, row, branch.text, va="center", fontsize=9, color=INK, parse_math=False)
    axes.text(10.0, row, amount, va="center", ha="right", fontsize=9, color=TEAL)
    free = row + 1
    for child in branch.children:
        axes.plot([x + 0.08, x + 0.08, x + 0.38], [row + 0.35, free, free], color=SOFT, lw=0.8)
        free = _place(axes, tree, child, depth + 1, free)
    return free
