"""A Dovecot and a Postfix on loopback for the stories: mail goes in, is answered, and comes back, as on any mail server.

Two domains are served, ``support.test`` (ours) and ``customer.test`` (everybody else's); both end in mailboxes of the one
Dovecot, so a test can look into the customers' too. Nothing leaves the machine. A story takes the fixtures::

    from tests.story.mail_servers import ann, bob, dovecot, postfix, support  # in tests/story/conftest.py

    def test_an_answer_arrives(dovecot, postfix, support, ann, tmp_path):
        config = tmp_path / "fernamt.toml"
        config.write_text(mail_channel(dovecot, postfix, support))
        ...  # run the daemon with the environment of MAIL_PASSWORD
        postfix.hand_in(mail_from(ann, support, "Where is my parcel?"), sender=ann, to=support)
        dovecot.wait_for_mails(support.user, 1, "Processed")
        ...  # reply
        [answer] = dovecot.wait_for_mails(ann.user, 1)

What the customers' side does to a mail of ours is said per recipient: ``postfix.grey(ann)`` puts the next attempt off with a
450, ``postfix.block(ann)`` refuses each with a 550, ``postfix.seen(ann)`` counts them; a customer without a mailbox
(``NOBODY``) makes Postfix send a real report of failure back to us. ``dovecot.kick``, ``dovecot.change_uid_validity`` and
``dovecot.deliver`` do what their names say to our mailbox. A customer at ``BEYOND`` lives on a server behind Postfix: ``postfix.beyond_says(carl, "552
5.2.2 Mailbox full")`` makes Postfix take our mail and report that back, and after a 4xx that it is late.

Dovecot runs without privileges, Postfix needs root for its master; where one of them cannot run the test is skipped, and
under ``CI=true`` it fails.
"""

from __future__ import annotations

import json
import shutil
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from plugins.email.tests.dovecot import (
    PASSWORD,
    Dovecot,
    free_ports,
    impossible,
    is_root,
    need_programs,
    open_folder,
    program,
    wait_for_ports,
)
from tests.story.postfix_peers import Beyond, Rules

__all__ = (
    "BEYOND",
    "NOBODY",
    "PASSWORD",
    "PASSWORD_VARIABLE",
    "Dovecot",
    "Party",
    "Postfix",
    "ann",
    "bob",
    "dovecot",
    "mail_channel",
    "mail_from",
    "postfix",
    "support",
)

OURS: Final = "support.test"
THEIRS: Final = "customer.test"
BEYOND: Final = "beyond.test"
"""Served by another mail server, to which Postfix hands on what it took: see :meth:`Postfix.beyond_says`."""
PASSWORD_VARIABLE: Final = "MAIL_PASSWORD"
"""The environment variable that :func:`mail_channel` refers to; its value is :data:`PASSWORD`."""


@frozen
class Party:
    """Somebody with a mailbox on the Dovecot."""

    user: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.user}@{self.domain}"


NOBODY: Final = Party("nobody-here", THEIRS)
"""A customer whose mailbox does not exist."""


