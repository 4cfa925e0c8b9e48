"""A real Dovecot for tests: own folder, free ports on loopback, no privileges, stopped with its context.

Use it as a context manager::

    with Dovecot.started(["support"]) as dovecot:
        dovecot.deliver("support", b"From: ann@example.org\\r\\n\\r\\nHello\\r\\n")

A user's mail address may have any domain: only the part before the ``@`` counts, and what follows a ``+`` in it does not.
"""

from __future__ import annotations

import getpass
import imaplib
import itertools
import os
import shutil
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from fernamt.testing import free_port

START_S = 15.0
STOP_S = 10.0
UNPRIVILEGED = "nobody"
PASSWORD = "secret"


class Dovecot:
    """A running server. IMAP with STARTTLS and in clear, IMAP over TLS, LMTP, and SASL for a Postfix beside it."""

    host = "127.0.0.1"
    narrow_host = "127.0.0.2"
    """The same server, where it allows each user one connection at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.imap_port, self.imaps_port, self.lmtp_port, self.sasl_port = free_ports(4)
        self.certificate = folder / "cert.pem"
        """Self-signed, for localhost and 127.0.0.1: what a client has to trust."""
        self.key = folder / "key.pem"
        [self.introspection_port] = free_ports(1)
        """Where it asks whether a token is good: see ``token_server``."""
        self._oauth2 = folder / "oauth2.conf"
        self._config = folder / "dovecot.conf"
        self._users = folder / "users"
        self._validity = itertools.count(4242)
        self._fresh = iter(_FRESH)

    @classmethod
    @contextmanager
    def started(cls, users: Iterable[str] = ()) -> Iterator[Dovecot]:
        """Start a server with mailboxes for *users* and stop it again; all passwords are :data:`PASSWORD`.

        Skips the test, under CI fails it, where Dovecot cannot run.
        """
        need_programs({"dovecot": "dovecot-imapd", "doveadm": "dovecot-lmtpd", "openssl": "openssl"})
        with open_folder("dovecot-") as folder:
            server = cls(folder)
            server._write([*users, *_FRESH])
            process = subprocess.Popen(
                [program("dovecot"), "-F", "-c", str(server._config)],
                user=UNPRIVILEGED if is_root() else None,
                group="nogroup" if is_root() else None,
                extra_groups=[] if is_root() else None,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            try:
                wait_for_ports(process, [server.imap_port, server.imaps_port, server.lmtp_port, server.sasl_port])
                yield server
            finally:
                stop(process)

    def fresh_user(self) -> str:
        """Return a mailbox that nobody has used."""
        return next(self._fresh)

    def append(self, user: str, mail: bytes, folder: str, *flags: str) -> None:
        """Put a mail into any folder, as a person's mail program does; the folder is made if it is missing."""
        with imaplib.IMAP4(self.host, self.imap_port) as client:
            client.login(user, PASSWORD)
            client.create(folder)
            done, said = client.append(folder, " ".join(flags), "", mail)
            if done != "OK":
                raise RuntimeError(f"APPEND to {folder}: {said!r}")

    def mark_all_seen(self, user: str) -> None:
        """Read every mail of the inbox, as a person does on a telephone."""
        with imaplib.IMAP4(self.host, self.imap_port) as client:
            client.login(user, PASSWORD)
            _, [count] = client.select()
            if count != b"0":  # of none there is no first
                client.store("1:*", "+FLAGS", r"\Seen")

    def add_user(self, name: str) -> None:
        """Add a mailbox. Takes up to a second, which is how often the server looks at its list; better name it at the start."""
        with self._users.open("a") as file:
            file.write(_USER.format(name=name))
        end = time.monotonic() + START_S
        while self._run("user", name).returncode:
            if time.monotonic() > end:
                raise RuntimeError(f"Dovecot does not see the user {name}")

    def deliver(self, user: str, mail: bytes, *, to: str = "", sender: str = "ann@customer.test") -> None:
        """Hand a mail to the mailbox by LMTP. *to* is the envelope recipient, ``support+token@support.test`` for instance."""
        with smtplib.LMTP(self.host, self.lmtp_port) as lmtp:
            lmtp.sendmail(sender, [to or f"{user}@support.test"], mail)

    def mails(self, user: str, folder: str = "INBOX") -> list[bytes]:
        """Return the mails of a folder, in the order of their arrival. Looks at the files, so no flag changes."""
        while True:
            try:
                return [file.read_bytes() for file in self._files(user, folder)]
            except FileNotFoundError:
                continue  # moved, or given a flag, between the look and the reading: its name says so

    def wait_for_mails(self, user: str, count: int, folder: str = "INBOX", *, within_s: float = 60.0) -> list[bytes]:
        """Return the mails of a folder once there are *count*; raises ``TimeoutError`` if there are not in time. Blocks."""
        end = time.monotonic() + within_s
        while len(found := self.mails(user, folder)) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(found)} of {count} mails are in {folder} of {user}")
            time.sleep(0.02)
        return found

    def kick(self, user: str) -> None:
        """Close every IMAP connection of the user, in the middle of whatever it does."""
        self._doveadm("kick", user)

    def change_uid_validity(self, user: str, folder: str = "INBOX") -> int:
        """Give the folder another UIDVALIDITY, as a server does that lost its index; return it."""
        validity = next(self._validity)
        self._doveadm("mailbox", "update", "-u", user, "--uid-validity", str(validity), folder)
        return validity

    def remove_folder(self, user: str, folder: str) -> None:
        """Take a folder away, so that nothing can be moved there any more."""
        self._doveadm("mailbox", "delete", "-u", user, folder)

    def add_folder(self, user: str, folder: str) -> None:
        """Make a folder."""
        self._doveadm("mailbox", "create", "-u", user, folder)

    def log(self) -> str:
        """Return what the server logged."""
        file = self.folder / "log" / "dovecot.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _files(self, user: str, folder: str) -> list[Path]:
        top = self.folder / "mail" / user / "Maildir"
        box = top if folder == "INBOX" else top / f".{folder}"
        found = [*(box / "new").glob("*"), *(box / "cur").glob("*")]
        return sorted(found, key=_arrival)

    def _doveadm(self, *arguments: str) -> None:
        done = self._run(*arguments)
        if done.returncode:
            raise RuntimeError(f"doveadm {' '.join(arguments)}: {done.stderr.strip()}")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program("doveadm"), "-c", str(self._config), *arguments],
            user=UNPRIVILEGED if is_root() else None,
            group="nogroup" if is_root() else None,
            capture_output=True,
            text=True,
            timeout=STOP_S,
            check=False,
        )

    def _write(self, users: Iterable[str]) -> None:
        make_certificate(self.certificate, self.key)
        for name in ("run", "state", "log", "mail", "home"):
            (self.folder / name).mkdir()
        self._users.write_text("".join(_USER.format(name=name) for name in users))
        user, group = (UNPRIVILEGED, "nogroup") if is_root() else (getpass.getuser(), _own_group())
        ports = {
            "imap": self.imap_port,
            "imaps": self.imaps_port,
            "lmtp": self.lmtp_port,
            "sasl": self.sasl_port,
        }
        self._oauth2.write_text(_OAUTH2.format(port=self.introspection_port))
        self._config.write_text(_CONFIG.format(d=self.folder, user=user, group=group, **ports))
        if is_root():
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, UNPRIVILEGED, "nogroup")


