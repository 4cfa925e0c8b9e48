"""Names of attachments for people: whatever strangers write there, nothing in them points to a folder or hides. Pure."""

from __future__ import annotations

import mimetypes
import unicodedata
from typing import Final

MAX_NAME: Final = 200

_ENDINGS: Final = {
    "message/delivery-status": ".txt",
    "message/disposition-notification": ".txt",
    "message/feedback-report": ".txt",
    "text/rfc822-headers": ".txt",
    "text/calendar": ".ics",
    "application/pgp-signature": ".asc",
    "application/pgp-encrypted": ".asc",
    "application/pkcs7-mime": ".p7m",
    "application/pkcs7-signature": ".p7s",
}
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def file_name(written: str, media_type: str) -> str:
    """Return a name for people: what is invisible goes first, then look-alikes and everything that points to a folder."""
    if not (written.isascii() and written.isprintable()):
        visible = "".join(c for c in written if unicodedata.category(c) not in _UNSEEN)
        written = unicodedata.normalize("NFKC", visible)
    plain = written.replace("\\", "/").rpartition("/")[2]
    name = " ".join(plain.split()).strip(". ")
    if not name:
        return "file" + (_ENDINGS.get(media_type) or mimetypes.guess_extension(media_type) or ".bin")
    stem, dot, ending = name.rpartition(".")
    return name if len(name) <= MAX_NAME else (stem or name)[: MAX_NAME - 20] + dot + ending[:19]


def type_of(name: str) -> str:
    """Return the media type that the ending of a name stands for."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
