"""Whatever a connector brings becomes fit to be stored: texts that a database takes, HTML that does nothing."""

import time
from datetime import UTC, datetime
from typing import Any, get_args

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt._runtime.storable import HTML_MAX, REFERENCES_MAX, clean_html, storable, storable_text
from fernamt.errors import OptedOut
from fernamt.inbound import (
    Changed,
    Consent,
    Fetch,
    Ignored,
    InboundEvent,
    Lines,
    Part,
    Receipt,
    Received,
    Renamed,
    Thread,
    Unparsed,
)
from fernamt.model import Address, Attachment, Blob, DeliveryState, Remote
from fernamt.session import Said, SessionEvent

ANN = Address("phone", "+49301")
DIRT = "a\0b\ud800c"
DIRTY = Address("phone", DIRT)

EVENTS: list[InboundEvent] = [
    Received(
        key=DIRT,
        part=Part(group=DIRT, number=1),
        sender=DIRTY,
        text=DIRT,
        folded=(Lines(0, 1, DIRT),),
        id=DIRT,
        aliases=(ANN, DIRTY),
        sender_name=DIRT,
        cc=(DIRTY,),
        subject=DIRT,
        html=f"<p title='{DIRT}'>{DIRT}</p>",
        choice=DIRT,
        attachments=(
            Attachment(name=DIRT, media_type=DIRT, content_id=DIRT, content=Remote(DIRT)),
            Attachment(name=DIRT, media_type=DIRT, content=Blob(DIRT, 1)),
        ),
        thread=Thread(token=DIRT, references=(DIRT, "fine"), place=DIRT),
    ),
    Received(key=DIRT, sender=ANN),
    Received(key="k", sender=Address(DIRT, "1")),
    Received(key="k", sender=ANN, folded=(Lines(0, 1, DIRT),)),
    Received(key="k", sender=ANN, marks=("signed", DIRT)),
    Received(key="k", sender=ANN, thread=Thread(place=DIRT)),
    Changed(key=DIRT, id=DIRT, kind="edited", text=DIRT, sender=DIRTY),
    Receipt(
        key=DIRT,
        state=DeliveryState.FAILED,
        id=DIRT,
        message_key=DIRT,
        address=DIRTY,
        error=OptedOut(DIRT, code=DIRT),
    ),
    Consent(key=DIRT, address=DIRTY, allowed=False, scope=DIRT),
    Renamed(key=DIRT, old=DIRTY, new=ANN),
    Unparsed(key=DIRT, reason=DIRT, raw=DIRT.encode(errors="surrogatepass")),
    Ignored(reason=DIRT),
    Fetch(DIRT),
    SessionEvent(key=DIRT, session=DIRT, address=DIRTY, at=datetime.now(UTC), what=Said(DIRT)),
]


