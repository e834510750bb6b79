"""What every command of the operator has: the runtime of a worker, its output, and how it ends."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from wanimate.text import indented_lines, one_line

from .exits import Exit, reported_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery
    from redis import Redis

    from ..runtime import Runtime


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


@dataclass(frozen=True, slots=True)
class Session:
    """A worker's view of the queue, without being one.

    Args:
        runtime: Ledger, vendor, and the way to resume jobs.
        output: Where results go.
        redis: The runtime's connection.
    """

    runtime: Runtime
    output: Output
    redis: Redis

    @property
    def app(self) -> Celery:
        """The Celery app, the same as the workers'."""
        return self.runtime.app

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
            runtime, redis = open_runtime()
            runtime.ledger.check_database()
            code = command(Session(runtime, Output(as_json=as_json), redis), *args, **options)
        raise SystemExit(code)

    return run


def open_runtime() -> tuple[Runtime, Redis]:
    """Return what workers work with, and its connection to Redis; nothing is sent, and the account is not checked."""
    # Celery takes a quarter of a second; --help needs none of it.
    from redis.backoff import EqualJitterBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.retry import Retry

    from ..app import create_app, ignore_celery_variables
    from ..database import open_database
    from ..observability import set_up_logs
    from ..runtime import Runtime
    from ..settings import WorkerSettings

    ignore_celery_variables()
    settings = WorkerSettings.load()
    # Results are the command's own lines; of what it does only trouble is told, and to a person.
    set_up_logs("console", "WARNING")
    runtime = Runtime(create_app(settings), settings)
    # Workers ride out an outage; a person is told within a second.
    retry = Retry(EqualJitterBackoff(base=0.05, cap=0.5), 1, supported_errors=(RedisConnectionError,))
    redis, runtime.ledger = open_database(settings, retry)
    return runtime, redis
