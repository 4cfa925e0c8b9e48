"""How an answer is laid out: the company's and the agent's signature around it, and what it answers below. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from html import escape
from typing import Final

from attrs import field, frozen

from fernamt import Answered, OutboundMessage, Purpose
from fernamt_email.language import Language
from fernamt_email.settings import LayoutSettings

MAX_QUOTED: Final = 20_000
"""Characters of the message below: a correspondence of years is in the reader's own mailbox."""

_PLACE: Final = re.compile(r"\{(text|agent)\}")
_MONTHS: Final = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905  shorter
)


@frozen(kw_only=True)
class Style:
    """What the settings say of how our mails look."""

    layout: LayoutSettings = field(factory=LayoutSettings)
    language: Language = "en"
    """For customers whose language nobody knows."""
    tagged: bool = False
    """The subject carries a sign of the conversation."""


@frozen
class Body:
    """The words of a mail in both forms; without *html* it has only one."""

    text: str
    html: str = ""


def language_of(message: OutboundMessage, style: Style) -> Language:
    """Return the language of what we add to a message."""
    known = message.language.partition("-")[0].lower()
    return "de" if known == "de" else "en" if known == "en" else style.language


def laid_out(message: OutboundMessage, style: Style) -> Body:
    """Return what the reader gets: the agent's words within the layout of the language, above what they answer."""
    language, layout = language_of(message, style), style.layout
    text_form = layout.text_de if language == "de" else layout.text_en
    html_form = layout.html_de if language == "de" else layout.html_en
    agent = agent_name(message.author, layout)
    quoted = message.answered if layout.quote and message.purpose == Purpose.REPLY and not message.automatic else None
    text = _filled(text_form, message.text.rstrip("\n"), agent) if text_form else message.text
    html = ""
    if message.html or html_form:
        words = message.html or _paragraphs(message.text)
        # Without a form of its own the HTML is signed as the text is.
        html = _filled(html_form or (_paragraphs(text_form) if text_form else "{text}"), words, escape(agent))
    if quoted is not None:
        text = f"{text.rstrip()}\n\n{attribution(quoted, language)}\n{_marked(quoted.text)}\n"
        html = _above(html, _blockquote(quoted, language)) if html else ""
    return Body(text, html)


def agent_name(author: str, layout: LayoutSettings) -> str:
    """Return what a reader sees of who wrote; ``""``: a machine did."""
    kind, _, login = author.partition(":")
    if kind != "agent":
        return ""
    for one in layout.agent_names:
        known, _, name = one.partition("=")
        if known.strip() == login:
            return name.strip()
    return login


def attribution(answered: Answered, language: Language) -> str:
    """Return the line above what is quoted, in the time zone that its time is in."""
    at, who = answered.at, answered.sender.value
    name = " ".join(answered.sender_name.split())
    who = f"{name} <{who}>" if name else who
    if language == "de":
        return f"Am {at:%d.%m.%Y} um {at:%H:%M} schrieb {who}:"
    return f"On {_english(at)} at {at:%H:%M}, {who} wrote:"


def _english(at: datetime) -> str:
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def _filled(form: str, text: str, agent: str) -> str:
    """Return the form with its places filled, once: what stands in the words is no place. Without an agent its line goes."""
    if not agent:
        form = "\n".join(line for line in form.split("\n") if re.sub(r"<[^>]{0,100}>", "", line).strip() != "{agent}")
    return _PLACE.sub(lambda place: text if place[1] == "text" else agent, form)


def _cut(text: str) -> str:
    return text.rstrip() if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED].rpartition(chr(10))[0]}\n..."


def _marked(text: str) -> str:
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in _cut(text).splitlines())


def _blockquote(answered: Answered, language: Language) -> str:
    words = _paragraphs(_cut(answered.text))
    return f'<p>{escape(attribution(answered, language))}</p>\n<blockquote type="cite">\n{words}\n</blockquote>\n'


def _above(html: str, quoted: str) -> str:
    end = html.lower().rfind("</body>")
    return f"{html[:end]}{quoted}{html[end:]}" if end >= 0 else f"{html}\n{quoted}"


def _paragraphs(text: str) -> str:
    return escape(text.strip("\n"), quote=False).replace("\n", "<br>\n")