def texts(value: Any) -> list[str]:
    """Return every text below a value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for one in value for text in texts(one)]
    if isinstance(value, OptedOut):
        return [value.reason, value.code]
    if attrs.has(type(value)):
        return [text for field in attrs.fields(type(value)) for text in texts(getattr(value, field.name))]
    return []


def test_no_text_of_an_event_is_one_that_a_database_refuses() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(InboundEvent))
    for event in EVENTS:
        clean = texts(storable(event))
        assert clean
        for text in clean:
            assert "\0" not in text
            text.encode()
            orjson.dumps(text)


@given(st.text(st.characters(codec=None, categories=None, exclude_categories=[])))
def test_every_text_becomes_storable_and_a_storable_one_stays_itself(text: str) -> None:
    clean = storable_text(text)
    assert "\0" not in clean
    clean.encode()
    assert storable_text(clean) is clean
    assert len(clean) == len(text)


def test_a_clean_event_is_itself() -> None:
    event = Received(key="k", sender=ANN, text="Grüße 😀", thread=Thread(references=("a",)), cc=(ANN,))
    assert storable(event) == event


NOBODY = [Address("", "x"), Address("phone", ""), Address("a:b", "c"), Address("phone", "1" * 2000)]


@pytest.mark.parametrize("nobody", NOBODY, ids=str)
def test_somebody_without_an_address_is_refused_wherever_he_stands(nobody: Address) -> None:
    for event in (
        Received(key="k", sender=nobody),
        Received(key="k", sender=ANN, cc=(nobody,)),
        Received(key="k", sender=ANN, cc=[nobody]),  # type: ignore[arg-type]  # not asked for, and easily given
        Received(key="k", sender=ANN, aliases=(nobody,)),
        Changed(key="k", id="i", kind="deleted", sender=nobody),
        Consent(key="k", address=nobody, allowed=True),
        Renamed(key="k", old=ANN, new=nobody),
    ):
        with pytest.raises(ValueError, match="no address"):
            storable(event)


@pytest.mark.parametrize("event", [Received(key="", sender=ANN), Unparsed(key="", reason="r")], ids=["plain", "other"])
def test_an_event_without_a_key_is_refused_for_all_such_would_be_repeats(event: InboundEvent) -> None:
    with pytest.raises(ValueError, match="no key"):
        storable(event)


def test_a_thread_is_bounded_and_still_the_same_thread() -> None:
    long = storable(Received(key="k", sender=ANN, thread=Thread(place="p" * 9000))).thread.place
    assert len(long) < 100
    assert long == storable(Received(key="other", sender=ANN, html="x", thread=Thread(place="p" * 9000))).thread.place
    assert long != storable(Received(key="k", sender=ANN, thread=Thread(place="p" * 9001))).thread.place
    many = Thread(references=tuple(str(number) for number in range(5000)))
    kept = storable(Received(key="k", sender=ANN, thread=many)).thread.references
    assert kept == many.references[:REFERENCES_MAX]  # the nearest


HTML = [  # what came, what must be gone, what must stay
    ("<script>alert(1)</script><p>hi</p>", "alert", "<p>hi</p>"),
    ("<style>p{background:url(//x)}</style><p>hi</p>", "background", "<p>hi</p>"),
    ('<p onclick="evil()">hi</p>', "evil", "<p>hi</p>"),
    ('<p style="background:url(//spy)">hi</p>', "spy", "<p>hi</p>"),
    ('<a href="javascript:evil()">hi</a>', "javascript", "hi"),
    ('<a href=" java\nscript:evil()">hi</a>', "script:", "hi"),
    ('<a href="&#106;avascript:evil()">hi</a>', "evil", "hi"),
    ('<a href="data:text/html,evil">hi</a>', "evil", "hi"),
    ('<img src="https://spy.example/x.gif" alt="hi">', "spy", "hi"),
    ('<img src="//spy.example/x.gif" alt="hi">', "spy", "hi"),
    ('<img src="/x" alt="hi">', "src", "hi"),
    ('<img srcset="https://spy.example/x.gif 2x" alt="hi">', "spy", "hi"),
    ('<table background="https://spy.example/x.gif"><tr><td>hi</td></tr></table>', "spy", "hi"),
    ('<svg><image href="https://spy.example/x"/></svg>hi', "spy", "hi"),
    ('<iframe src="https://spy.example"></iframe>hi', "spy", "hi"),
    ('<form action="https://spy.example"><input name="pin"></form>hi', "spy", "hi"),
    ('<meta http-equiv="refresh" content="0;url=https://spy.example">hi', "spy", "hi"),
    ('<base href="https://spy.example/"><a href="x">hi</a>', "spy", "hi"),
    ('<link rel="stylesheet" href="https://spy.example/x.css">hi', "spy", "hi"),
    ('<blockquote cite="javascript:evil()">hi</blockquote>', "evil", "hi"),
    ("<math><mi//xlink:href='data:x,<script>alert(4)</script>'>hi", "alert", ""),
    ("<!--[if mso]><p>evil</p><![endif]--><p>hi</p>", "evil", "<p>hi</p>"),
    ('<img src="cid:logo@x" alt="hi">', "nothing", 'src="cid:logo@x"'),
    ('<img src="data:image/png;base64,iVBO" alt="hi">', "nothing", "data:image/png"),
    ('<a href="https://example.org/x">hi</a>', "nothing", 'rel="noopener noreferrer"'),
    ('<a href="mailto:a@b.c">hi</a>', "nothing", "mailto:a@b.c"),
    ("<p>1 < 2 & <b>so</b></p>", "nothing", "<b>so</b>"),
]


@pytest.mark.parametrize(("html", "gone", "stays"), HTML, ids=[html for html, _, _ in HTML])
def test_html_runs_nothing_and_loads_nothing_from_elsewhere(html: str, gone: str, stays: str) -> None:
    for much in (html, html + "<i></i>" * 400):  # the way of large HTML is no other way in
        clean = clean_html(much)
        assert gone not in clean
        assert stays.replace("b>", "span>" if much is not html else "b>") in clean


BOMBS = {  # what a few kilobytes can do to a parser
    "deep": "<div>" * 100_000,
    "deep and long": "<ul><li>" * 9_000,
    "open formatting in every block": "<div>" + "".join(f"<b lang='{n}'>" for n in range(9_000)) + "</div><p>x" * 9_000,
    "spelled otherwise": "<DIV>" + "".join(f"<FONT\nlang='{n}'>" for n in range(9_000)) + "</DIV><P/>x" * 9_000,
    "one tag of many attributes": f"<p {' '.join(f'a{n:x}' for n in range(30_000))}>",
    "long": "<p>" + "x" * 5_000_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_html_that_was_made_to_keep_us_busy_does_not(bomb: str) -> None:
    html = BOMBS[bomb]
    began = time.process_time()
    clean = clean_html(html)
    assert time.process_time() - began < 5.0
    assert len(clean) < 2 * HTML_MAX


def test_a_long_ordinary_mail_keeps_its_html() -> None:
    paragraph = "<p class=MsoNormal><span style='color:black'>Guten <b>Tag</b>, <a href='https://x.example'>hier</a></span></p>\n"
    clean = clean_html(paragraph * 1_000)
    assert clean.count("https://x.example") == 1_000
    assert clean.count("Tag") == 1_000