_FRESH = tuple(f"box{n}" for n in range(1, 301))

_OAUTH2 = """\
introspection_mode = get
introspection_url = http://127.0.0.1:{port}/introspect?token=
username_attribute = email
active_attribute = active
active_value = true
"""

_USER = f"{{name}}:{{{{PLAIN}}}}{PASSWORD}::::::\n"

_CONFIG = """\
base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/log/dovecot.log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
first_valid_gid = 1
protocols = imap lmtp
listen = 127.0.0.1, 127.0.0.2
local 127.0.0.2 {{
  mail_max_userip_connections = 1
}}
ssl = yes
ssl_cert = <{d}/cert.pem
ssl_key = <{d}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2 oauthbearer
auth_username_format = %n
auth_failure_delay = 0
mail_location = maildir:{d}/mail/%n/Maildir
mail_fsync = never
recipient_delimiter = +
imap_idle_notify_interval = 10 s
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {d}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login
  args = scheme=PLAIN username_format=%n {d}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {d}/users
  default_fields = uid={user} gid={group} home={d}/home/%n
}}
namespace inbox {{
  inbox = yes
  mailbox Processed {{
    auto = create
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  chroot =
  inet_listener sasl {{
    address = 127.0.0.1
    port = {sasl}
  }}
}}
"""


# ---- what a Postfix beside it needs too
def is_root() -> bool:
    """Return whether we may start privileged programs and install packages."""
    return os.geteuid() == 0


def program(name: str) -> str:
    """Return the path of a program, wherever the system keeps its daemons."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""


def need_programs(packages: dict[str, str], *, settings: str = "") -> None:
    """Make sure that programs are there: install their packages if we may, else skip the test, under CI fail it.

    Args:
        packages: The package that brings each program.
        settings: A line for debconf, answered before the installation.
    """
    missing = [package for name, package in packages.items() if not program(name)]
    if missing and is_root() and program("apt-get"):
        if settings:
            subprocess.run(["debconf-set-selections"], input=settings, text=True, check=False)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", *dict.fromkeys(packages.values())]):
            subprocess.run(["apt-get", "-qq", *command], env=quiet, stdout=subprocess.DEVNULL, check=False)
        missing = [package for name, package in packages.items() if not program(name)]
    if missing:
        impossible(f"needs the packages {', '.join(missing)}, which are not installed and cannot be")


def impossible(reason: str) -> None:
    """Say that a test cannot run here: a skip at home, a failure under CI, where everything must run."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"server: {reason}")
    pytest.skip(f"server: {reason}")


@contextmanager
def open_folder(prefix: str) -> Iterator[Path]:
    """Yield a new folder that servers under other users can walk through, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_certificate(certificate: Path, key: Path) -> None:
    """Write a self-signed certificate for this machine's loopback names."""
    subprocess.run(
        [
            *(
                program("openssl"),
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )


def free_ports(count: int) -> list[int]:
    """Return ports on loopback that nobody listens on."""
    return [free_port() for _ in range(count)]


def wait_for_ports(process: subprocess.Popen[bytes], ports: Sequence[int]) -> None:
    """Return when somebody listens on all of *ports*; raises ``RuntimeError`` if the program ends or takes too long."""
    end = time.monotonic() + START_S
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError as why:
                if process.poll() is not None or time.monotonic() > end:
                    said = process.stderr.read().decode(errors="replace") if process.stderr and process.poll() else ""
                    raise RuntimeError(f"{process.args!r} does not listen on {port}: {said}") from why
                time.sleep(0.02)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that we started."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stderr:
        process.stderr.close()


def _own_group() -> str:
    import grp

    return grp.getgrgid(os.getegid()).gr_name


def _arrival(file: Path) -> tuple[int, ...]:
    """Return when the server named a file of a Maildir: seconds, then microseconds, which it writes without leading zeros."""
    seconds, second_part, *_ = file.name.split(".")
    return int(seconds), int(second_part[1:].partition("P")[0])
