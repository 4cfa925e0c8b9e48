"""The description of the API for programs (OpenAPI 3.1): made of the shapes that it takes and says, and of the operations it serves."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

import attrs
from attrs import field, frozen

from fernamt._runtime.api.shapes import (
    KEY_MAX,
    Cancelled,
    NoticeAsked,
    OneNotice,
    Refusal,
    Results,
    Run,
    SeveralNotices,
)
from fernamt._store.views.notices import PAGE

Schema: TypeAlias = dict[str, Any]

_PLAIN: Final[Mapping[Any, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
}
_RUN: Final[Schema] = {
    "name": "run",
    "in": "path",
    "required": True,
    "description": "Its number.",
    "schema": {"type": "integer", "minimum": 0},
}
_KEY: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The key, unless the body has it.",
    "schema": {"type": "string", "maxLength": KEY_MAX},
}
_AFTER: Final[Schema] = {
    "name": "after",
    "in": "query",
    "description": "The row behind which the page begins.",
    "schema": {"type": "integer", "minimum": 0, "default": 0},
}
_LIMIT: Final[Schema] = {
    "name": "limit",
    "in": "query",
    "description": "So many rows at most.",
    "schema": {"type": "integer", "minimum": 1, "maximum": PAGE, "default": PAGE},
}
_PLACE: Final[Schema] = {"Location": {"description": "Where the run is looked at.", "schema": {"type": "string"}}}
_AGAIN: Final[Schema] = {"Retry-After": {"description": "In so many seconds.", "schema": {"type": "integer"}}}
_REFUSALS: Final[Mapping[int, str]] = {
    400: "A header stands twice, or the body is no JSON.",
    401: "No token that is known here.",
    404: "There is no such run, or another program asked for it.",
    408: "The body did not come in time.",
    409: "The key was given before for something else, or its run was cancelled.",
    413: "The body is too large.",
    415: "The body is not plain JSON.",
    422: "A field is wrong; nothing was done.",
    500: "This went wrong here; it has been noted.",
    503: "It cannot be done now: again after Retry-After seconds, with the same key.",
}
_TAKEN: Final = frozenset({OneNotice, SeveralNotices, NoticeAsked})
_ALWAYS: Final = (400, 401, 500, 503)


@frozen(kw_only=True)
class Operation:
    """One thing that the API can be asked."""

    id: str
    method: str
    path: str
    about: str
    parameters: tuple[Schema, ...] = ()
    takes: tuple[type, ...] = ()
    """One of these is the body."""
    answers: Mapping[int, tuple[str, type | None]]
    """When it goes well: what each status means, and what is said; ``None``: this description."""
    refuses: Collection[int] = field(default=())
    """The statuses with which it may be refused, beside those of every operation."""

    @property
    def route(self) -> str:
        """Return the path as aiohttp knows it: what is no number of a run is no path of ours."""
        return self.path.replace("{run}", "{run:[0-9]{1,15}}")


OPERATIONS: Final = (
    Operation(
        id="queueNotices",
        method="POST",
        path="/api/v1/notices",
        about="Ask for notices from a template: to one customer, or to several.",
        parameters=(_KEY,),
        takes=(OneNotice, SeveralNotices),
        answers={
            202: ("All of it is on the disk.", Run),
            200: ("It was asked for before; this is how it stands.", Run),
        },
        refuses=(408, 409, 413, 415, 422),
    ),
    Operation(
        id="getRun",
        method="GET",
        path="/api/v1/notices/{run}",
        about="Look how far a run is.",
        parameters=(_RUN,),
        answers={200: ("How it stands now.", Run)},
        refuses=(404,),
    ),
    Operation(
        id="getResults",
        method="GET",
        path="/api/v1/notices/{run}/results",
        about="Look what became of its rows.",
        parameters=(_RUN, _AFTER, _LIMIT),
        answers={200: ("A page of them.", Results)},
        refuses=(404, 422),
    ),
    Operation(
        id="cancelRun",
        method="DELETE",
        path="/api/v1/notices/{run}",
        about="Call a run off.",
        parameters=(_RUN,),
        answers={200: ("So many do not leave any more.", Cancelled)},
        refuses=(404,),
    ),
    Operation(
        id="getDescription",
        method="GET",
        path="/api/v1/openapi.json",
        about="This description.",
        answers={200: ("It, as OpenAPI 3.1.", None)},
    ),
)


def describe(*, version: str, url: str, templates: Collection[str]) -> Schema:
    """Return the description of the API of a daemon that has these templates, and is reached there."""
    schemas: Schema = {}
    paths: Schema = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas)
    for shape in (OneNotice, SeveralNotices):
        if templates:
            schemas[shape.__name__]["properties"]["template"]["enum"] = sorted(templates)
    about = "Programs ask for notices, and look what became of them."
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fernamt", "version": version, "description": about},
        "servers": [{"url": url}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(one: Operation, schemas: Schema) -> Schema:
    described: Schema = {"operationId": one.id, "summary": one.about, "responses": dict(_answers(one, schemas))}
    if one.parameters:
        described["parameters"] = list(one.parameters)
    if one.takes:
        bodies = [schema_of(shape, schemas) for shape in one.takes]
        content = {"application/json": {"schema": {"oneOf": bodies}}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answers(one: Operation, schemas: Schema) -> Iterator[tuple[str, Schema]]:
    for status, (about, shape) in one.answers.items():
        schema = {"type": "object"} if shape is None else schema_of(shape, schemas)
        answer: Schema = {"description": about, "content": {"application/json": {"schema": schema}}}
        yield str(status), answer | ({"headers": _PLACE} if one.method == "POST" else {})
    for status in sorted({*_ALWAYS, *one.refuses}):
        content = {"application/problem+json": {"schema": schema_of(Refusal, schemas)}}
        answer = {"description": _REFUSALS[status], "content": content}
        yield str(status), answer | ({"headers": _AGAIN} if status == 503 else {})


def schema_of(kind: Any, schemas: Schema) -> Schema:
    """Return what JSON Schema says of a type; a class becomes a component in *schemas*, once."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if origin is cast("Any", Literal):
        return {"type": "string", "enum": list(arguments)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"type": "string", "enum": [one.value for one in kind]}
    if origin in {Union, types.UnionType}:
        return _any_of([schema_of(one, schemas) for one in arguments])
    if origin in {tuple, Sequence}:
        return {"type": "array", "items": schema_of(arguments[0], schemas)}
    if origin is Mapping:
        return _object_of(arguments[0], arguments[1], schemas)
    if attrs.has(kind):
        return _component(kind, schemas)
    raise TypeError(f"nothing says how {kind!r} is written in JSON")


def _any_of(kinds: Sequence[Schema]) -> Schema:
    if all(kind.keys() == {"type"} for kind in kinds):
        return {"type": [kind["type"] for kind in kinds]}
    return {"anyOf": list(kinds)}


def _object_of(name: Any, kind: Any, schemas: Schema) -> Schema:
    described: Schema = {"type": "object", "additionalProperties": schema_of(kind, schemas)}
    return described if name is str else described | {"propertyNames": schema_of(name, schemas)}


def _component(shape: Any, schemas: Schema) -> Schema:
    name = shape.__name__
    if name not in schemas:
        schemas[name] = {}  # one that holds itself finds it here
        hints, fields = get_type_hints(shape), attrs.fields(shape)
        properties = {
            one.name: schema_of(hints[one.name], schemas)
            | {"description": one.metadata["about"]}
            | one.metadata["schema"]
            for one in fields
        }
        schemas[name] |= {
            "type": "object",
            "description": shape.__doc__,
            "properties": properties,
            "required": [one.name for one in fields if one.default is attrs.NOTHING],
            # Of an answer more may be said one day; what is asked for and not known is refused.
            "additionalProperties": shape not in _TAKEN,
        }
    return {"$ref": f"#/components/schemas/{name}"}
