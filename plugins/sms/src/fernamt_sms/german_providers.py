"""The German of what providers say: by the sentence in English, which stands in the tables of their codes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_OF_ANY: Final = {
    "more requests than {} takes": "Mehr Anfragen, als {} annimmt",
    "more messages than {} takes": "Mehr Nachrichten, als {} annimmt",
    "{} does not accept the login": "{} nimmt die Anmeldung nicht an",
    "the balance at {} is not enough": "Das Guthaben bei {} reicht nicht",
    "{} was not done with it in time": "{} wurde damit nicht rechtzeitig fertig",
    "{} refused the message": "{} hat die Nachricht abgelehnt",
    "{} has trouble": "{} ist gestört",
    "what answers there is not {}": "Was dort antwortet, ist nicht {}",
    "something in the message is not as {} wants it": "Etwas in der Nachricht ist nicht so, wie {} es will",
    "{} says that this is no telephone number": "{} sagt, das sei keine Telefonnummer",
    "{} does not let this account send from this sender": "{} lässt dieses Konto nicht von diesem Absender senden",
    "{} does not accept our address: see public_url": "{} nimmt unsere Adresse nicht an: siehe public_url",
    "{} has no way to this number": "{} hat keinen Weg zu dieser Nummer",
    "{} holds messages to this number for fraud": "{} hält Nachrichten an diese Nummer für Betrug",
    "the account at {} may not do that": "Das Konto bei {} darf das nicht",
    "the network or {} took it for spam": "Das Netz oder {} hielt sie für Spam",
    "the text is longer than {} takes": "Der Text ist länger, als {} annimmt",
    "it was cancelled at {}": "Sie wurde bei {} abgebrochen",
}

PROVIDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        english.format(who): german.format(who)
        for who in ("Vonage", "Telnyx", "Sinch", "Infobip", "Bird")
        for english, german in _OF_ANY.items()
    }
    | {
        # several
        "they wrote STOP to this sender": "An diesen Absender wurde STOP geschrieben",
        "something is missing in the message": "In der Nachricht fehlt etwas",
        "the network does not take this text": "Das Netz nimmt diesen Text nicht an",
        "the network refused it": "Das Netz hat sie abgelehnt",
        "the network refused it and does not say why": "Das Netz hat sie abgelehnt und sagt nicht, warum",
        "the network refused the picture": "Das Netz hat das Bild abgelehnt",
        "the network did not take it": "Das Netz hat sie nicht angenommen",
        "the network could not take it at that time": "Das Netz konnte sie zu der Zeit nicht annehmen",
        "the network blocks everything to this number": "Das Netz sperrt alles an diese Nummer",
        "the network blocks messages to this number": "Das Netz sperrt Nachrichten an diese Nummer",
        "the network blocks it for the recipient's age": "Das Netz sperrt sie wegen des Alters des Empfängers",
        "the network dropped it: the number may be wrong, or its owner wants no messages": "Das Netz hat sie verworfen: die Nummer ist vielleicht falsch, oder ihr Inhaber will keine Nachrichten",
        "the recipient's network cannot be reached": "Das Netz des Empfängers ist nicht erreichbar",
        "the recipient's network refused it": "Das Netz des Empfängers hat sie abgelehnt",
        "the recipient's network refused it and does not say why": "Das Netz des Empfängers hat sie abgelehnt und sagt nicht, warum",
        "the recipient's network blocks this short code for them": "Das Netz des Empfängers sperrt diese Kurzwahl für ihn",
        "the recipient's network lets no service write to them (do not disturb)": "Das Netz des Empfängers lässt keinen Dienst an ihn schreiben (bitte nicht stören)",
        "the recipient's contract does not allow it": "Der Vertrag des Empfängers erlaubt es nicht",
        "the recipient's prepaid balance is not enough": "Das Guthaben des Empfängers reicht nicht",
        "the recipient or the sender takes no pictures": "Der Empfänger oder der Absender nimmt keine Bilder an",
        "the telephone cannot show that": "Das Telefon kann das nicht zeigen",
        "the telephone was busy, or full": "Das Telefon war besetzt oder voll",
        "the telephone or its network takes no such pictures": "Das Telefon oder sein Netz nimmt solche Bilder nicht an",
        "the number is a landline, or cannot be reached": "Die Nummer ist ein Festnetzanschluss oder nicht erreichbar",
        "the number was moved to another network, and that went wrong": "Die Nummer ist in ein anderes Netz gezogen, und das ging schief",
        "nobody can be reached at this number": "Unter dieser Nummer ist niemand erreichbar",
        "the sender is not registered, or its campaign is not active": "Der Absender ist nicht angemeldet, oder seine Kampagne ist nicht aktiv",
        "the campaign of the number is not active": "Die Kampagne der Nummer ist nicht aktiv",
        "the account writes to verified numbers only": "Das Konto schreibt nur an bestätigte Nummern",
        "the same words went to this number before": "Dieselben Worte gingen schon an diese Nummer",
        "it is too late to answer": "Für eine Antwort ist es zu spät",
        # Vonage
        "Vonage does not accept account and api_secret": "Vonage nimmt account und api_secret nicht an",
        "Vonage cannot send to this number": "Vonage kann an diese Nummer nicht senden",
        "Vonage could not hand it in": "Vonage konnte sie nicht abgeben",
        "Vonage gives a reason that we do not know": "Vonage nennt einen Grund, den wir nicht kennen",
        "Vonage says that it was sent already": "Vonage sagt, sie sei schon gesendet",
        "Vonage wants signed requests from this account: allow the secret there": "Vonage will von diesem Konto unterschriebene Anfragen: dort das Geheimnis erlauben",
        "Vonage's Fraud Defender blocks messages to this number": "Der Fraud Defender von Vonage sperrt Nachrichten an diese Nummer",
        "more messages than Vonage takes from this account": "Mehr Nachrichten, als Vonage von diesem Konto annimmt",
        "the account at Vonage is not made for this API": "Das Konto bei Vonage ist nicht für diese Schnittstelle eingerichtet",
        "the account may write to listed numbers only: add this one at Vonage": "Das Konto darf nur an gelistete Nummern schreiben: diese bei Vonage hinzufügen",
        "the number is on Vonage's list of numbers that get nothing": "Die Nummer steht auf der Sperrliste von Vonage",
        # Telnyx
        "Telnyx does not accept api_key": "Telnyx nimmt api_key nicht an",
        "Telnyx does not know it": "Telnyx kennt es nicht",
        "Telnyx does not accept the pictures: see public_url": "Telnyx nimmt die Bilder nicht an: siehe public_url",
        "Telnyx blocks messages from this sender to this number": "Telnyx sperrt Nachrichten von diesem Absender an diese Nummer",
        "it is larger than Telnyx takes": "Sie ist größer, als Telnyx annimmt",
        "the number at Telnyx is not active": "Die Nummer bei Telnyx ist nicht aktiv",
        "the account at Telnyx is not active, or blocked": "Das Konto bei Telnyx ist nicht aktiv oder gesperrt",
        "the account may not write to this country: see the messaging profile": "Das Konto darf in dieses Land nicht schreiben: siehe das Messaging Profile",
        "the messaging profile at Telnyx is not ready to send": "Das Messaging Profile bei Telnyx ist nicht bereit zu senden",
        "the messaging profile has reached its limit of spending": "Das Messaging Profile hat seine Ausgabengrenze erreicht",
        # Sinch
        "Sinch does not accept plan and plan_token": "Sinch nimmt plan und plan_token nicht an",
        "Sinch could not fetch the picture: see public_url": "Sinch konnte das Bild nicht abholen: siehe public_url",
        "Sinch had trouble, and did not hand it in": "Sinch war gestört und hat sie nicht abgegeben",
        "the account at Sinch is blocked, or has no money left": "Das Konto bei Sinch ist gesperrt oder hat kein Guthaben mehr",
        "the account may not write to this country: ask Sinch": "Das Konto darf in dieses Land nicht schreiben: bei Sinch fragen",
        "the service plan at Sinch may not do that": "Der Service Plan bei Sinch darf das nicht",
        # Infobip
        "Infobip did not send it": "Infobip hat sie nicht gesendet",
        "Infobip could not hand it to any network": "Infobip konnte sie an kein Netz abgeben",
        "Infobip had trouble, and did not take it": "Infobip war gestört und hat sie nicht angenommen",
        "more messages to one number than Infobip lets through in an hour": "Mehr Nachrichten an eine Nummer, als Infobip in einer Stunde durchlässt",
        "the account may not write to this network: ask Infobip": "Das Konto darf in dieses Netz nicht schreiben: bei Infobip fragen",
        "the number is on a list at Infobip or its network that gets nothing": "Die Nummer steht auf einer Sperrliste bei Infobip oder ihrem Netz",
        # Bird
        "the sender is not registered for this category at Bird": "Der Absender ist bei Bird nicht für diese Kategorie angemeldet",
        "Bird does not offer that to this account": "Bird bietet das diesem Konto nicht an",
        "Bird could not hand it to any network": "Bird konnte sie an kein Netz abgeben",
        "Bird knows this message in other words": "Bird kennt diese Nachricht mit anderen Worten",
        "the workspace lies in another place than its key: see api": "Der Workspace liegt an einem anderen Ort als sein Schlüssel: siehe api",
    }
)
