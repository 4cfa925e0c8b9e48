"""What the API takes and says, as types: the handlers fill them, and the description for programs is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import attrs
from attrs import field, frozen

from fernamt._store.views.notices import RowView, RunView
from fernamt.model import DeliveryState, Purpose
from fernamt.settings import Problem

ROWS_MAX: Final = 1_000
KEY_MAX: Final = 200
_ADDRESS_MAX: Final = 300

State: TypeAlias = Literal["interrupted", "sending", "done", "cancelled"]
RowState: TypeAlias = DeliveryState | Literal["conflict"]


def about(text: str, **schema: int) -> Mapping[str, Any]:
    """Return what a field says of itself: what stands there, and what JSON Schema shall know of it beside its type."""
    return {"about": text, "schema": schema}


def names(shape: type) -> frozenset[str]:
    """Return the keys of a shape."""
    return frozenset(one.name for one in attrs.fields(shape))


# ---- what is taken
@frozen(kw_only=True)
class NoticeAsked:
    """One notice of several."""

    to: str = field(metadata=about("To whom: +49..., a mail address, or scheme:value.", maxLength=_ADDRESS_MAX))
    values: Mapping[str, str | int | float] = field(
        factory=dict, metadata=about("The values of the template, by their names.")
    )
    key: str = field(
        default="",
        metadata=about("The row's own: what was given under it before is not sent again.", maxLength=KEY_MAX),
    )
    language: str = field(default="", metadata=about("Of the customer, if you know it, as in de or pt-BR."))
    name: str = field(default="", metadata=about("Of the customer, if you know it."))


@frozen(kw_only=True)
class _Asked:
    template: str = field(metadata=about("The name of a template of the configuration."))
    key: str = field(
        default="",
        metadata=about(
            "Yours: what was given under it is not sent again. Here, or as the header Idempotency-Key.",
            maxLength=KEY_MAX,
        ),
    )
    channel: str = field(
        default="", metadata=about("The id of a channel; without it that of the template, or the only one there is.")
    )


@frozen(kw_only=True)
class OneNotice(_Asked):
    """A notice to one customer."""

    to: str = field(metadata=about("To whom: +49..., a mail address, or scheme:value.", maxLength=_ADDRESS_MAX))
    values: Mapping[str, str | int | float] = field(
        factory=dict, metadata=about("The values of the template, by their names.")
    )
    language: str = field(default="", metadata=about("Of the customer, if you know it, as in de or pt-BR."))
    name: str = field(default="", metadata=about("Of the customer, if you know it."))


@frozen(kw_only=True)
class SeveralNotices(_Asked):
    """Notices from one template to several customers."""

    notices: tuple[NoticeAsked, ...] = field(
        metadata=about("To whom, and with which values.", minItems=1, maxItems=ROWS_MAX)
    )


# ---- what is said
@frozen(kw_only=True)
class Run:
    """What one request asked for, and how far it is."""

    run: int = field(metadata=about("Its number."))
    key: str = field(metadata=about("Yours."))
    template: str = field(metadata=about("The name of its template."))
    channel: str = field(metadata=about("The id of its channel."))
    purpose: Purpose = field(metadata=about("Of its template."))
    at: datetime = field(metadata=about("When it was asked for."))
    state: State = field(metadata=about("interrupted: not all rows were written, so send the same again."))
    total: int = field(metadata=about("So many rows it has."))
    given: int = field(metadata=about("So many of them are queued, or were."))
    moving: int = field(metadata=about("So many are still to go."))
    waiting: int = field(metadata=about("So many of these wait for a time: quiet hours, another try."))
    next_at: datetime | None = field(metadata=about("The first of these times."))
    repeats: int = field(
        metadata=about("Rows whose own key was given before, with the same words: they were not queued again.")
    )
    conflicts: int = field(
        metadata=about("Rows whose own key was given before, with other words: they were not queued.")
    )
    states: Mapping[DeliveryState, int] = field(metadata=about("The rows, by the state of their delivery."))

    @classmethod
    def of(cls, view: RunView) -> Run:
        """Return a run as the API says it."""
        shared = {name: getattr(view, name) for name in names(cls) - {"run"}}
        return cls(run=view.number, **shared)


@frozen(kw_only=True)
class Result:
    """What became of one row."""

    n: int = field(metadata=about("Its number, from 1."))
    key: str = field(metadata=about("Its own."))
    to: str | None = field(metadata=about("To whom; null: erased, or not queued."))
    state: RowState = field(metadata=about("Of its delivery; conflict: its key was given before with other words."))
    reason: str = field(metadata=about("Why, if it went wrong."))
    code: str = field(metadata=about("The provider's word for it."))
    at: datetime | None = field(metadata=about("When that was known."))
    next_at: datetime | None = field(metadata=about("It waits until then."))
    order: str = field(metadata=about("The order that it is about."))
    conversation: int | None = field(metadata=about("The conversation that it stands in."))
    delivery: int | None = field(metadata=about("Its delivery."))
    ids: tuple[str, ...] = field(metadata=about("The provider's ids."))
    repeats: str = field(metadata=about("run/row of the first one with its key, of which the state is."))

    @classmethod
    def of(cls, view: RowView) -> Result:
        """Return a row as the API says it."""
        shared = {name: getattr(view, name) for name in names(cls) - {"to"}}
        return cls(to=None if view.to is None else str(view.to), **shared)


@frozen(kw_only=True)
class Results:
    """A page of them, in their order."""

    results: tuple[Result, ...] = field(metadata=about("What became of each row."))
    next: int | None = field(metadata=about("The after of the next page; null: this is the last one."))


@frozen(kw_only=True)
class Cancelled:
    """A run was called off: what has not left yet does not leave any more."""

    run: int = field(metadata=about("Its number."))
    cancelled: int = field(metadata=about("So many notices do not leave."))


@frozen(kw_only=True)
class FieldProblem:
    """What is wrong with a field."""

    field: str = attrs.field(metadata=about("Its place, as in notices[3].values.day; empty: the whole."))
    cause: str = attrs.field(metadata=about("What is wrong."))
    remedy: str = attrs.field(metadata=about("What to do about it."))


@frozen(kw_only=True)
class Refusal:
    """Why something was not done: every field at once. No value is repeated in it."""

    title: str = field(metadata=about("In a sentence."))
    status: int = field(metadata=about("That of the answer."))
    problems: tuple[FieldProblem, ...] = field(metadata=about("Field by field; may be empty."))

    @classmethod
    def of(cls, status: int, title: str, problems: tuple[Problem, ...]) -> Refusal:
        """Return a refusal as the API says it."""
        told = (FieldProblem(field=one.field, cause=one.cause, remedy=one.remedy) for one in problems)
        return cls(title=title, status=status, problems=tuple(told))
