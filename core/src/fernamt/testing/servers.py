"""Real servers for tests: installed when that is possible, run as nobody when we are root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from fernamt.errors import FernamtError


class ServerMissing(FernamtError):
    """A server that a test needs is not here and cannot be installed; the text says why."""


def install(*packages: str) -> None:
    """Install Debian packages; raises ``ServerMissing`` where that cannot be done."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ServerMissing(f"{', '.join(packages)} is not installed, and only root on Debian can install it")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}

    def apt_get(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command line
            ["/usr/bin/apt-get", "-qq", *words], env=environment, capture_output=True, text=True, check=False
        )

    apt_get("update")
    done = apt_get("install", "-y", "--no-install-recommends", *packages)
    if done.returncode:
        raise ServerMissing(f"apt-get could not install {', '.join(packages)}: {done.stderr.strip()[-300:]}")


def unprivileged(folder: Path) -> dict[str, str | int]:
    """Return the arguments that make ``subprocess`` run as nobody if we are root, and give *folder* to nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    folder.chmod(0o755)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}
