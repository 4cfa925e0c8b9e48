"""What the words with which providers refuse mean, and what to do: the next step, in English and German. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from fernamt_email.language import Language


@frozen(kw_only=True)
class Advice:
    """What to do about one way of refusing."""

    name: str
    """Its heading on the page about set-up."""
    words: re.Pattern[str]
    """How servers say it."""
    says: Mapping[Language, str]


def _advice(name: str, words: str, en: str, de: str) -> Advice:
    return Advice(name=name, words=re.compile(words, re.IGNORECASE), says={"en": en, "de": de})


# The first that fits counts: a provider's own words stand before what all say.
ADVICE: Final = (
    _advice(
        "gmail-app-password",
        r"application-specific password required|InvalidSecondFactor|support\.google\.com/(?:accounts/\?p=InvalidSecondFactor|mail/accounts/answer/185833)",
        "Google takes no account password here: make an app password (Google account, Security, 2-Step Verification, App "
        "passwords) and write that, or use a table oauth.",
        "Google nimmt hier kein Kontopasswort: ein App-Passwort anlegen (Google-Konto, Sicherheit, Bestätigung in zwei Schritten, "
        "App-Passwörter) und dieses eintragen, oder eine Tabelle oauth verwenden.",
    ),
    _advice(
        "gmail-web-login",
        r"WebLoginRequired|Please log in via your web browser|support\.google\.com/mail/\?p=BadCredentials"
        r"|Username and Password not accepted",
        "Google refuses user and password: is IMAP switched on, and is this an app password? Log in once at gmail.com and confirm "
        "that it was you.",
        "Google lehnt Benutzer und Passwort ab: ist IMAP eingeschaltet, und ist dies ein App-Passwort? Einmal bei gmail.com "
        "anmelden und bestätigen, dass man es selbst war.",
    ),
    _advice(
        "gmail-imap-off",
        r"not enabled for IMAP use|IMAP access is disabled for your domain",
        "Switch IMAP on: in Gmail under Forwarding and POP/IMAP; in a company its administrator allows it first.",
        "IMAP einschalten: in Gmail unter Weiterleitung und POP/IMAP; in einer Firma erlaubt es zuerst der Administrator.",
    ),
    _advice(
        "m365-smtp-auth-off",
        r"SmtpClientAuthentication is disabled",
        "SMTP AUTH is off for this mailbox or the whole company: an administrator switches Authenticated SMTP on for the mailbox "
        "(Microsoft 365 admin centre, user, Mail, Manage email apps). It is needed for oauth, too.",
        "SMTP AUTH ist für dieses Postfach oder die ganze Firma aus: ein Administrator schaltet Authentifiziertes SMTP für das "
        "Postfach ein (Microsoft 365 Admin Center, Benutzer, E-Mail, E-Mail-Apps verwalten). Auch oauth braucht es.",
    ),
    _advice(
        "m365-basic-off",
        r"basic authentication is disabled|5\.7\.139|5\.7\.30\b|AUTHENTICATE failed|outlook\.office365\.com.*LOGIN failed|^LOGIN failed\.?$",
        "Microsoft 365 takes no passwords: write a table oauth with provider = 'microsoft', then fernamt email connect CHANNEL. With "
        "a table oauth already, the consent is not for this mailbox: the app needs IMAP.AccessAsApp and a service principal on it.",
        "Microsoft 365 nimmt keine Passwörter: eine Tabelle oauth mit provider = 'microsoft' anlegen, dann fernamt email connect CHANNEL. "
        "Gibt es sie schon, gilt die Zustimmung nicht für dieses Postfach: die App braucht IMAP.AccessAsApp und einen "
        "Dienstprinzipal darauf.",
    ),
    _advice(
        "m365-not-connected",
        r"authenticated but not connected",
        "Microsoft 365 knows the login, but it may not open this mailbox: has it a licence, is IMAP allowed for it (Manage email "
        "apps), and does the login have Full Access to it, if it is shared?",
        "Microsoft 365 kennt die Anmeldung, sie darf dieses Postfach aber nicht öffnen: hat es eine Lizenz, ist IMAP dafür erlaubt "
        "(E-Mail-Apps verwalten), und hat die Anmeldung Vollzugriff darauf, falls es freigegeben ist?",
    ),
    _advice(
        "m365-send-as",
        r"SendAsDenied|5\.7\.60|not allowed to send as|Client does not have permissions to send as this sender",
        "The login may not send as this address: give it Send As on the mailbox (Exchange admin centre, mailbox, delegation).",
        "Die Anmeldung darf nicht als diese Adresse senden: ihr Senden als auf das Postfach geben (Exchange Admin Center, Postfach, "
        "Stellvertretung).",
    ),
    _advice(
        "imap-off",
        r"IMAP (?:is )?(?:not (?:enabled|activated)|disabled|deactivated|access (?:is )?(?:denied|not allowed))|POP3?/IMAP.{0,30}(?:not|nicht)"
        r"|imap.{0,20}(?:nicht (?:aktiviert|freigeschaltet)|deaktiviert)",
        "Switch IMAP on at the provider. GMX and WEB.DE: Settings, POP3/IMAP, allow access; freenet, T-Online and Yahoo: in the security "
        "settings. They switch it off again when nobody uses it for long.",
        "IMAP beim Anbieter einschalten. GMX und WEB.DE: Einstellungen, POP3/IMAP Abruf, Zugriff erlauben; freenet, T-Online und Yahoo: in "
        "den Sicherheitseinstellungen. Wird es lange nicht benutzt, schalten sie es wieder aus.",
    ),
    _advice(
        "app-password",
        r"app(?:lication)?[- ]specific password|app[- ]password|anwendungsspezifisch|LOGIN Server error.*yahoo|yahoo.*invalid credentials",
        "This provider wants a password of its own for mail programs: make one in its security settings (Yahoo: Generate app password; "
        "iCloud: account.apple.com, App-Specific Passwords; Fastmail: Privacy and Security) and write that.",
        "Dieser Anbieter will für Mailprogramme ein eigenes Passwort: in seinen Sicherheitseinstellungen anlegen (Yahoo: App-Passwort "
        "erzeugen; iCloud: account.apple.com, App-spezifische Passwörter; Fastmail: Privacy and Security) und dieses eintragen.",
    ),
    _advice(
        "two-factor",
        r"two[- ]factor|2[- ]?fa\b|second factor|zwei-faktor|zweiter faktor",
        "The account has a second factor: make an app password at the provider and write that.",
        "Das Konto hat einen zweiten Faktor: beim Anbieter ein App-Passwort anlegen und dieses eintragen.",
    ),
    _advice(
        "sender-refused",
        r"sender address (?:is )?not (?:allowed|owned)|not owned by user|5\.7\.1 .*sender.*(?:reject|refus|not)|from address is not one of your addresses"
        r"|sender (?:address )?rejected|absenderadresse",
        "The mail server lets this login send only as its own address: write that as address, or let the provider add this one as an alias.",
        "Der Mailserver lässt diese Anmeldung nur unter der eigenen Adresse senden: diese als address eintragen, oder die andere beim "
        "Anbieter als Alias anlegen.",
    ),
    _advice(
        "relay-refused",
        r"relay(?:ing)? (?:access )?(?:denied|not permitted|not allowed)|unable to relay|authentication (?:is )?required|must (?:first )?authenticate"
        r"|5\.7\.57|5\.5\.1 authentication",
        "The mail server wants a login: write smtp.user and smtp.password, and the provider's server for sending (port 587 or 465), "
        "not the one for receiving (port 25).",
        "Der Mailserver will eine Anmeldung: smtp.user und smtp.password eintragen, und den Server des Anbieters zum Senden (Port 587 oder "
        "465), nicht den zum Empfangen (Port 25).",
    ),
    _advice(
        "blocked",
        r"spamhaus|blocklist|blacklist|listed (?:by|in|at)|5\.7\.1 .*(?:blocked|reputation)|poor reputation|policy reasons",
        "Your server's address is on a block list or has a bad name: send through your provider's server, or have the entry removed.",
        "Die Adresse des Servers steht auf einer Sperrliste oder hat einen schlechten Ruf: über den Server des Anbieters senden, oder den "
        "Eintrag löschen lassen.",
    ),
    _advice(
        "not-authenticated",
        r"5\.7\.2[3-9]\b|5\.7\.26|unauthenticated email|SPF (?:check )?fail|DMARC (?:policy|check)|DKIM.*(?:required|fail)|5\.7\.509",
        "The other side wants SPF, DKIM and DMARC for your domain: add the records that your provider names, then try again.",
        "Die Gegenseite verlangt SPF, DKIM und DMARC für Ihre Domain: die Einträge anlegen, die der Anbieter nennt, dann erneut versuchen.",
    ),
    _advice(
        "daily-limit",
        r"5\.4\.5|daily (?:user )?sending (?:quota|limit)|sending limit|5\.7\.705|message limit",
        "The provider's limit for a day is reached: it goes on by itself tomorrow. Who sends more needs another plan.",
        "Die Tagesgrenze des Anbieters ist erreicht: morgen geht es von selbst weiter. Wer mehr sendet, braucht einen anderen Tarif.",
    ),
    _advice(
        "starttls",
        r"must issue a STARTTLS|STARTTLS (?:first|required)|PRIVACYREQUIRED|LOGINDISABLED|encryption (?:is )?required",
        "The server takes logins only over TLS: write security = 'tls' (ports 993 and 465) or 'starttls' (143 and 587).",
        "Der Server nimmt Anmeldungen nur über TLS: security = 'tls' (Ports 993 und 465) oder 'starttls' (143 und 587) eintragen.",
    ),
    _advice(
        "wrong-password",
        r"AUTHENTICATIONFAILED|authentication (?:failed|unsuccessful|credentials invalid)|invalid (?:credentials|login|user)|login failed|bad (?:user|password)"
        r"|credentials were incorrect|5\.7\.8|benutzername oder passwor",
        "Is user the whole address, and is the password the one for mail programs? Some providers want IMAP switched on first, or an app "
        "password.",
        "Ist user die ganze Adresse, und ist das Passwort das für Mailprogramme? Manche Anbieter verlangen, dass IMAP zuerst eingeschaltet "
        "wird, oder ein App-Passwort.",
    ),
)


def advice_on(said: str) -> Advice | None:
    """Return what to do about what a server said, ``None``: nothing that we know."""
    return next((one for one in ADVICE if one.words.search(said)), None)


def with_advice(said: str, tongue: Language) -> str:
    """Return what a server said, and behind it the next step if we know one."""
    found = advice_on(said)
    return f"{said.rstrip('. ')}. {found.says[tongue]}" if found else said
