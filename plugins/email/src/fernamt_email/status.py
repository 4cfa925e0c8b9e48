"""What the status codes of mail servers mean (RFC 3463, RFC 5248), in a sentence for people. Pure."""

from __future__ import annotations

import re
from typing import Final

from fernamt_email.language import Language

ENHANCED: Final = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")

# By subject and detail: the class in front only says whether it is for good.
_MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "1.1": ("The mailbox does not exist", "Das Postfach gibt es nicht"),
    "1.2": ("The domain of the address takes no mail", "Die Domain der Adresse nimmt keine E-Mail an"),
    "1.3": ("The address is written wrongly", "Die Adresse ist falsch geschrieben"),
    "1.4": ("The address could be several people's", "Die Adresse ist nicht eindeutig"),
    "1.6": ("The recipient has moved to another address", "Der Empfänger hat eine andere Adresse"),
    "1.10": ("The domain of the address takes no mail", "Die Domain der Adresse nimmt keine E-Mail an"),
    "2.1": ("The mailbox is closed", "Das Postfach ist gesperrt"),
    "2.2": ("The mailbox is full", "Das Postfach ist voll"),
    "2.3": ("The mail is too large for this mailbox", "Die E-Mail ist zu groß für dieses Postfach"),
    "2.4": ("The mailing list could not be served", "Der Verteiler konnte nicht bedient werden"),
    "3.1": ("The recipient's mail server has no room", "Der Mailserver des Empfängers hat keinen Platz"),
    "3.2": ("The recipient's mail server takes no mail now", "Der Mailserver des Empfängers nimmt gerade nichts an"),
    "3.4": (
        "The mail is too large for the recipient's server",
        "Die E-Mail ist zu groß für den Mailserver des Empfängers",
    ),
    "4.1": ("The recipient's mail server does not answer", "Der Mailserver des Empfängers antwortet nicht"),
    "4.2": ("The connection to the mail server broke", "Die Verbindung zum Mailserver ist abgebrochen"),
    "4.3": ("The recipient's mail server could not be found", "Der Mailserver des Empfängers wurde nicht gefunden"),
    "4.4": ("There is no way to the recipient's mail server", "Zum Mailserver des Empfängers führt kein Weg"),
    "4.6": ("The mail went round in a circle", "Die E-Mail lief im Kreis"),
    "4.7": ("It could not be delivered in time", "Die Zustellung hat zu lange gedauert"),
    "6.1": ("The recipient's server does not take this kind of content", "Der Mailserver nimmt diesen Inhalt nicht an"),
    "7.1": ("The recipient's server refuses our mail", "Der Mailserver des Empfängers lehnt unsere E-Mail ab"),
    "7.2": ("The mailing list does not take our mail", "Der Verteiler nimmt unsere E-Mail nicht an"),
    "7.20": ("The mail is not signed as the recipient wants it (DKIM)", "Die Signatur der E-Mail fehlt (DKIM)"),
    "7.23": ("Our server may not send for our domain (SPF)", "Unser Server darf für unsere Domain nicht senden (SPF)"),
    "7.24": ("Our domain's SPF record has a mistake", "Der SPF-Eintrag unserer Domain hat einen Fehler"),
    "7.25": ("Our server has no name in reverse DNS", "Unser Server hat keinen Reverse-DNS-Namen"),
    "7.26": ("Our mail fails the checks of who sent it (DMARC)", "Unsere E-Mail besteht die Absenderprüfung nicht (DMARC)"),
    "7.30": ("Login with a password is switched off there", "Die Anmeldung mit Passwort ist dort abgeschaltet"),
}  # fmt: skip
_SUBJECTS: Final[dict[str, tuple[str, str]]] = {
    "1": ("Something is wrong with the address", "Mit der Adresse stimmt etwas nicht"),
    "2": ("Something is wrong with the mailbox", "Mit dem Postfach stimmt etwas nicht"),
    "3": ("The recipient's mail server has trouble", "Der Mailserver des Empfängers hat eine Störung"),
    "4": ("The way to the recipient's mail server is disturbed", "Der Weg zum Mailserver des Empfängers ist gestört"),
    "5": ("The mail servers do not understand each other", "Die Mailserver verstehen einander nicht"),
    "6": ("The recipient's server does not take this content", "Der Mailserver des Empfängers nimmt den Inhalt nicht an"),
    "7": ("The recipient's server refuses our mail", "Der Mailserver des Empfängers lehnt unsere E-Mail ab"),
}  # fmt: skip
_UNKNOWN: Final = ("The mail could not be delivered", "Die E-Mail konnte nicht zugestellt werden")
_LATE: Final = (
    "It is late, and the mail server goes on trying",
    "Sie ist verspätet, der Mailserver versucht es weiter",
)
_SAID: Final = ("it said", "gemeldet wurde")


def enhanced_in(said: str) -> str:
    """Return the enhanced status code in what a server said, ``""`` if there is none."""
    found = ENHANCED.search(said)
    return found[0] if found else ""


def meaning(status: str, language: Language) -> str:
    """Return what an enhanced status code says, in a sentence without a full stop."""
    _, _, detail = status.partition(".")
    pair = _MEANINGS.get(detail) or _SUBJECTS.get(detail.partition(".")[0]) or _UNKNOWN
    return _in(language, pair)


def explained(status: str, said: str, language: Language, *, late: bool = False) -> str:
    """Return why a mail did not arrive, or not yet: a sentence, and behind it the server's own words, if there are any."""
    sentence = meaning(status, language)
    if late:
        cause = sentence if status.partition(".")[2] else ""
        sentence = f"{_in(language, _LATE)}: {cause}" if cause else _in(language, _LATE)
    return f"{sentence}; {_in(language, _SAID)}: {said}" if said else sentence


def _in(language: Language, pair: tuple[str, str]) -> str:
    return pair[1] if language == "de" else pair[0]
