"""What the mail benchmark sends: a fixed mix of German mails of 1 to 200 KB, and the connections that hand them over."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from workload import Run

OURS: Final = "support@support.test"
CONNECTIONS: Final = 16
_KNOWN: Final = 1 / 6
_TEXT: Final = (
    "die Lieferung meiner Bestellung ist heute beschädigt angekommen, bitte prüfen Sie das und schicken Sie mir möglichst "
    "schnell Ersatz oder überweisen Sie den Betrag zurück; die Rechnung und ein Foto vom Gehäuse hängen an. Größe, Maß und "
    "Stückzahl stimmen nicht mit dem Angebot überein, das Sie mir am Montag geschickt haben"
)
_WORDS: Final = _TEXT.split()


def mails(count: int, seed: int) -> list[bytes]:
    """Return whole mails as they go over the wire behind DATA, the end included, made before the clock runs.

    Four in ten are plain text of 1 to 4 KB, three in ten text and HTML of 6 to 30 KB, three in ten have files, up to 200 KB in all.
    """
    dice = random.Random(seed)
    wrote: list[str] = []
    made = []
    for number in range(count):
        if wrote and dice.random() < _KNOWN:
            sender = dice.choice(wrote)
        else:
            sender = f"{dice.getrandbits(64):016x}@kunde.test"
            wrote.append(sender)
        made.append(_on_the_wire(_mail(dice, sender, f"{seed}.{number}.{dice.getrandbits(64):x}")))
    return made


def _mail(dice: random.Random, sender: str, name: str) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"Jürgen Groß <{sender}>"
    mail["To"] = f"Support <{OURS}>"
    mail["Subject"] = f"Kaffeemühle beschädigt – Bestellung {dice.randrange(10_000)}"
    mail["Date"] = "Mon, 30 Nov 2026 10:31:00 +0100"
    mail["Message-ID"] = f"<{name}@kunde.test>"
    kind = dice.random()
    mail.set_content(_text(dice, 500 if kind < 0.4 else 1_500), cte="quoted-printable")
    if kind >= 0.4:
        paragraphs = [f"<p style='margin:0'>{_text(dice, 800)}</p>" for _ in range(dice.randint(3, 18))]
        mail.add_alternative(f"<html><body>{''.join(paragraphs)}</body></html>", subtype="html", cte="quoted-printable")
    if kind >= 0.7:
        for number in range(dice.randint(1, 3)):
            content = dice.randbytes(int(4_000 * 10 ** dice.uniform(0, 0.95)))
            mail.add_attachment(content, maintype="image", subtype="jpeg", filename=f"Riss am Gehäuse {number}.jpg")
    return bytes(mail)


def _text(dice: random.Random, size: int) -> str:
    words: list[str] = []
    length = 0
    while length < size:
        words.append(dice.choice(_WORDS))
        length += len(words[-1]) + 1
    return "\n".join(" ".join(words[start : start + 11]) for start in range(0, len(words), 11)) + "\n"


def _on_the_wire(mail: bytes) -> bytes:
    body = mail.replace(b"\r\n.", b"\r\n..")
    return (body if body.endswith(b"\r\n") else body + b"\r\n") + b".\r\n"


async def hand_over(port: int, made: list[bytes]) -> Run:
    """Hand the mails over on several connections, each one mail after the other, and return what was measured."""
    left = iter(made)
    latencies: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_connection(port, left, latencies) for _ in range(CONNECTIONS)))
    took_s = time.perf_counter() - began
    latencies.sort()
    return Run(
        per_s=len(made) / took_s,
        p50_ms=latencies[len(latencies) // 2] * 1_000,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1_000,
    )


async def _connection(port: int, left: Iterator[bytes], latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await _expect(reader, b"220")
        writer.write(b"EHLO kunde.test\r\n")
        await _expect(reader, b"250")
        for mail in left:
            began = time.perf_counter()
            writer.write(b"MAIL FROM:<ann@kunde.test>\r\n")
            await _expect(reader, b"250")
            writer.write(f"RCPT TO:<{OURS}>\r\n".encode())
            await _expect(reader, b"250")
            writer.write(b"DATA\r\n")
            await _expect(reader, b"354")
            writer.write(mail)
            await _expect(reader, b"250")
            latencies.append(time.perf_counter() - began)
    finally:
        writer.close()


async def _expect(reader: asyncio.StreamReader, code: bytes) -> None:
    while True:
        line = await reader.readuntil(b"\n")
        if not line.startswith(code):
            raise RuntimeError(f"the server said {line!r}")
        if line[3:4] == b" ":
            return


def mean_kb(made: list[bytes]) -> float:
    """Return the mean size of these mails."""
    return round(sum(map(len, made)) / len(made) / 1_000, 1)
