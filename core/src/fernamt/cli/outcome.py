"""How a command ends: an exit code for programs, one or a few sentences for people."""

from __future__ import annotations

from typing import Final

from fernamt.errors import ConfigError, FernamtError, NotStored

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 69
NOT_ALLOWED: Final = 77
CONFIGURATION: Final = 78
INTERRUPTED: Final = 130


class Failure(FernamtError):
    """A command cannot do what it was asked; the text says why and the next step."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def ending(why: BaseException) -> tuple[int, str]:
    """Return the exit code of a command that *why* ended, and what to tell."""
    if isinstance(why, FernamtError):
        return _ours(why)
    if isinstance(why, KeyboardInterrupt):
        return INTERRUPTED, "Given up."
    if isinstance(why, PermissionError):
        return NOT_ALLOWED, f"{_said(why)}. Run this as a user who may, for instance the daemon's."
    if isinstance(why, OSError):
        return FAILED, f"{_said(why)}."
    if {kind.__name__ for kind in type(why).__mro__} & {"OperationalError", "InterfaceError"}:
        return _outage(why)
    return FAILED, f"Fernamt itself failed: {type(why).__name__}: {_said(why)}. Run it again with -v and report it."


def _ours(why: FernamtError) -> tuple[int, str]:
    from fernamt.settings import ConfigErrors

    match why:
        case Failure():
            return why.code, str(why)
        case ConfigError() if isinstance(why.__cause__, NotStored):
            return UNREACHABLE, str(why)
        case ConfigError() | ConfigErrors():
            return CONFIGURATION, str(why)
        case NotStored():
            return UNREACHABLE, f"{why}. Nothing was written: try again."
        case _:
            return FAILED, str(why)


def _outage(why: BaseException) -> tuple[int, str]:
    """Return what it means that a database driver, bare or below SQLAlchemy, cannot use its database."""
    said = _said(getattr(why, "orig", None) or why)
    if "readonly" in said or "permission" in said:
        return NOT_ALLOWED, f"The store may not be written: {said}. Run this as the daemon's user."
    if "locked" in said:
        return UNREACHABLE, f"The store is busy: {said}. Try again."
    return UNREACHABLE, f"The store cannot be reached: {said}. Is its server up?"


def _said(why: BaseException) -> str:
    if isinstance(why, OSError) and why.strerror:
        return f"{why.filename}: {why.strerror}" if why.filename else why.strerror
    return " ".join(str(why).split()).rstrip(".")
