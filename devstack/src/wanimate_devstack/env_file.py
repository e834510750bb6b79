"""A file of settings for the shell, which exists as long as the stack runs."""

from __future__ import annotations

import fcntl
import os
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wanimate.errors import WanimateError
from wanimate.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@contextmanager
def env_file(path: Path, variables: Mapping[str, str], comments: Sequence[str], search_path: str) -> Iterator[Path]:
    """Write a file that a shell can source, readable by this user only, and remove it at the end of the block.

    While another process has this file, the name gets a number: `up.env`, `up-2.env` and so on.

    Args:
        path: The file.
        variables: Exported by the file.
        comments: Its first lines.
        search_path: A folder to put first on PATH.

    Yields:
        The file that was written.
    """
    lines = [
        *(f"# {one_line(comment)}" for comment in comments),
        f'export PATH={shlex.quote(search_path)}:"$PATH"',
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, used = _locked(path)
    except OSError as error:
        raise WanimateError(f"{path}: {error.strerror}: choose another file with --env-file") from None
    try:
        os.fchmod(descriptor, 0o600)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())
        yield used
    finally:
        used.unlink(missing_ok=True)
        # This releases the lock.
        os.close(descriptor)


def _locked(path: Path) -> tuple[int, Path]:
    """Open and lock the first file of this name that no other process has; one of a killed process is free."""
    number = 1
    while True:
        candidate = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        descriptor = os.open(candidate, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            number += 1
            continue
        if _is_still(candidate, descriptor):
            return descriptor, candidate
        # Its last owner removed it between the two calls.
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
