"""``fernamt matrix registration``: the file that makes us known to a homeserver, and the two secrets in it."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from pathlib import Path

from fernamt_matrix.settings import is_user, service_id


def registration(user: str, url: str, folder: Path = Path()) -> int:
    """Write the registration for a homeserver, and the two tokens that the channel refers to.

    It makes registration.yaml for the homeserver (Synapse: app_service_config_files), and as-token.txt and hs-token.txt for
    the channel: as_token = "file:as-token.txt", hs_token = "file:hs-token.txt". What is there already is not touched.

    Example: fernamt matrix registration @support:example.org https://desk.example.org/in/rooms/

    Args:
        user: Who we are in the rooms; the homeserver makes this user, so nobody else may have the name.
        url: The address of the channel's webhooks, /in/ and the channel's name behind the daemon's public address.
        folder: Where the files are written.
    """
    if not is_user(user):
        return _failed(f"{user!r} is no user: write it as @support:example.org")
    if not re.fullmatch(r"https?://[^?#\s]+/in/[^/?#\s]+/?", url):
        return _failed(f"{url!r} is no address of a channel: write it as https://desk.example.org/in/rooms/")
    tokens = {name: secrets.token_urlsafe(32) for name in ("as", "hs")}
    files = {folder / f"{name}-token.txt": token for name, token in tokens.items()}
    files[folder / "registration.yaml"] = _yaml(user, url.rstrip("/"), tokens["as"], tokens["hs"])
    if there := [str(file) for file in files if file.exists()]:
        return _failed(
            f"{', '.join(there)}: there already. Whoever makes new tokens has to change the homeserver's, too"
        )
    for file, content in files.items():
        _write_private(file, content)
    print(f"Give {folder / 'registration.yaml'} to the homeserver, and start it anew.")  # noqa: T201 - a command's answer
    return 0


def _yaml(user: str, url: str, as_token: str, hs_token: str) -> str:
    localpart, _, server = user[1:].partition(":")
    # JSON strings are YAML strings, whatever stands in them.
    lines = {
        "id": service_id(user),
        "url": url,
        "as_token": as_token,
        "hs_token": hs_token,
        "sender_localpart": localpart,
    }
    aliases = f"#{re.escape(localpart)}_.*:{re.escape(server)}"
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in lines.items()) + (
        "rate_limited: false\nreceive_ephemeral: true\n"
        "namespaces:\n"
        f"  users:\n    - exclusive: true\n      regex: {json.dumps(re.escape(user))}\n"
        f"  aliases:\n    - exclusive: true\n      regex: {json.dumps(aliases)}\n"
        "  rooms: []\n"
    )


def _write_private(file: Path, content: str) -> None:
    number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "w") as handle:
        handle.write(f"{content.rstrip()}\n")


def _failed(why: str) -> int:
    print(why, file=sys.stderr)  # noqa: T201 - a command's answer
    return 2
