"""Secrets: hidden wherever they are shown, and only ever referred to from the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, Final, NoReturn

import attrs

from fernamt.settings.mistake import Wrong

MAX_FILE_BYTES: Final = 65_536
HOW_TO_REFER: Final = "Write a reference: 'env:NAME', 'file:/path' or 'credential:name'"


class Secret:
    """A password, token or key. ``repr`` and ``str`` hide it, formatting it is refused; equal if the secrets are equal.

    It is no attrs class, so that ``attrs.asdict`` of the settings around it does not take it apart.
    """

    __slots__ = ("_value",)
    _value: str

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret cannot be changed")

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("a secret is not formatted by accident: write reveal() where it is meant")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialised")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(("fernamt.Secret", self._value))


def resolve(reference: str, folder: Path, environ: Mapping[str, str]) -> Secret:
    """Return the secret that *reference* names; a relative path begins at *folder*.

    Raises:
        Wrong: It is no reference, or leads to nothing. A text that is no reference is not repeated in the message.
    """
    scheme, _, name = reference.partition(":")
    if scheme == "env" and name:
        value = environ.get(name, "")
        if not value:
            raise Wrong(f"the environment has no {name}", f"Set {name} for the daemon, not in this file")
        return Secret(value)
    if scheme == "file" and name:
        return Secret(_content(folder / name, "Make the file, readable for the daemon's user only"))
    if scheme == "credential" and name:
        return Secret(_credential(name, environ))
    raise Wrong("a secret does not stand in this file itself", HOW_TO_REFER)


def _credential(name: str, environ: Mapping[str, str]) -> str:
    fix = f"Add LoadCredential={name}:/path/of/the/secret to the systemd unit"
    if PurePath(name).name != name:
        raise Wrong("a credential's name has no folder", "Write the name that LoadCredential= gives it")
    if not (directory := environ.get("CREDENTIALS_DIRECTORY", "")):
        raise Wrong("systemd gave no credentials ($CREDENTIALS_DIRECTORY is not set)", fix)
    return _content(Path(directory) / name, fix)


def _content(path: Path, fix: str) -> str:
    try:
        if not path.is_file():
            raise Wrong(f"there is no file {path}", fix)
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise Wrong(f"{path} is longer than {MAX_FILE_BYTES} bytes", "Name the file that holds only the secret")
        secret = content.decode().removesuffix("\n").removesuffix("\r")
    except OSError as why:
        raise Wrong(f"{path} cannot be read: {why.strerror}", fix) from None
    except UnicodeDecodeError:
        raise Wrong(f"{path} is not text", "Name a file with the secret as UTF-8 text") from None
    if not secret:
        raise Wrong(f"{path} is empty", "Write the secret into it")
    return secret


def secrets_in(value: Any) -> Iterator[str]:
    """Yield every secret in *value*: an attrs object, a mapping or a collection, however deep. For the log's redactor."""
    if isinstance(value, Secret):
        yield value.reveal()
    elif attrs.has(type(value)):
        yield from secrets_in([getattr(value, field.name) for field in attrs.fields(type(value))])
    elif isinstance(value, Mapping):
        yield from secrets_in(value.values())
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            yield from secrets_in(item)
