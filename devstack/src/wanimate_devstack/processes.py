"""Child processes that are always stopped again, and free ports for them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Final

from wanimate.errors import WanimateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: How often a condition is looked at while waiting for it, in seconds.
_LOOK_SECONDS: Final = 0.05


class ProcessFailed(WanimateError):
    """A process of the local stack ended, or did not become ready in time."""


def free_port() -> int:
    """Return a loopback TCP port that no process listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """One child process with its output in a file.

    Args:
        name: What it is called in messages.
        command: The command line.
        log_path: Where its output goes.
        environment: Variables on top of this process's own.
        folder: Where it runs; this process's own folder if not given.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._popen = subprocess.Popen(  # noqa: S603 - the command is ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                # Ctrl-C reaches the whole foreground group; children are stopped in order by us instead.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._popen.poll()

    @property
    def is_running(self) -> bool:
        return self.exit_code is None

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_seconds: float = 60.0) -> None:
        """Wait for a condition that this process brings about.

        Raises:
            ProcessFailed: It ended, or time ran out; the message shows the end of its output.
        """
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if not self.is_running:
                raise ProcessFailed(f"{self.name} ended with exit code {self.exit_code}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} was not {what} within {timeout_seconds:.0f} s:\n{self.log_tail()}")
            time.sleep(_LOOK_SECONDS)

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of its output."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it, if it is still running."""
        if self.is_running:
            self._popen.send_signal(number)

    def stop(self, timeout_seconds: float = 20.0) -> None:
        """End it: SIGTERM, and SIGKILL for its whole group if it does not end in time."""
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it and its children without notice."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
