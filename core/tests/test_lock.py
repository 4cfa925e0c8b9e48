"""One daemon a SQLite file, and the lock dies with its holder."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fernamt._store.lock import FileLock
from fernamt.errors import ConfigError


def test_a_second_daemon_is_refused_with_the_process_and_the_remedy(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "new" / "fernamt.db")
    with pytest.raises(ConfigError, match=rf"process {os.getpid()}, has fernamt.db open.*Stop it first"):
        FileLock(tmp_path / "new" / "fernamt.db")
    other = FileLock(tmp_path / "other.db")
    lock.release()
    FileLock(tmp_path / "new" / "fernamt.db").release()
    other.release()


def test_a_holder_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    hold = (
        "import sys; from pathlib import Path; from fernamt._store.lock import FileLock\n"
        "lock = FileLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path / "fernamt.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=f"process {holder.pid}"):
            FileLock(tmp_path / "fernamt.db")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    FileLock(tmp_path / "fernamt.db").release()


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be written.*Choose a folder"):
        FileLock(tmp_path / "file" / "fernamt.db")


def test_a_disk_that_knows_no_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(_file: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(ConfigError, match=r"No locks available.*disk of this machine"):
        FileLock(tmp_path / "fernamt.db")
