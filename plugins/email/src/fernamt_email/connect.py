"""``fernamt email connect``: a person gives the daemon access to a mailbox, without a password."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fernamt import ChannelError, Unreachable, channel_settings
from fernamt_email.command_http import CommandHttp
from fernamt_email.consent import by_browser, by_device
from fernamt_email.language import Language, language
from fernamt_email.oauth import Granted, client_of, endpoints, granted_by
from fernamt_email.settings import ImapSettings, ListenerSettings, MailSettings, OAuthSettings
from fernamt_email.token_file import TokenFile

KINDS: Final[Mapping[str, type[MailSettings]]] = {"email.imap": ImapSettings, "email.listener": ListenerSettings}

_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "none": "{channel} has a password and no table oauth: there is nothing to connect. The page on set-up shows such a table.",
        "device": "Open this address on any device, log in as {user}, and type the code:\n\n    {url}\n    {code}\n",
        "browser": "Open this address in a browser on this machine and log in as {user}:\n\n    {url}\n\n"
        "The daemon is on another machine? Begin anew with flow = 'device', or lead the port here: ssh -L.",
        "failed": "It did not work: {reason}",
        "no refresh": "The provider gave access for an hour only. Ask for offline access: scope must have offline_access.",
        "kept": "Done. The consent is in {file}; nobody but the daemon's user may read it. Next: fernamt check --online",
        "app": "Done: the provider gives the app a token. Whether it may open the mailbox says: fernamt check --online",
    },
    "de": {
        "none": "{channel} hat ein Passwort und keine Tabelle oauth: es gibt nichts zu verbinden. Die Seite zur Einrichtung zeigt eine.",
        "device": "Diese Adresse auf einem beliebigen Gerät öffnen, als {user} anmelden und den Code eingeben:\n\n    {url}\n    {code}\n",
        "browser": "Diese Adresse in einem Browser auf diesem Rechner öffnen und als {user} anmelden:\n\n    {url}\n\n"
        "Der Dienst läuft auf einem anderen Rechner? Mit flow = 'device' neu beginnen oder den Port herleiten: ssh -L.",
        "failed": "Das hat nicht geklappt: {reason}",
        "no refresh": "Der Anbieter gibt nur für eine Stunde Zugang. Dauerhaften verlangen: in scope muss offline_access stehen.",
        "kept": "Fertig. Die Zustimmung liegt in {file}; nur der Benutzer des Dienstes darf sie lesen. Weiter: fernamt check --online",
        "app": "Fertig: der Anbieter gibt der App ein Token. Ob sie das Postfach öffnen darf, sagt: fernamt check --online",
    },
}


def connect(channel: str, /, *, config: Path | None = None) -> int:
    """Give a channel access to its mailbox at Microsoft 365 or Google, without a password.

    The channel has a table oauth. What the provider gives is kept in its token_file, and renewed by the daemon from then on.
    German if the terminal is.

    Example: fernamt email connect support-mail

    Args:
        channel: The id of the channel.
        config: The configuration file.
    """
    settings = channel_settings(config or Path(os.environ.get("FERNAMT_CONFIG") or "fernamt.toml"), channel, KINDS)
    words = _WORDS[language()]
    if settings.oauth is None:
        _say(words["none"].format(channel=channel))
        return 1
    user = settings.user if isinstance(settings, ImapSettings) else settings.smtp.user
    try:
        said = asyncio.run(_connected(settings.oauth, user, words))
    except ChannelError as why:
        _say(words["failed"].format(reason=why.reason))
        return 1
    _say(said)
    return 0


async def _connected(settings: OAuthSettings, user: str, words: Mapping[str, str]) -> str:
    async with CommandHttp.opened() as http:
        if settings.flow == "app" or settings.token_file is None:
            form = {**client_of(settings), "grant_type": "client_credentials", "scope": endpoints(settings).scope}
            reply = await http.request("POST", endpoints(settings).token, form=form)
            granted_by(reply.status, reply.body)
            return words["app"]
        granted: Granted
        if settings.flow == "device":
            granted = await by_device(
                settings, http, lambda url, code: _say(words["device"].format(url=url, code=code, user=user))
            )
        else:
            granted = await by_browser(
                settings, http, lambda url: _say(words["browser"].format(url=url, user=user)), user=user
            )
    if not granted.refresh:
        raise Unreachable(words["no refresh"], certain=True)
    file = TokenFile(settings.token_file)
    async with file.held():  # a daemon that renews the old consent meanwhile would write it over the new one
        await asyncio.to_thread(file.write, granted.refresh)
    return words["kept"].format(file=settings.token_file)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command talks to the person who typed it
