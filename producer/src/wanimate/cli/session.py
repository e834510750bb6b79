"""What every command has: its client, its output and the options for both."""

from __future__ import annotations

import functools
import gc
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..client import Client
from ..errors import SettingsError
from ..settings import Settings
from .exits import reported_errors
from .output import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from .exits import Exit


@dataclass(frozen=True, slots=True)
class Session:
    """The client and the output of one command.

    Args:
        client: The client.
        output: Where its lines go.
        has_own_url: Whether --redis-url was given.
    """

    client: Client
    output: Output
    has_own_url: bool = False


def with_session(command: Callable[..., Exit]) -> Callable[..., None]:
    """Add --redis-url and --json, pass a `Session`, and turn the returned code and any error into the exit code."""

    @click.option(
        "--redis-url",
        metavar="URL",
        help="Overrides WANIMATE_REDIS_URL. Other users of this machine can see it: keep passwords in the variable.",
    )
    @click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
    @functools.wraps(command)
    def run(*args: Any, redis_url: str | None, as_json: bool, **options: Any) -> None:
        with reported_errors():
            settings = _settings(redis_url)
            _load_redis()
            # What was imported stays: Python need not look through it again, which took a tenth of the time at its end.
            gc.freeze()
            with Client(settings) as client:
                code = command(Session(client, Output(as_json=as_json), bool(redis_url)), *args, **options)
        raise SystemExit(code)

    return run


def _load_redis() -> None:
    """Import redis-py without OpenTelemetry's metrics, which take half as long again and which no command uses."""
    name = "opentelemetry.sdk.metrics"
    if "redis" not in sys.modules and name not in sys.modules:
        sys.modules[name] = None  # type: ignore[assignment] # makes its import fail, which redis-py expects
        try:
            import redis  # noqa: F401
        finally:
            del sys.modules[name]


def _settings(redis_url: str | None) -> Settings:
    if redis_url is None:
        return Settings.load()
    try:
        return Settings(redis_url=redis_url)
    except SettingsError as error:
        raise SettingsError(str(error).replace("WANIMATE_REDIS_URL", "--redis-url")) from None
