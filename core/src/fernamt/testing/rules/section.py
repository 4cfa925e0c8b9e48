"""The settings of a channel, as an operator meets them."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from fernamt.testing.rig import Rig
from fernamt.testing.rule import Broken, Rules

rule = RULES = Rules("settings")
_SECRET = re.compile(r"(^|_)(password|passphrase|secret|token|api_key|private_key|signed_with|signing_key)$")


def fields(cls: type[Any], path: str = "") -> Iterator[tuple[str, type[Any], attrs.Attribute[Any]]]:
    """Yield every key of a section with its path and class, those of tables inside too."""
    attrs.resolve_types(cls)
    for one in attrs.fields(cls):
        yield f"{path}{one.alias}", cls, one
        if one.type is not None and attrs.has(one.type):
            yield from fields(one.type, f"{path}{one.alias}.")


def helped(cls: type[Any], field: attrs.Attribute[Any]) -> str:
    """Return what is said of a field: in its metadata, or in a docstring below it."""
    if said := str(field.metadata.get("help", "")).strip():
        return said
    for base in cls.__mro__[:-1]:
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except OSError:  # a class without a source
            continue
        assert isinstance(body, ast.ClassDef)
        for pair in zip(body.body, body.body[1:], strict=False):
            match pair:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str() as text)) if name == field.name:
                    return text.strip()
                case _:
                    pass
    return ""


@rule("help", "bronze")
async def explained(rig: Rig) -> None:
    """Every key says what it is for."""
    for path, cls, field in fields(rig.offer.settings):
        if not helped(cls, field):
            raise Broken(
                f"the key {path!r} says nothing of itself: give it metadata={{'help': '...'}} or a docstring below"
            )


@rule("secrets-typed", "bronze")
async def secrets_typed(rig: Rig) -> None:
    """What is secret is a Secret."""
    for path, _, field in fields(rig.offer.settings):
        plain = field.type is str or field.type == str | None
        if _SECRET.search(field.name) and plain:
            raise Broken(
                f"the key {path!r} is text: make it a fernamt.Secret, which is only referred to and never shown"
            )


@rule("empty-refused", "silver")
async def empty_refused(rig: Rig) -> None:
    """A required text that is empty is refused when the configuration is read, and not by the provider at night."""
    for path, _, field in fields(rig.offer.settings):
        if field.type is not str or field.default is not attrs.NOTHING:
            continue
        value, found = rig.structured(_changed(rig.section, path.split("."), ""))
        if value is not None:
            raise Broken(f'{path} = "" is accepted: give the field a validator that refuses it in a sentence')
        if not any(path in one for one in found):
            raise Broken(
                f'{path} = "" is refused, but not by name ({found[0]}): let the validator of the field itself speak'
            )


def _changed(section: Mapping[str, object], path: list[str], value: object) -> dict[str, object]:
    first, *rest = path
    inner = section.get(first, {})
    return {**section, first: _changed(inner, rest, value) if rest and isinstance(inner, Mapping) else value}
