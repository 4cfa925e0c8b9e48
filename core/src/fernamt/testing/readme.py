"""The table of settings in a plugin's README: made from the class, so that it cannot be wrong."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Final

from attrs import frozen

_HEAD: Final = "| key | what | default | meaning |\n|---|---|---|---|"
_WHAT: Final = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "Secret": "reference to a secret",
    "Path": "path",
    "tuple[str, ...]": "list of texts",
}


@frozen(kw_only=True)
class _Key:
    name: str
    annotation: str
    default: str | None
    meaning: str


def settings_table(settings: type[object]) -> str:
    """Return the keys of a class of settings as a Markdown table: for a README, and for the test that compares it.

    The meaning of a key is the docstring below its field. Keys of the bases of the class come first.
    """
    keys = [
        key
        for base in reversed(settings.__mro__[:-1])
        for key in _keys(ast.parse(textwrap.dedent(inspect.getsource(base))).body[0])
    ]
    return _table(keys)


def settings_table_of_source(source: str) -> str:
    """Return the table of the last class in a module's *source*, which is not imported."""
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    return _table([*_keys(classes[-1])])


def _table(keys: list[_Key]) -> str:
    rows = []
    for key in keys:
        default = "required" if key.default is None else f"`{key.default}`"
        what = _WHAT.get(key.annotation, f"`{key.annotation}`")
        rows.append(f"| `{key.name}` | {what} | {default} | {key.meaning} |".replace("| |", "| - |"))
    return "\n".join([_HEAD, *rows])


def _keys(node: ast.stmt) -> Iterator[_Key]:
    assert isinstance(node, ast.ClassDef)
    following = [*node.body[1:], None]
    for one, after in zip(node.body, following, strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            text = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                text = " ".join(str(after.value.value).replace("``", "`").split())
            yield _Key(
                name=one.target.id,
                annotation=ast.unparse(one.annotation).replace(" | None", ""),
                default=_default(one.value),
                meaning=text,
            )


def _default(value: ast.expr | None) -> str | None:
    if isinstance(value, ast.Call):
        given = {word.arg: word.value for word in value.keywords}
        if "factory" in given:
            return "empty"
        value = given.get("default")
    if value is None:
        return None
    text = ast.unparse(value)
    return text.lower() if text in {"True", "False"} else text.replace("'", '"')
