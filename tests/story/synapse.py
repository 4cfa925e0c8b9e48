"""A Matrix homeserver for the stories: Synapse, a process of its own, with application services that wait for their daemons.

Synapse is under the AGPL: it is run beside the tests and never imported by them.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from fernamt.testing import free_port
from fernamt.testing.fixtures import missing
from fernamt.testing.servers import unprivileged
from fernamt_matrix.registration import registration
from tests.story.daemon import ROOT, until

_INTERPRETER = str(ROOT / ".servers" / "synapse" / "bin" / "python")
SERVER = "customer.test"
_SERVICES = 8
"""A homeserver reads its registrations when it starts, so each story finds one made for it."""


@frozen
class Service:
    """One application service: who it is, where its daemon has to listen, and where its tokens are."""

    user: str
    port: int
    folder: Path

    def channel(self, homeserver: str, **settings: str) -> str:
        """Return the configuration of a daemon that is this service."""
        further = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
        return (
            '[http]\nallow_private = ["127.0.0.1"]\n'
            f'[channels.rooms]\nkind = "matrix"\nname = "Rooms"\nhomeserver = "{homeserver}"\nuser = "{self.user}"\n'
            f'as_token = "file:{self.folder}/as-token.txt"\nhs_token = "file:{self.folder}/hs-token.txt"\n{further}'
        )


@define
class Synapse:
    """The homeserver."""

    folder: Path
    port: int
    services: list[Service]
    _process: subprocess.Popen[bytes] | None = None
    _user: dict[str, Any] = field(factory=dict)

    @property
    def url(self) -> str:
        """Address of its client API."""
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    def made(cls, folder: Path) -> Synapse:
        """Write its configuration and let it make its key."""
        services = [cls._service(folder, number) for number in range(_SERVICES)]
        made = cls(folder=folder, port=free_port(), services=services)
        registrations = "".join(f"  - {one.folder}/registration.yaml\n" for one in services)
        (folder / "homeserver.yaml").write_text(_CONFIGURATION.format(p=folder, port=made.port, services=registrations))
        (folder / "log.yaml").write_text(_LOG.format(p=folder))
        made._become_nobody()
        made._run("--generate-keys").wait()
        return made

    @staticmethod
    def _service(folder: Path, number: int) -> Service:
        place = folder / f"service{number}"
        place.mkdir()
        one = Service(f"@support{number}:{SERVER}", free_port(), place)
        assert registration(one.user, f"http://127.0.0.1:{one.port}/in/rooms/", place) == 0
        return one

    def _become_nobody(self) -> None:
        """Give it all to nobody, where nobody can run the interpreter: it may lie in somebody's home."""
        user: dict[str, Any] = dict(unprivileged(self.folder))
        try:
            subprocess.run([_INTERPRETER, "--version"], check=True, capture_output=True, cwd=self.folder, **user)
        except PermissionError:
            return
        self._user = user
        for file in self.folder.rglob("*") if user else ():
            shutil.chown(file, **self._user)

    def start(self) -> None:
        """Run it, and return when it answers."""
        self._process = self._run()
        until(self._answers)

    def stop(self) -> None:
        """End it as an operator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as by ``kill -9``."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(timeout=30)

    def _run(self, *words: str) -> subprocess.Popen[bytes]:
        command = [_INTERPRETER, "-m", "synapse.app.homeserver", "-c", str(self.folder / "homeserver.yaml"), *words]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        with (self.folder / "output.log").open("ab") as output:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=output, stderr=output, **self._user
            )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "output.log").read_text()[-3000:]
        try:
            urllib.request.urlopen(f"{self.url}/health", timeout=2).close()
        except OSError:
            return False
        return True


@contextmanager
def running_synapse() -> Iterator[Synapse]:
    """Run a homeserver, and end it with all that it kept."""
    done = subprocess.run([ROOT / "scripts" / "servers", "synapse"], capture_output=True, text=True)
    if done.returncode:
        missing(f"Synapse is not here and cannot be installed: {done.stderr.strip()[-300:]}")
    folder = Path(tempfile.mkdtemp(prefix="fernamt-synapse-"))
    try:
        server = Synapse.made(folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def synapse() -> Iterator[Synapse]:
    """The homeserver of the run."""
    with running_synapse() as server:
        yield server


@pytest.fixture
def service(synapse: Synapse) -> Service:
    """An application service that nobody was yet."""
    return synapse.services.pop()


_CONFIGURATION = """\
server_name: customer.test
pid_file: {p}/synapse.pid
listeners:
  - port: {port}
    bind_addresses: [127.0.0.1]
    type: http
    tls: false
    resources: [{{names: [client, media], compress: false}}]
database: {{name: sqlite3, args: {{database: {p}/homeserver.db}}}}
log_config: {p}/log.yaml
media_store_path: {p}/media
signing_key_path: {p}/signing.key
trusted_key_servers: []
federation_domain_whitelist: []
report_stats: false
enable_registration: true
enable_registration_without_verification: true
macaroon_secret_key: made for a test
form_secret: made for a test
suppress_key_server_warning: true
encryption_enabled_by_default_for_room_type: "off"
url_preview_enabled: false
presence: {{enabled: false}}
rc_message: &free {{per_second: 10000, burst_count: 10000}}
rc_registration: *free
rc_login: {{address: *free, account: *free, failed_attempts: *free}}
rc_joins: {{local: *free, remote: *free}}
rc_invites: {{per_room: *free, per_user: *free, per_issuer: *free}}
rc_admin_redaction: *free
rc_media_create: *free
rc_room_creation: *free
app_service_config_files:
{services}"""

_LOG = """\
version: 1
formatters: {{plain: {{format: "%(asctime)s %(levelname)s %(name)s %(message)s"}}}}
handlers: {{file: {{class: logging.FileHandler, filename: {p}/homeserver.log, formatter: plain}}}}
root: {{level: INFO, handlers: [file]}}
disable_existing_loggers: false
"""
