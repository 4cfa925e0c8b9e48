"""A menu as a picture: Mermaid for pages, SVG with a layered layout of our own for everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from attrs import frozen

from fernamt.menus.definition import PERSONS, MenuDefinition, kind_of
from fernamt.menus.nodes import BranchNode, HangUpNode, MenuNode

WIDTH: Final = 190
HEIGHT: Final = 46
GAP_X: Final = 110
GAP_Y: Final = 26
MARGIN: Final = 24
_PASSES: Final = 6
_TIP: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8z"/></marker></defs>'
)
_ENTITIES: Final = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"})
_FILLS: Final[Mapping[str, str]] = {"person": "#d9f2d9", "end": "#e8e8e8", "choice": "#dce9fb", "other": "#ffffff"}


@frozen(kw_only=True)
class Arrow:
    """A way from one node to another; the same way by several exits is one."""

    start: str
    end: str
    labels: tuple[str, ...]
    is_default: bool
    """Nothing but exits that lead to the fallback because nobody said where."""


def arrows(definition: MenuDefinition) -> list[Arrow]:
    """Return all ways; those back, to the top and to repeat lead nowhere else and are not drawn."""
    found: dict[tuple[str, str], tuple[list[str], bool]] = {}
    for name, node in definition.nodes.items():
        for way, target in node.exits.items():
            end = {
                "": definition.fallback,
                "@operator": definition.fallback,
                "@top": definition.top or definition.entry,
                "@return": definition.done or "@return",
            }
            place = end.get(target, target)
            if place.startswith("@"):
                continue
            labels, default = found.get((name, place), ([], True))
            found[name, place] = ([*labels, _label(node, way, definition)], default and not target)
    return [Arrow(start=a, end=b, labels=tuple(said), is_default=one) for (a, b), (said, one) in found.items()]


def _label(node: Any, way: str, definition: MenuDefinition) -> str:
    if isinstance(node, MenuNode) and way.startswith("option "):
        chosen = node.options[node.ways.index(way)]
        return f"{way.removeprefix('option ')} {chosen.label.get(definition.languages[0], '')}".strip()
    if isinstance(node, BranchNode) and way.startswith("case "):
        return " and ".join(one.variable for one in node.cases[int(way.removeprefix("case ")) - 1].when)
    return "" if way == "to" else way.replace("_", " ")


def look(node: Any) -> str:
    """Return how a node is drawn."""
    if isinstance(node, PERSONS):
        return "person"
    if isinstance(node, HangUpNode):
        return "end"
    return "choice" if isinstance(node, MenuNode | BranchNode) else "other"


# ---- Mermaid
def mermaid(definition: MenuDefinition) -> str:
    """Return a flowchart for Mermaid."""
    return "\n".join(_mermaid(definition)) + "\n"


def _mermaid(definition: MenuDefinition) -> Iterator[str]:
    shapes = {"person": ("([", "])"), "end": ("((", "))"), "choice": ("{{", "}}"), "other": ("[", "]")}
    ids = {name: f"n{at}" for at, name in enumerate(definition.nodes)}
    yield "flowchart LR"
    yield f"    start(( )) --> {ids[definition.entry]}"
    for name, node in definition.nodes.items():
        left, right = shapes[look(node)]
        yield f'    {ids[name]}{left}"{name}<br/><small>{_safe(kind_of(node))}</small>"{right}'
    for one in arrows(definition):
        label = _quoted(", ".join(filter(None, one.labels)))
        line = "-.->" if one.is_default else "-->"
        yield f"    {ids[one.start]} {line}{label and f'|{label}|'} {ids[one.end]}"


def _quoted(label: str) -> str:
    return f'"{_safe(label)}"' if label else ""


def _safe(text: str) -> str:
    """Return a text that ends neither its line nor its quotes, and is no HTML where Mermaid makes some of it."""
    return _plain(text).translate(_ENTITIES)


def _plain(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)


# ---- SVG
def svg(definition: MenuDefinition) -> str:
    """Return a picture that stands alone."""
    ways = arrows(definition)
    columns = layers(definition, ways)
    places = {name: (x, y) for x, column in enumerate(columns) for y, name in enumerate(column)}
    tall = max(map(len, columns))
    width = MARGIN * 2 + len(columns) * (WIDTH + GAP_X) - GAP_X
    height = MARGIN * 2 + tall * (HEIGHT + GAP_Y)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(definition.id)}</title>",
        _TIP,
    ]
    lines += [line for way in ways for line in _way(way, places)]
    lines += [line for name, node in definition.nodes.items() for line in _box(name, node, definition, places[name])]
    return "\n".join([*lines, "</svg>"]) + "\n"


def layers(definition: MenuDefinition, ways: Sequence[Arrow]) -> list[list[str]]:
    """Return the nodes by their distance from the entry, each column in the order that crosses few arrows."""
    ahead: dict[str, list[str]] = {name: [] for name in definition.nodes}
    for way in ways:
        ahead[way.start].append(way.end)
    depth = {definition.entry: 0}
    queue = [definition.entry]
    for name in queue:
        for one in ahead[name]:
            if one not in depth:
                depth[one] = depth[name] + 1
                queue.append(one)
    last = max(depth.values()) + 1
    columns: list[list[str]] = [[] for _ in range(last + 1)]
    for name in definition.nodes:
        columns[depth.get(name, last)].append(name)
    columns = [column for column in columns if column]
    near: dict[str, list[str]] = {name: [] for name in definition.nodes}
    for way in ways:
        near[way.start].append(way.end)
        near[way.end].append(way.start)
    for turn in range(_PASSES):
        order = range(1, len(columns)) if turn % 2 == 0 else range(len(columns) - 2, -1, -1)
        for at in order:
            beside = columns[at - 1 if turn % 2 == 0 else at + 1]
            rank = {name: place for place, name in enumerate(beside)}
            columns[at].sort(key=lambda name, rank=rank: _middle(near[name], rank))  # type: ignore[misc]
    return columns


def _middle(names: Sequence[str], rank: Mapping[str, int]) -> float:
    found = [rank[name] for name in names if name in rank]
    return sum(found) / len(found) if found else 1e6


def _at(place: tuple[int, int]) -> tuple[int, int]:
    return MARGIN + place[0] * (WIDTH + GAP_X), MARGIN + place[1] * (HEIGHT + GAP_Y)


def _box(name: str, node: Any, definition: MenuDefinition, place: tuple[int, int]) -> Iterator[str]:
    x, y = _at(place)
    bold = 2.5 if name in (definition.entry, definition.fallback) else 1
    rounded = {"person": HEIGHT // 2, "choice": 4, "end": 14}.get(look(node), 0)
    yield (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="{rounded}" fill="{_FILLS[look(node)]}"'
        f' stroke="#333" stroke-width="{bold}"/>'
    )
    middle = x + WIDTH // 2
    yield f'<text x="{middle}" y="{y + 20}" text-anchor="middle" font-weight="bold">{escape(name[:28])}</text>'
    yield f'<text x="{middle}" y="{y + 36}" text-anchor="middle" fill="#555">{escape(_plain(kind_of(node))[:28])}</text>'


def _way(way: Arrow, places: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    (x1, y1), (x2, y2) = _at(places[way.start]), _at(places[way.end])
    y1, y2 = y1 + HEIGHT // 2, y2 + HEIGHT // 2
    if x2 > x1:
        x1, bend = x1 + WIDTH, GAP_X // 2
        path = f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    else:
        # Back, or beside: around the right-hand side of both.
        x1, x2 = x1 + WIDTH, x2 + WIDTH
        bend = GAP_X * 2 // 3
        path = f"M{x1} {y1 + 8} C{x1 + bend} {y1 + 8} {x2 + bend} {y2 - 8} {x2} {y2 - 8}"
    dash = ' stroke-dasharray="4 3"' if way.is_default else ""
    yield f'<path d="{path}" fill="none" stroke="#666"{dash} marker-end="url(#tip)"/>'
    label = ", ".join(filter(None, way.labels))
    if label:
        at_x, at_y = x1 + 6, y1 + (y2 - y1) // 6 - 4
        yield f'<text x="{at_x}" y="{at_y}" fill="#333" font-size="10">{escape(_plain(label)[:34])}</text>'
