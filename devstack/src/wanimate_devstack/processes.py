"""Child processes that always stop with the stack, and free ports for them."""

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

#: Time between two checks of a condition, in seconds.
_CHECK_SECONDS: Final = 0.05


class ProcessFailed(WanimateError):
    """A process of the local stack exited, or did not become ready in time."""


class ReservedPort:
    """A free loopback TCP port that other processes do not get until `release`."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.number = int(self._socket.getsockname()[1])

    def release(self) -> None:
        """Free the port for the process that it is meant for."""
        self._socket.close()


def free_port() -> int:
    """Return a free loopback TCP port; another process may take it before you do."""
    port = ReservedPort()
    port.release()
    return port.number


class Process:
    """A child process that writes its output to a file.

    Args:
        name: Its name in messages.
        command: The command line.
        log_path: The file for its output.
        environment: Variables added to those of this process; None removes one.
        folder: Its working directory; default: that of this process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        environment: Mapping[str, str | None] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        variables = {**os.environ, **(environment or {})}
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._popen = subprocess.Popen(  # noqa: S603 - the command is ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={name: value for name, value in variables.items() if value is not None},
                cwd=folder,
                # In the foreground group, Ctrl-C would stop all children at once, not in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while the process runs."""
        return self._popen.poll()

    @property
    def is_running(self) -> bool:
        return self.exit_code is None

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_seconds: float = 60.0) -> None:
        """Wait until a condition holds.

        Args:
            condition: Returns whether it holds.
            what: The state that it means, for messages: "ready".
            timeout_seconds: How long to wait.

        Raises:
            ProcessFailed: The process exited, or the timeout passed; the message has the end of its output.
        """
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if not self.is_running:
                raise ProcessFailed(f"{self.name} exited with code {self.exit_code}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} was not {what} after {timeout_seconds:.0f} s:\n{self.log_tail()}")
            time.sleep(_CHECK_SECONDS)

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the output."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process if it is running."""
        if self.is_running:
            self._popen.send_signal(number)

    def stop(self, timeout_seconds: float = 20.0) -> None:
        """Stop the process with SIGTERM; after the timeout, kill its process group."""
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the process and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
