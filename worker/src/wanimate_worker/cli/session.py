"""What every command of the operator has: the runtime of a worker, its output, and how it ends."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click
from wanimate.text import indented_lines, one_line

from .exits import Exit, reported_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery
    from redis import Redis

    from ..engine.runtime import Runtime


class Output:
    """Lines on stdout for people or for programs; notes on stderr.

    Args:
        as_json: Whether every line on stdout is one JSON object.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def line(self, text: str, **facts: Any) -> None:
        """Write one line: the text for a person, the facts that are not None for a program."""
        if self.as_json:
            text = json.dumps({name: value for name, value in facts.items() if value is not None})
        click.echo(one_line(text))

    def note(self, text: str) -> None:
        """Tell a person something that is not a result; further lines are indented."""
        click.echo(indented_lines(text), err=True)


@dataclass(frozen=True)
class Session:
    """A worker's view of the queue, without being one.

    Args:
        runtime: Ledger, vendor, and the way to go on with jobs.
        output: Where results go.
    """

    runtime: Runtime
    output: Output

    @property
    def redis(self) -> Redis:
        """The connection of the ledger."""
        return self.runtime.redis

    @cached_property
    def app(self) -> Celery:
        """The Celery app, the same as the workers'."""
        return celery_app(self.runtime)

    def result_key(self, job_id: str) -> str:
        """Return where Celery keeps a job's result."""
        key: bytes | str = self.app.backend.get_key_for_task(job_id)
        return key.decode() if isinstance(key, bytes) else key


def with_session(command: Callable[..., Exit]) -> Callable[..., None]:
    """Add --json, pass a `Session`, and turn the returned code and any error into the exit code."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
    @functools.wraps(command)
    def run(*args: Any, as_json: bool, **options: Any) -> None:
        with reported_errors():
            runtime = open_runtime()
            runtime.ledger.check_database()
            code = command(Session(runtime, Output(as_json=as_json)), *args, **options)
        raise SystemExit(code)

    return run


def open_runtime() -> Runtime:
    """Return what workers work with; nothing is sent, and the account is not checked."""
    # These take a quarter of a second; --help needs none of it.
    from redis.backoff import EqualJitterBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.retry import Retry

    from ..database import open_database
    from ..engine.runtime import Runtime
    from ..settings import WorkerSettings
    from ..telemetry import set_up_logs

    settings = WorkerSettings.load()
    # Results are the command's own lines; of what it does only trouble is told, and to a person.
    set_up_logs("console", "WARNING")
    runtime = Runtime(settings)
    # Workers ride out an outage; a person is told within a second.
    retry = Retry(EqualJitterBackoff(base=0.05, cap=0.5), 1, supported_errors=(RedisConnectionError,))
    runtime.redis, runtime.ledger = open_database(settings, retry)
    return runtime


def celery_app(runtime: Runtime) -> Celery:
    """Return the Celery app, the same as the workers', for commands that speak to workers or read results."""
    from ..bridge.app import create_app, ignore_celery_variables

    ignore_celery_variables()
    return create_app(runtime.settings, runtime)
