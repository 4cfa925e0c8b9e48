"""The reasons that agents read, in German. English stands where they are made, and is the key here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from fernamt import ChannelError, InboundEvent, Receipt
from fernamt_sms.german_providers import PROVIDERS

Language: TypeAlias = Literal["en", "de"]

GERMAN: Final[Mapping[str, str]] = MappingProxyType(
    {
        **PROVIDERS,
        # numbers and what is said before a provider is asked
        "the number has an extension, and no message goes to one: leave it out": "Die Nummer hat eine Durchwahl, und an die geht keine Nachricht: weglassen",
        "the number cannot be right: there is no such country code": "Die Nummer kann nicht stimmen: diese Landesvorwahl gibt es nicht",
        "the number cannot be right: it is too short for its country": "Die Nummer kann nicht stimmen: für ihr Land ist sie zu kurz",
        "the number cannot be right: it is too long for its country": "Die Nummer kann nicht stimmen: für ihr Land ist sie zu lang",
        "the number cannot be right: its country has no numbers of this length": "Die Nummer kann nicht stimmen: ihr Land hat keine Nummern dieser Länge",
        "the number cannot be right: it has no area code": "Die Nummer kann nicht stimmen: ihr fehlt die Ortsvorwahl",
        "the number cannot be right: its form is unknown": "Die Nummer kann nicht stimmen: ihre Form ist unbekannt",
        "this is no telephone number": "Das ist keine Telefonnummer",
        "the number has no country code: write it as +49...": "Der Nummer fehlt die Landesvorwahl: als +49... schreiben",
        "the number is not written as +4930123456: in another form its answers and its STOP are not found": "Die Nummer ist nicht als +4930123456 geschrieben: in anderer Form werden ihre Antworten und ihr STOP nicht gefunden",
        "networks in that country take no message under a name: send it from a number": "Netze in diesem Land nehmen keine Nachricht unter einem Namen an: von einer Nummer senden",
        "they wrote under a name, which nobody can answer": "Geschrieben wurde unter einem Namen, dem niemand antworten kann",
        "an SMS goes to an address such as phone:+4930123456": "Eine SMS geht an eine Adresse wie phone:+4930123456",
        "an attachment is not here": "Ein Anhang ist nicht da",
        # any provider
        "it was not delivered": "Sie wurde nicht zugestellt",
        "the network did not deliver it and does not say why": "Das Netz hat sie nicht zugestellt und sagt nicht, warum",
        "the telephone is off or out of reach": "Das Telefon ist aus oder nicht erreichbar",
        "the telephone was busy": "Das Telefon war besetzt",
        "the recipient or the network blocks the message": "Der Empfänger oder das Netz sperrt die Nachricht",
        "the recipient blocks such messages": "Der Empfänger sperrt solche Nachrichten",
        "the recipient wants no messages": "Der Empfänger will keine Nachrichten",
        "the recipient is too young for such messages": "Der Empfänger ist zu jung für solche Nachrichten",
        "the recipient's prepaid balance is used up": "Das Guthaben des Empfängers ist aufgebraucht",
        "nobody has this number": "Diese Nummer hat niemand",
        "nobody has this number any more": "Diese Nummer hat niemand mehr",
        "the number is not in use any more": "Die Nummer ist nicht mehr in Gebrauch",
        "no network has this number": "Kein Netz hat diese Nummer",
        "there is no way to this number": "Zu dieser Nummer führt kein Weg",
        "there is no number": "Es gibt keine Nummer",
        "there is no text": "Es gibt keinen Text",
        "the number cannot be reached": "Die Nummer ist nicht erreichbar",
        "the number takes no SMS": "Die Nummer nimmt keine SMS an",
        "the number is a landline that takes no SMS": "Die Nummer ist ein Festnetzanschluss, der keine SMS annimmt",
        "the number is a landline, or its network cannot be reached": "Die Nummer ist ein Festnetzanschluss, oder ihr Netz ist nicht erreichbar",
        "the number has moved to another network, and the way there is not known": "Die Nummer ist in ein anderes Netz gezogen, und der Weg dorthin ist nicht bekannt",
        "the network took it for spam": "Das Netz hielt sie für Spam",
        "the network had trouble": "Das Netz war gestört",
        "the network refused the text": "Das Netz hat den Text abgelehnt",
        "the network cannot be reached": "Das Netz ist nicht erreichbar",
        "the network blocks the number": "Das Netz sperrt die Nummer",
        "the network takes no pictures": "Das Netz nimmt keine Bilder an",
        "the network is too busy": "Das Netz ist überlastet",
        "more messages than the network takes": "Mehr Nachrichten, als das Netz annimmt",
        "more messages than the network takes from this sender": "Mehr Nachrichten, als das Netz von diesem Absender annimmt",
        "more messages than the network takes from this sender in a day": "Mehr Nachrichten, als das Netz von diesem Absender an einem Tag annimmt",
        "more messages than the channel takes": "Mehr Nachrichten, als der Kanal annimmt",
        "more messages than the account may send in a day": "Mehr Nachrichten, als das Konto an einem Tag senden darf",
        "its time was over before it could be sent": "Ihre Frist war um, bevor sie gesendet werden konnte",
        "its time was over before it could be delivered": "Ihre Frist war um, bevor sie zugestellt werden konnte",
        "it is larger than the network takes": "Sie ist größer, als das Netz annimmt",
        "a part of the message got lost": "Ein Teil der Nachricht ging verloren",
        "this country wants the sender to be registered before": "Dieses Land verlangt, dass der Absender vorher angemeldet wird",
        "a filter of the country held it: the company is not registered": "Ein Filter des Landes hielt sie auf: die Firma ist nicht angemeldet",
        "a filter of the country held it: the sender is not registered": "Ein Filter des Landes hielt sie auf: der Absender ist nicht angemeldet",
        "a filter of the country held it: the text is not registered": "Ein Filter des Landes hielt sie auf: der Text ist nicht angemeldet",
        "a filter of the country held it: there is no consent": "Ein Filter des Landes hielt sie auf: es fehlt die Einwilligung",
        "a rule of the country held it": "Eine Vorschrift des Landes hielt sie auf",
        "the sender cannot send SMS": "Der Absender kann keine SMS senden",
        "the sender cannot send pictures": "Der Absender kann keine Bilder senden",
        "from this sender nobody can write to that number": "Von diesem Absender führt kein Weg zu jener Nummer",
        "the text cannot be sent": "Der Text kann nicht gesendet werden",
        "there is neither text nor picture": "Es gibt weder Text noch Bild",
        # Twilio
        "more messages than Twilio takes from this number": "Mehr Nachrichten, als Twilio von dieser Nummer annimmt",
        "more requests than Twilio takes": "Mehr Anfragen, als Twilio annimmt",
        "Twilio does not accept account_sid and auth_token": "Twilio nimmt account_sid und auth_token nicht an",
        "the account at Twilio is not active": "Das Konto bei Twilio ist nicht aktiv",
        "the account at Twilio is suspended": "Das Konto bei Twilio ist gesperrt",
        "the key may not do that at Twilio": "Der Schlüssel darf das bei Twilio nicht",
        "Twilio does not know this account": "Twilio kennt dieses Konto nicht",
        "Twilio says that this is no telephone number": "Twilio sagt, das sei keine Telefonnummer",
        "Twilio does not let this account send from this sender": "Twilio lässt dieses Konto nicht von diesem Absender senden",
        "a trial account writes to verified numbers only": "Ein Testkonto schreibt nur an bestätigte Nummern",
        "a trial account writes to its own numbers only": "Ein Testkonto schreibt nur an eigene Nummern",
        "a trial account sends short texts only": "Ein Testkonto sendet nur kurze Texte",
        "the account may not write to this country: see Geo permissions at Twilio": "Das Konto darf in dieses Land nicht schreiben: siehe Geo permissions bei Twilio",
        "the text is longer than Twilio takes": "Der Text ist länger, als Twilio annimmt",
        "Twilio does not accept our address for statuses: see public_url": "Twilio nimmt unsere Adresse für Zustände nicht an: siehe public_url",
        "Twilio does not accept the address of the picture: see public_url": "Twilio nimmt die Adresse des Bildes nicht an: siehe public_url",
        "they wrote STOP to this number": "An diese Nummer wurde STOP geschrieben",
        "too many messages of this number wait at Twilio": "Bei Twilio warten zu viele Nachrichten dieser Nummer",
        "there are more pictures than Twilio takes": "Es sind mehr Bilder, als Twilio annimmt",
        "Twilio does not know this messaging service": "Twilio kennt diesen Messaging Service nicht",
        "the messaging service has no number to send from": "Der Messaging Service hat keine Nummer zum Senden",
        "the queue at Twilio was full": "Die Warteschlange bei Twilio war voll",
        "the network or Twilio took it for spam": "Das Netz oder Twilio hielt sie für Spam",
        "it would have cost more than the account allows": "Sie hätte mehr gekostet, als das Konto erlaubt",
        "the toll-free number was not verified": "Die gebührenfreie Nummer ist nicht bestätigt",
        "the number is not registered for messages to the USA": "Die Nummer ist nicht für Nachrichten in die USA angemeldet",
        "Twilio holds messages to this number for fraud": "Twilio hält Nachrichten an diese Nummer für Betrug",
        "it was cancelled at Twilio": "Sie wurde bei Twilio abgebrochen",
        "Twilio refused the message": "Twilio hat die Nachricht abgelehnt",
        "Twilio has trouble": "Twilio ist gestört",
        "what answers there is not Twilio": "Was dort antwortet, ist nicht Twilio",
        # Vonage
        "the account at Vonage is suspended": "Das Konto bei Vonage ist gesperrt",
        "Vonage does not accept our address for receipts: see public_url": "Vonage nimmt unsere Adresse für Quittungen nicht an: siehe public_url",
        "Vonage took only some parts of the message": "Vonage hat nur einige Teile der Nachricht angenommen",
        # SMPP
        "the SMSC does not take a message of this length": "Das SMSC nimmt keine Nachricht dieser Länge an",
        "the SMSC says that this session may not send": "Das SMSC sagt, diese Sitzung dürfe nicht senden",
        "the SMSC says that this account is bound already": "Das SMSC sagt, dieses Konto sei schon verbunden",
        "the SMSC has trouble of its own": "Das SMSC ist gestört",
        "the SMSC does not take our sender": "Das SMSC nimmt unseren Absender nicht an",
        "the SMSC says that there is no such number": "Das SMSC sagt, diese Nummer gebe es nicht",
        "the SMSC refuses the bind": "Das SMSC lehnt die Verbindung ab",
        "the SMSC does not accept the password": "Das SMSC nimmt das Passwort nicht an",
        "the SMSC does not know the system_id": "Das SMSC kennt die system_id nicht",
        "the SMSC's queue is full": "Die Warteschlange des SMSC ist voll",
        "the SMSC could not take the message": "Das SMSC konnte die Nachricht nicht annehmen",
        "the SMSC does not take the sender_ton": "Das SMSC nimmt sender_ton nicht an",
        "the SMSC does not take the sender_npi": "Das SMSC nimmt sender_npi nicht an",
        "the SMSC does not take the dest_ton": "Das SMSC nimmt dest_ton nicht an",
        "the SMSC does not take the dest_npi": "Das SMSC nimmt dest_npi nicht an",
        "the SMSC does not accept the system_type": "Das SMSC nimmt system_type nicht an",
        "the SMSC says that this was too fast": "Das SMSC sagt, das sei zu schnell gewesen",
        "the SMSC cannot take the message now": "Das SMSC kann die Nachricht jetzt nicht annehmen",
        "the SMSC refuses the message for good": "Das SMSC lehnt die Nachricht endgültig ab",
        "the SMSC does not take an optional parameter": "Das SMSC nimmt einen optionalen Parameter nicht an",
        "the SMSC refused the message": "Das SMSC hat die Nachricht abgelehnt",
        "the line is not bound: nothing is sent until it is": "Die Leitung ist nicht verbunden: bis dahin wird nichts gesendet",
        "the phone could not be reached in time": "Das Telefon war nicht rechtzeitig erreichbar",
        "the SMSC deleted the message": "Das SMSC hat die Nachricht gelöscht",
        "the network could not deliver it to this number": "Das Netz konnte sie dieser Nummer nicht zustellen",
        "the network refused the message": "Das Netz hat die Nachricht abgelehnt",
        "the SMSC left the message out": "Das SMSC hat die Nachricht ausgelassen",
        "the SMSC does not know what became of it": "Das SMSC weiß nicht, was aus ihr wurde",
        "not yet: the phone could not be reached in time": "Noch nicht: das Telefon war nicht rechtzeitig erreichbar",
        "not yet: the network could not deliver it to this number": "Noch nicht: das Netz konnte sie dieser Nummer nicht zustellen",
        # Kannel and gateways
        "the operator does not let us send from this sender": "Der Netzbetreiber lässt uns nicht von diesem Absender senden",
        "the operator says that nobody has this number": "Der Netzbetreiber sagt, diese Nummer habe niemand",
        "the queue at the operator was full": "Die Warteschlange beim Netzbetreiber war voll",
        "more messages than the operator takes": "Mehr Nachrichten, als der Netzbetreiber annimmt",
        "the operator refused it": "Der Netzbetreiber hat sie abgelehnt",
        "Kannel does not accept user and password": "Kannel nimmt user und password nicht an",
        "more messages than Kannel takes": "Mehr Nachrichten, als Kannel annimmt",
        "Kannel cannot take messages now": "Kannel kann jetzt keine Nachrichten annehmen",
        "Kannel refused the message": "Kannel hat die Nachricht abgelehnt",
        "Kannel has trouble": "Kannel ist gestört",
        "the gateway refused the message": "Das Gateway hat die Nachricht abgelehnt",
        "the gateway cannot reach this number": "Das Gateway erreicht diese Nummer nicht",
        "the gateway does not serve our account": "Das Gateway bedient unser Konto nicht",
        "more messages than the gateway takes": "Mehr Nachrichten, als das Gateway annimmt",
        "the gateway could not take the message now": "Das Gateway konnte die Nachricht gerade nicht annehmen",
        "the gateway has trouble": "Das Gateway ist gestört",
    }
)


def tell(why: ChannelError, language: Language) -> None:
    """Put the reason into a language; what nobody translated stays as it is."""
    if language == "de" and why.reason in GERMAN:
        why.reason = GERMAN[why.reason]
        why.args = (f"{why.reason} ({why.code})" if why.code else why.reason,)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Let every reason that is raised inside be in a language."""
    try:
        yield
    except ChannelError as why:
        tell(why, language)
        raise


def spoken(events: Sequence[InboundEvent], language: Language) -> Sequence[InboundEvent]:
    """Return the events, the reasons of their receipts in a language."""
    for event in events if language != "en" else ():
        if isinstance(event, Receipt) and event.error is not None:
            tell(event.error, language)
    return events
