"""From what a section says to the class that describes it. Findings are collected, not raised one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast, get_args, get_origin

import attrs

from fernamt.settings.mistake import Finding, Wrong, did_you_mean
from fernamt.settings.secret import HOW_TO_REFER, Secret, resolve

if TYPE_CHECKING:
    from cattrs import Converter

_T = TypeVar("_T")
_Hook: TypeAlias = Callable[[Any, Any], Any]
_Path: TypeAlias = tuple[str, ...]

_PLAIN: Final[Mapping[type, tuple[tuple[type, ...], str, str]]] = {
    str: ((str,), "must be text", "Put it into quotes"),
    int: ((int,), "must be a whole number", "Write it without quotes and without a point"),
    float: ((int, float), "must be a number", "Write it without quotes"),
    bool: ((bool,), "must be true or false", "Write it without quotes"),
}
_COLLECTIONS: Final[Mapping[Any, Callable[[tuple[Any, ...]], Any]]] = {
    tuple: tuple,
    list: list,
    Sequence: tuple,
    frozenset: frozenset,
}


def structure(
    raw: Mapping[str, object],
    cls: type[_T],
    *,
    folder: Path,
    environ: Mapping[str, str],
    also_known: Sequence[str] = (),
    hooks: Mapping[type, Callable[[Any], Any]] = MappingProxyType({}),
) -> tuple[_T | None, list[Finding]]:
    """Return *raw* as an instance of *cls* and no findings, or ``None`` and all that is wrong with it.

    Secrets are resolved (a relative ``file:`` begins at *folder*) and the validators of every field are run, whatever is
    wrong with its neighbours. *also_known* are keys that somebody else took out before; they are suggested, too. *hooks* make
    values of classes that are written in a way of their own; they raise :class:`Wrong`.
    """
    converter = _converter(folder, environ)
    for kind, make in hooks.items():
        converter.register_structure_hook(kind, _by(make))
    hook = converter.get_structure_hook(cls)
    try:
        return cast("_T", hook(raw, cls)), []
    except Exception as why:  # noqa: BLE001 - converters and validators of the class are a plugin's code
        return None, list(_findings(why, (), also_known))


def _by(make: Callable[[Any], Any]) -> _Hook:
    return lambda raw, _: make(raw)


def check_class(cls: type[object]) -> None:
    """Raise whatever keeps :func:`structure` from ever filling *cls*: a mistake of the plugin's author."""
    if not attrs.has(cls):
        raise TypeError(f"{cls!r} is no attrs class")
    _converter(Path(), {}).get_structure_hook(cls)


def _converter(folder: Path, environ: Mapping[str, str]) -> Converter:
    # Only the commands that read a configuration pay for it.
    from cattrs import Converter
    from cattrs.cols import is_mapping
    from cattrs.strategies import configure_union_passthrough

    def secret(raw: Any, _: Any) -> Secret:
        if not isinstance(raw, str):
            raise Wrong("must be a reference to a secret", HOW_TO_REFER)
        return resolve(raw, folder, environ)

    converter = Converter(detailed_validation=True, forbid_extra_keys=True, use_alias=True)
    configure_union_passthrough(str | bool | int | float | None, converter)
    for kind in _PLAIN:
        converter.register_structure_hook(kind, _plain)
    converter.register_structure_hook(date, _date)
    converter.register_structure_hook(Secret, secret)
    converter.register_structure_hook(Path, lambda raw, _: folder / _plain(raw, str))
    converter.register_structure_hook_func(lambda kind: kind is object, lambda raw, _: raw)
    converter.register_structure_hook_func(_is_choice, _choice)
    converter.register_structure_hook_factory(_is_collection)(_collection)
    converter.register_structure_hook_factory(is_mapping)(_mapping)
    converter.register_structure_hook_factory(_is_class)(_section)
    return converter


def _plain(raw: Any, kind: Any) -> Any:
    accepted, problem, fix = _PLAIN[kind]
    if not isinstance(raw, accepted) or (isinstance(raw, bool) and kind is not bool):
        raise Wrong(problem, fix)
    if isinstance(raw, float) and not math.isfinite(raw):
        raise Wrong(problem, "Infinity and nan are none")
    return kind(raw)


def _date(raw: Any, _: Any) -> date:
    if not isinstance(raw, date) or isinstance(raw, datetime):
        raise Wrong("must be a date", "Write it without quotes and without a time: 2026-12-24")
    return raw


