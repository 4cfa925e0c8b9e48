"""``python -m fernamt_email.read FILE...``: what we make of any raw mail, for support and for anybody's own collection."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from fernamt import Unparsable
from fernamt_email.language import language
from fernamt_email.mail_files import Found, mails_in, mails_of
from fernamt_email.page import as_object, as_page, harmless
from fernamt_email.parse import event_key, parse

READ: Final = 0
UNREADABLE: Final = 1
"""At least one mail could not be read; the others were."""
WRONG_CALL: Final = 2

_PROGRESS_S: Final = 0.2
_REASONS: Final = 10
_ABOUT: Final = """\
Print what Fernamt makes of raw mails: sender, subject, words, what is folded, files, flags.

A FILE is a mail (.eml, .emlx), a mailbox file, a Maildir, a folder with any of them, or - for standard input.
Nothing is stored, sent or looked up.

Ends with 0 if all mails were read, with 1 if some were not, with 2 if the call is wrong or a FILE cannot be opened."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fernamt_email.read", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a mail, a mailbox file, a Maildir, a folder, or -")
    parser.add_argument("--json", action="store_true", help="print one JSON object a mail, on one line")
    parser.add_argument("--full", action="store_true", help="show quoted lines and signatures, too")
    asked = parser.parse_args(words)
    reading = _Reading(as_json=asked.json, full=asked.full, out=sys.stdout, err=sys.stderr)
    try:
        for name in asked.files:
            reading.take(name, sys.stdin.buffer)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has enough, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return reading.code
    except KeyboardInterrupt:
        reading.close()
        return 130
    reading.close()
    return reading.code


class _Reading:
    """Prints mails as they come, and counts them."""

    def __init__(self, *, as_json: bool, full: bool, out: TextIO, err: TextIO) -> None:
        self._as_json = as_json
        self._full = full
        self._out = out
        self._err = err
        self._read = 0
        self._faults: Counter[str] = Counter()
        self._began = self._told_at = time.monotonic()
        self._shows_progress = err.isatty() and not out.isatty()
        self._language = language()
        self.code = READ

    def take(self, name: str, stdin: BinaryIO) -> None:
        """Print the mails of one FILE."""
        try:
            for found in self._mails(name, stdin):
                self._take(found)
        except OSError as why:
            if isinstance(why, BrokenPipeError):
                raise
            self._clear()
            self._err.write(f"{harmless(name)}: cannot be opened: {why.strerror}\n")
            self.code = WRONG_CALL

    def close(self) -> None:
        """Write the counts."""
        self._clear()
        total, faults = self._read, sum(self._faults.values())
        seconds = time.monotonic() - self._began
        told = f"{total} read, {faults} unreadable, {seconds:.1f} s"
        reasons = [f"  {count} x {harmless(why)}" for why, count in self._faults.most_common(_REASONS)]
        self._err.write("\n".join([told, *reasons]) + "\n")

    def _mails(self, name: str, stdin: BinaryIO) -> Iterator[Found]:
        return mails_of(stdin, "-") if name == "-" else mails_in(Path(name))

    def _take(self, found: Found) -> None:
        fault = found.fault
        if not fault:
            try:
                mail = parse(found.raw, key=event_key(found.raw))
            except Unparsable as why:
                fault = str(why)
            else:
                self._read += 1
                if self._as_json:
                    self._out.write(json.dumps(as_object(mail, found.source)) + "\n")
                else:
                    page = as_page(mail, found.source, full=self._full, language=self._language)
                    self._out.write("\n".join(page) + "\n")
        if fault:
            self._faults[fault] += 1
            self.code = self.code or UNREADABLE
            if self._as_json:
                self._out.write(json.dumps({"source": found.source, "unreadable": fault}) + "\n")
            else:
                self._out.write(f"== {harmless(found.source)}\n{harmless(fault)}\n\n")
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if self._shows_progress and now - self._told_at >= _PROGRESS_S:
            self._told_at = now
            self._err.write(f"\r{self._read} read, {sum(self._faults.values())} unreadable")
            self._err.flush()

    def _clear(self) -> None:
        if self._shows_progress:
            self._err.write("\r\x1b[K")


if __name__ == "__main__":
    sys.exit(main())
