"""Commands as they are typed: each in a process of its own, which has imported everything before it starts."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory

#: Forks a process for each command from one that has imported what they all need, for that takes longer than they do.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["__main__", "wanimate_worker.cli", "wanimate_worker.bridge.app", "wanimate_worker.health.work"]
)


def run(program: str, *arguments: str, timeout_seconds: float = 60.0, **variables: str) -> subprocess.CompletedProcess:
    """Run one of our programs and return how it ended and what it has written.

    Args:
        program: Its name.
        arguments: Its arguments.
        timeout_seconds: When it is killed.
        variables: Of its environment, besides those of this process that are neither ours nor Celery's.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WANIMATE_", "CELERY_"))}
    with TemporaryDirectory() as folder:
        output = (Path(folder) / "stdout", Path(folder) / "stderr")
        process = _PROCESSES.Process(target=_become, args=([program, *arguments], {**clean, **variables}, *output))
        process.start()
        process.join(timeout_seconds)
        exit_code = process.exitcode
        if exit_code is None:
            process.kill()
            process.join()
        process.close()
        told = [path.read_text() if path.exists() else "" for path in output]
    if exit_code is None:
        raise subprocess.TimeoutExpired([program, *arguments], timeout_seconds, *told)
    return subprocess.CompletedProcess([program, *arguments], exit_code, *told)


def _become(command: list[str], environment: dict[str, str], *output: Path) -> None:
    """Turn this process into that of a program."""
    for stream, path in enumerate(output, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(environment.get("TMPDIR", "/tmp"))
    sys.argv = command
    [program] = entry_points(group="console_scripts", name=command[0])
    sys.exit(program.load()())