class Postfix:
    """A running server: port 25's part for mail from the world, port 587's for mail of ours, with STARTTLS and login."""

    host: Final = "127.0.0.1"

    def __init__(self, folder: Path, dovecot: Dovecot, rules: Rules, beyond: Beyond) -> None:
        self.folder = folder
        self.smtp_port, self.submission_port = free_ports(2)
        self._dovecot = dovecot
        self._rules = rules
        self._beyond = beyond

    @classmethod
    @contextmanager
    def started(cls, dovecot: Dovecot) -> Iterator[Postfix]:
        """Start a server in front of *dovecot* and stop it again; skips the test, under CI fails it, where that cannot be."""
        no_configuration = "postfix postfix/main_mailer_type select No configuration\n"
        need_programs({"postfix": "postfix"}, settings=no_configuration)
        if not is_root():
            impossible("Postfix needs root")
        with Rules.served() as rules, Beyond.served() as beyond, open_folder("postfix-") as folder:
            server = cls(folder, dovecot, rules, beyond)
            server._write()
            server._run("check")
            process = subprocess.Popen(
                [program("postfix"), "-c", str(folder / "etc"), "start-fg"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            try:
                wait_for_ports(process, [server.smtp_port, server.submission_port])
                yield server
            finally:
                server._run("stop", check=False)
                process.wait(15)
                if process.stderr:
                    process.stderr.close()

    def hand_in(self, mail: bytes, *, sender: Party, to: Party | str) -> None:
        """Bring a mail as any other mail server would, for delivery at once. *to* may be any address of ours."""
        recipient = to if isinstance(to, str) else to.address
        with smtplib.SMTP(self.host, self.smtp_port) as smtp:
            smtp.sendmail(sender.address, [recipient], mail)

    def grey(self, recipient: Party, times: int = 1) -> None:
        """Put the next attempts to bring *recipient* a mail off with a 450."""
        self._rules.once[recipient.address] = ["450 4.2.0 Greylisted, try again in 60 s"] * times

    def block(self, recipient: Party, reply: str = "550 5.7.1 Rejected by policy") -> None:
        """Refuse every mail to *recipient*."""
        self._rules.always[recipient.address] = reply

    def allow(self, recipient: Party) -> None:
        """Take back :meth:`grey` and :meth:`block`."""
        self._rules.once.pop(recipient.address, None)
        self._rules.always.pop(recipient.address, None)

    def beyond_says(self, recipient: Party, reply: str) -> None:
        """Let the server of :data:`BEYOND` say this of *recipient*, so that Postfix writes a report back."""
        self._beyond.replies[recipient.address] = reply

    def seen(self, recipient: Party) -> int:
        """Return how often somebody tried to bring *recipient* a mail, refused or not."""
        return self._rules.seen.get(recipient.address, 0)

    def log(self) -> str:
        """Return what the server logged."""
        file = self.folder / "data" / "maillog"
        return file.read_text(errors="replace") if file.exists() else ""

    def _run(self, command: str, *, check: bool = True) -> None:
        done = subprocess.run(
            [program("postfix"), "-c", str(self.folder / "etc"), command], capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"postfix {command}: {done.stderr.strip()}")

    def _write(self) -> None:
        for name in ("etc", "queue", "data"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        (self.folder / "etc" / "main.cf").write_text(
            _MAIN.format(
                p=self.folder,
                lmtp=self._dovecot.lmtp_port,
                sasl=self._dovecot.sasl_port,
                certificate=self._dovecot.certificate,
                key=self._dovecot.key,
                policy=self._rules.port,
                beyond=self._beyond.port,
            )
        )
        (self.folder / "etc" / "master.cf").write_text(
            _MASTER.format(smtp=self.smtp_port, submission=self.submission_port)
        )


def mail_from(
    sender: Party,
    to: Party | str,
    text: str,
    *,
    subject: str = "Meine Bestellung",
    message_id: str = "",
    in_reply_to: str = "",
) -> bytes:
    """Return a mail as a customer's mailer writes it."""
    mail = EmailMessage()
    mail["From"] = sender.address
    mail["To"] = to if isinstance(to, str) else to.address
    mail["Subject"] = subject
    mail["Message-ID"] = message_id or make_msgid(domain=sender.domain)
    if in_reply_to:
        mail["In-Reply-To"] = mail["References"] = in_reply_to
    mail.set_content(text)
    return mail.as_bytes().replace(b"\n", b"\r\n")


def mail_channel(
    dovecot: Dovecot, postfix: Postfix, support: Party, *, channel: str = "support-mail", **settings: str | float
) -> str:
    """Return the section of a channel that reads *support*'s mailbox and answers through *postfix*.

    The passwords are ``env:MAIL_PASSWORD``. *settings* are further keys of the channel, ``sweep_s=2`` for instance.
    """
    further = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    return _CHANNEL.format(
        channel=channel,
        support=support,
        imap=dovecot,
        postfix=postfix,
        password=f"env:{PASSWORD_VARIABLE}",
        further=further,
    )


_CHANNEL = """\
[channels.{channel}]
kind = "email.imap"
name = "Support"
address = "{support.address}"
sender_name = "Hilfe"
host = "{imap.host}"
port = {imap.imap_port}
security = "starttls"
ca_file = "{imap.certificate}"
user = "{support.user}"
password = "{password}"
{further}
[channels.{channel}.smtp]
host = "{postfix.host}"
port = {postfix.submission_port}
security = "starttls"
ca_file = "{imap.certificate}"
user = "{support.user}"
password = "{password}"
"""

_MAIN = """\
compatibility_level = 3.6
queue_directory = {p}/queue
data_directory = {p}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = mx.customer.test
mydestination =
relay_domains =
virtual_mailbox_domains = support.test, customer.test
virtual_mailbox_maps = static:all
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
transport_maps = inline:{{ beyond.test=lmtp:inet:127.0.0.1:{beyond} }}
delay_warning_time = 1s
default_transport = error:nothing leaves this machine
disable_dns_lookups = yes
maillog_file = {p}/data/maillog
maillog_file_prefixes = {p}
smtputf8_enable = yes
message_size_limit = 31457280
alias_maps =
alias_database =
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_error_sleep_time = 0
smtpd_client_connection_rate_limit = 0
queue_run_delay = 5s
minimal_backoff_time = 5s
maximal_queue_lifetime = 2m
bounce_queue_lifetime = 1m
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{sasl}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{policy}, permit_mynetworks, reject
submission_recipient_restrictions = check_policy_service inet:127.0.0.1:{policy}, permit_sasl_authenticated, reject
"""

_MASTER = """\
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o mynetworks=
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_recipient_restrictions=$submission_recipient_restrictions
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


# ---- fixtures
@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """The IMAP and LMTP server of the run."""
    with Dovecot.started() as server:
        yield server


@pytest.fixture(scope="session")
def postfix(dovecot: Dovecot) -> Iterator[Postfix]:
    """The SMTP server of the run."""
    with Postfix.started(dovecot) as server:
        yield server


@pytest.fixture
def support(dovecot: Dovecot) -> Party:
    """Us, with an empty mailbox of our own for every test."""
    return Party(dovecot.fresh_user(), OURS)


@pytest.fixture
def ann(dovecot: Dovecot) -> Party:
    """A customer, with an empty mailbox."""
    return Party(dovecot.fresh_user(), THEIRS)


@pytest.fixture
def bob(dovecot: Dovecot) -> Party:
    """Another customer."""
    return Party(dovecot.fresh_user(), THEIRS)