def _is_choice(kind: Any) -> bool:
    return bool(get_origin(kind) is cast("Any", Literal)) or (isinstance(kind, type) and issubclass(kind, Enum))


def _choice(raw: Any, kind: Any) -> Any:
    items: Any = kind if isinstance(kind, type) else get_args(kind)
    choices = {item.value if isinstance(item, Enum) else item: item for item in items}
    if isinstance(raw, str | int) and raw in choices:
        return choices[raw]
    raise Wrong("this is no choice", f"Choose one of {', '.join(map(repr, choices))}")


def _is_collection(kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    return origin in _COLLECTIONS and (origin is not cast("Any", tuple) or arguments[1:] == (...,))


def _collection(kind: Any, converter: Converter) -> _Hook:
    from cattrs.cols import homogenous_tuple_structure_factory

    of: Any = tuple.__class_getitem__((get_args(kind)[0], ...))
    fill = homogenous_tuple_structure_factory(of, converter)
    make = _COLLECTIONS[get_origin(kind)]

    def collection(raw: Any, _: Any) -> Any:
        if not isinstance(raw, list):
            raise Wrong("must be a list", "Put it into square brackets")
        return make(fill(raw, of))

    return collection


def _mapping(kind: Any, converter: Converter) -> _Hook:
    from cattrs.cols import mapping_structure_factory

    return _only_of_a_table(mapping_structure_factory(kind, converter, detailed_validation=True))


def _is_class(kind: Any) -> bool:
    return attrs.has(cast("Any", get_origin(kind)) or kind)


def _section(kind: Any, converter: Converter) -> _Hook:
    from cattrs.gen import make_dict_structure_fn, override

    cls: Any = get_origin(kind) or kind
    attrs.resolve_types(cls)
    checked: dict[str, Any] = {
        field.name: override(struct_hook=_checked(converter.get_structure_hook(field.type), cls, field))
        for field in attrs.fields(cls)
        if field.init and field.type is not None and field.validator is not None and field.converter is None
    }
    return _only_of_a_table(make_dict_structure_fn(kind, converter, **checked))


def _only_of_a_table(fill: Callable[..., Any]) -> _Hook:
    def table(raw: Any, kind: Any) -> Any:
        if not isinstance(raw, Mapping):
            raise Wrong("must be a section", "Write it as a [section] of its own, or as { key = value }")
        return fill(raw, kind)

    return table


def _checked(fill: _Hook, cls: Any, field: attrs.Attribute[Any]) -> _Hook:
    """Run the field's validator with the field, not only when all fields are there: so all mistakes come at once."""

    def checked(raw: Any, kind: Any) -> Any:
        value = fill(raw, kind)
        assert field.validator is not None
        try:
            field.validator(object.__new__(cls), field, value)
        except AttributeError:
            # It looks at another field, which is not there yet: it runs again when the instance is made.
            return value
        except Exception as why:  # noqa: BLE001 - a plugin's validator
            raise Wrong(_said(why), "Correct the value") from None
        return value

    return checked


def _findings(why: BaseException, path: _Path, also_known: Sequence[str] = ()) -> Iterator[Finding]:
    from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

    if isinstance(why, ClassValidationError | IterableValidationError):
        placed, whole = why.group_exceptions()
        for error, place in placed:
            inner = (*path, place.name.lstrip("_") if hasattr(place, "name") else str(place.index))
            if isinstance(error, TypeError):
                # Its own words may repeat the value.
                yield Finding(inner, "has the wrong type", f"It must be {getattr(place.type, '__name__', place.type)}")
            else:
                yield from _findings(error, inner)
        for error in whole:
            yield from _findings(error, path, also_known)
    elif isinstance(why, ForbiddenExtraKeysError):
        known = [field.alias or field.name for field in attrs.fields(why.cl) if field.init]
        for key in sorted(why.extra_fields):
            yield Finding((*path, key), "unknown key", did_you_mean(key, [*known, *also_known]) or "Remove it")
    elif isinstance(why, Wrong):
        yield Finding(path, why.problem, why.fix)
    elif isinstance(why, KeyError):
        yield Finding(path, "is missing", "Add it to this section")
    else:
        yield Finding(path, _said(why), "Correct the value")


def _said(why: BaseException) -> str:
    # attrs puts the attribute, the class and the value behind the sentence.
    return " ".join(str(why.args[0] if why.args else type(why).__name__).split()).rstrip(".")
