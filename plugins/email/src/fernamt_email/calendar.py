"""Invitations and what becomes of them (iCalendar, RFC 5545; iTIP, RFC 5546), said in a few lines for people. Pure.

Only what an agent has to know is read: what, when, where, who. The ``.ics`` stays a file for the calendar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from typing import Final

from attrs import frozen

from fernamt_email.charset import decoded

MAX_BYTES: Final = 500_000
MAX_FIELDS: Final = 2_000
MAX_LINE: Final = 10_000
"""A longer field is passed over: what people write is shorter, and taking it apart takes many times its length."""
MAX_EVENTS: Final = 5
MAX_PEOPLE: Final = 10
MAX_WORDS: Final = 500

_METHODS: Final = {
    "REQUEST": "Einladung / Invitation",
    "CANCEL": "Abgesagt / Cancelled",
    "REPLY": "Antwort / Reply",
    "COUNTER": "Gegenvorschlag / Counter-proposal",
    "DECLINECOUNTER": "Gegenvorschlag abgelehnt / Counter-proposal declined",
    "ADD": "Weiterer Termin / Further date",
}
_ANSWERS: Final = {
    "ACCEPTED": "zugesagt / accepted",
    "DECLINED": "abgesagt / declined",
    "TENTATIVE": "mit Vorbehalt / tentative",
    "DELEGATED": "weitergegeben / delegated",
}
_FREQUENCIES: Final = {
    "DAILY": "täglich / daily",
    "WEEKLY": "wöchentlich / weekly",
    "MONTHLY": "monatlich / monthly",
    "YEARLY": "jährlich / yearly",
}
_TOLD: Final = frozenset(
    [
        "BEGIN",
        "END",
        "METHOD",
        "SUMMARY",
        "STATUS",
        "DTSTART",
        "DTEND",
        "RRULE",
        "LOCATION",
        "ORGANIZER",
        "ATTENDEE",
        "COMMENT",
    ]
)
_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(r"([A-Za-z0-9-]{1,60})((?:;[^=:;]{1,60}=(?:\"[^\"]*\"|[^;:\"]*)(?:,\"[^\"]*\")*)*):(.*)")
_PARAMETER = re.compile(r";([^=:;]{1,60})=(?:\"([^\"]*)\"|([^;:\"]*))")
_ESCAPED = re.compile(r"\\([\\;,nN])")
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})\d{2}(Z)?)?")


@frozen
class _Field:
    name: str
    parameters: dict[str, str]
    value: str

    @property
    def text(self) -> str:
        plain = _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], self.value)
        return " ".join(plain.split())[:MAX_WORDS]

    @property
    def person(self) -> str:
        address = re.sub(r"\Amailto:", "", self.value.strip(), flags=re.IGNORECASE)
        name = self.parameters.get("CN", "").strip()
        return f"{name} <{address}>" if name and name.lower() != address.lower() else address


def summary_of(data: bytes, charset: str) -> str:
    """Return what a calendar file says, as lines for people in German and English; ``""`` if it holds no event."""
    fields = list(islice(_fields(decoded(data[:MAX_BYTES], charset, "utf-8")), MAX_FIELDS))
    method = next((one.value.strip().upper() for one in fields if one.name == "METHOD"), "")
    events = list(_events(fields))
    said = ["\n".join(_told(event, method)) for event in events[:MAX_EVENTS]]
    if len(events) > MAX_EVENTS:
        said.append(f"(+ {len(events) - MAX_EVENTS} Termine / events)")
    return "\n\n".join(said)


def _fields(text: str) -> Iterator[_Field]:
    for line in _FOLD.sub("", text).splitlines():
        if len(line) <= MAX_LINE and (found := _LINE.fullmatch(line.strip())) is not None and found[1].upper() in _TOLD:
            named = {one[0].upper(): one[1] or one[2] for one in _PARAMETER.findall(found[2])}
            yield _Field(found[1].upper(), named, found[3])


def _events(fields: list[_Field]) -> Iterator[list[_Field]]:
    """Yield the fields of each event, without those of its alarms."""
    event: list[_Field] | None = None
    within = 0
    for one in fields:
        value = one.value.strip().upper()
        if one.name == "BEGIN":
            if value in ("VEVENT", "VTODO") and event is None:
                event = []
            elif event is not None:
                within += 1
        elif one.name == "END":
            if within:
                within -= 1
            elif event is not None:
                yield event
                event = None
        elif event is not None and not within:
            event.append(one)
    if event:
        yield event


def _told(event: list[_Field], method: str) -> Iterator[str]:
    by_name: dict[str, _Field] = {}
    for one in event:
        by_name.setdefault(one.name, one)
    cancelled = "STATUS" in by_name and by_name["STATUS"].value.strip().upper() == "CANCELLED"
    title = by_name["SUMMARY"].text if "SUMMARY" in by_name else ""
    head = _METHODS["CANCEL"] if cancelled else _METHODS.get(method, "Termin / Event")
    yield f"{head}: {title or '(ohne Titel / no title)'}"
    if when := _when(by_name.get("DTSTART"), by_name.get("DTEND")):
        yield f"Wann / When: {when}{_repeats(by_name.get('RRULE'))}"
    if "LOCATION" in by_name and (where := by_name["LOCATION"].text):
        yield f"Wo / Where: {where}"
    if "ORGANIZER" in by_name:
        yield f"Von / Organiser: {by_name['ORGANIZER'].person}"
    people = [one for one in event if one.name == "ATTENDEE"]
    if people:
        shown = ", ".join(_guest(one, says=method in ("REPLY", "COUNTER")) for one in people[:MAX_PEOPLE])
        more = f" (+ {len(people) - MAX_PEOPLE})" if len(people) > MAX_PEOPLE else ""
        yield f"Mit / With: {shown}{more}"
    if method in ("REPLY", "COUNTER") and "COMMENT" in by_name:
        yield f"Anmerkung / Comment: {by_name['COMMENT'].text}"


def _guest(one: _Field, *, says: bool) -> str:
    answer = _ANSWERS.get(one.parameters.get("PARTSTAT", "").upper(), "")
    return f"{one.person}: {answer}" if answer and says else one.person


def _when(start: _Field | None, end: _Field | None) -> str:
    if start is None or (begins := _DATE.match(start.value.strip())) is None:
        return ""
    ends = _DATE.match(end.value.strip()) if end is not None else None
    day = "-".join(begins.groups()[:3])
    zone = "UTC" if begins[6] else start.parameters.get("TZID", "").strip("\"'")
    if begins[4] is None:
        return day if ends is None or _is_next_day(begins, ends) else f"{day} – {_day_before(ends)}"
    told = f"{day} {begins[4]}:{begins[5]}"
    if ends is not None and ends[4] is not None:
        last = "-".join(ends.groups()[:3])
        told += f"–{ends[4]}:{ends[5]}" if last == day else f" – {last} {ends[4]}:{ends[5]}"
    return f"{told} ({zone})" if zone else told


def _is_next_day(begins: re.Match[str], ends: re.Match[str]) -> bool:
    return _day_before(ends) <= "-".join(begins.groups()[:3])


def _day_before(ends: re.Match[str]) -> str:
    """The end of a whole day is the next day's beginning (RFC 5545, 3.6.1)."""
    try:
        return (date(int(ends[1]), int(ends[2]), int(ends[3])) - timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        return "-".join(ends.groups()[:3])


def _repeats(rule: _Field | None) -> str:
    if rule is None:
        return ""
    found = re.search(r"FREQ=([A-Z]+)", rule.value.upper())
    return f", {_FREQUENCIES.get(found[1], 'wiederholt / repeated')}" if found else ""
