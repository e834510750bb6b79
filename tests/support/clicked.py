"""Commands in this process, with any version of click that is allowed."""

from __future__ import annotations

from inspect import signature
from typing import Any, Final

from click.testing import CliRunner

#: Before 8.2, standard error is kept apart on demand only.
_SEPARATE: Final[dict[str, Any]] = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}


def click_runner() -> CliRunner:
    """Return a runner that keeps standard error apart."""
    return CliRunner(**_SEPARATE)
