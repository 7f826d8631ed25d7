"""The chain from a datum, or a mean of data, to what it rests on: as a tree with uncertainties."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.errors import DataError
from metroflux.uncertainty import components

Floats = npt.NDArray[np.float64]

ATTRIBUTE = "traceability"
"""Attribute of a dataset that holds its nodes as JSON."""
Parts = dict[tuple[str, str], float]
"""Variance by cause and what it rests on."""
_SHOWN = {"co2": (1e6, "umol mol-1")} | dict.fromkeys(("ch4", "co", "n2o"), (1e9, "nmol mol-1"))


def shown(species: str) -> tuple[float, str]:
    """Return the factor from mol mol-1, and the unit in which certificates state a gas."""
    return _SHOWN.get(species, (1e12, "pmol mol-1"))


@dataclass(frozen=True)
class Node:
    """One thing that data rest on.

    name : id; that of an analyser is "site:species", that of a certificate its number
    kind : analyser, working standard, certificate, reference material or scale
    label : for people
    parents : names of the nodes that it rests on
    """

    name: str
    kind: str
    label: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Branch:
    """One line of the tree: text, its own part of the standard uncertainty, what follows."""

    text: str
    sd: float
    children: tuple["Branch", ...] = ()


@dataclass(frozen=True)
class Tree:
    """What a number rests on: its value, and the factor that carries it and all uncertainties to `unit`."""

    root: Branch
    value: float
    factor: float
    unit: str


def record(ds: xr.Dataset, nodes: Sequence[Node]) -> xr.Dataset:
    """Return the dataset with nodes added to those it has; a later one of the same name replaces it."""
    merged = nodes_of(ds) | {node.name: node for node in nodes}
    return ds.assign_attrs(
        {ATTRIBUTE: json.dumps([asdict(node) for node in merged.values()], ensure_ascii=False)}
    )


def nodes_of(ds: xr.Dataset) -> dict[str, Node]:
    """Return the nodes of a dataset by name; none where it keeps none."""
    listed = json.loads(ds.attrs.get(ATTRIBUTE, "[]"))
    return {one["name"]: Node(**{**one, "parents": tuple(one["parents"])}) for one in listed}


def trace(observations: xr.Dataset, weights: Floats, title: str) -> Tree:
    """Return what the weighted sum of data rests on.

    Parameters
    ----------
    weights : shape (obs,)
    """
    random, shared = components(observations)
    used = weights != 0
    parts: Parts = {}
    for r in random:
        key = (r.name, "")
        parts[key] = parts.get(key, 0.0) + float(np.sum((weights * r.sd) ** 2))
    for s in shared:
        key = (s.cause, s.traceable_to)
        parts[key] = parts.get(key, 0.0) + float(weights @ s.column) ** 2
    gas = str(observations.species.values[used][0])
    factor, unit = shown(gas)
    value = float(weights[used] @ observations.mole_fraction.values[used])
    return Tree(tree_of(observations, used, parts, title), value, factor, unit)


def tree_of(observations: xr.Dataset, used: npt.NDArray[np.bool_], parts: Parts, title: str) -> Branch:
    """Return what a number rests on, from the variances that make it up.

    used : which data are behind it, shape (obs,): their analysers begin the chains
    parts : variance by cause and what it rests on, in the square of the number's unit
    """
    nodes = nodes_of(observations)
    pairs = zip(observations.site.values[used], observations.species.values[used], strict=True)
    entries = [name for name in dict.fromkeys(f"{s}:{g}" for s, g in pairs) if name in nodes]
    spent: set[str] = set()
    chains = tuple(_chain(nodes, name, parts, spent) for name in entries)
    loose = tuple(
        Branch(cause, float(np.sqrt(variance)), tuple(_rest(nodes, source)))
        for (cause, source), variance in sorted(parts.items(), key=lambda item: -item[1])
        if source not in spent and variance > 0
    )
    return Branch(title, float(np.sqrt(sum(parts.values()))), (*chains, *loose))


def trace_datum(observations: xr.Dataset, datum_id: str) -> Tree:
    """Return what one datum rests on.

    Raises
    ------
    DataError
        If there is no such datum.
    """
    ids = observations.datum_id.values.astype(str)
    rows = np.flatnonzero(ids == datum_id)
    if not rows.size:
        near = [name for name in ids.tolist() if datum_id.split(":")[0] in name][:3] or ids[:3].tolist()
        raise DataError(f"no datum '{datum_id}' among {ids.size}; there are for example {', '.join(near)}")
    return trace(observations, (np.arange(ids.size) == rows[0]).astype(np.float64), f"datum {datum_id}")


def trace_mean(observations: xr.Dataset, rows: npt.NDArray[np.bool_]) -> Tree:
    """Return what the mean of some data rests on.

    Raises
    ------
    DataError
        If no datum is chosen, or they are of several gases.
    """
    gases = sorted(set(observations.species.values[rows].tolist()))
    if len(gases) != 1:
        raise DataError(f"mean of {int(rows.sum())} data of {', '.join(gases) or 'no gas'}; expected one gas")
    first, last = observations.time.values[rows].min(), observations.time.values[rows].max()
    title = f"mean of {int(rows.sum())} data, {str(first)[:16]} to {str(last)[:16]}"
    return trace(observations, rows / rows.sum(), title)


def _chain(nodes: dict[str, Node], name: str, parts: Parts, spent: set[str]) -> Branch:
    """Return a node and all it rests on; each error is counted where its node is first met."""
    node = nodes[name]
    own = sum(variance for (_, source), variance in parts.items() if source == name)
    text = f"{node.kind}: {node.label}"
    if name in spent and own > 0:
        text, own = f"{text} (the same, counted above)", 0.0
    spent.add(name)
    children = tuple(_chain(nodes, parent, parts, spent) for parent in node.parents if parent in nodes)
    return Branch(text, float(np.sqrt(own)), children)


def _rest(nodes: dict[str, Node], source: str) -> Iterator[Branch]:
    if source in nodes:
        yield _chain(nodes, source, {}, set())
    elif source:
        yield Branch(source if source != "not stated" else "source not stated", 0.0)


def render(tree: Tree) -> str:
    """Return the tree as text; a number at the end of a line is that line's standard uncertainty."""
    head = f"{tree.root.text}: {tree.value * tree.factor:.6g} {tree.unit}, u = {_shown(tree, tree.root.sd)}"
    return "\n".join([head, *_lines(tree, tree.root.children, "")])


def _lines(tree: Tree, branches: Sequence[Branch], indent: str) -> Iterator[str]:
    for number, branch in enumerate(branches):
        last = number == len(branches) - 1
        amount = f"  u = {_shown(tree, branch.sd)}" if branch.sd else ""
        yield f"{indent}{'└─ ' if last else '├─ '}{branch.text}{amount}"
        yield from _lines(tree, branch.children, indent + ("   " if last else "│  "))


def _shown(tree: Tree, sd: float) -> str:
    return f"{sd * tree.factor:.3g} {tree.unit}"
