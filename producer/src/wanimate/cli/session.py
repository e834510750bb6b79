"""What every command has: its client, its output, the options for both, and how an error becomes an exit code."""

from __future__ import annotations

import functools
import gc
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from .. import errors
from ..client import Client
from ..program import ExitCode
from ..settings import Settings
from ..text import one_line
from .output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..contract import Result


class Exit(ExitCode):
    """The exit codes."""

    OK = 0, "everything asked for was done"
    JOB_FAILED = 1, "a job failed"
    INVALID = 2, "wrong usage, settings or input; nothing was enqueued"
    UNAVAILABLE = 3, "Redis or the workers could not be reached"
    TIMED_OUT = 4, "the time-out passed first; the jobs go on"
    CANCELLED = 5, "a job was cancelled, or could not be cancelled any more"
    NOT_FOUND = 6, "nothing is known about a job of this id"
    EMPTY = 7, "the batch holds no job"
    EXPIRED = 8, "a job succeeded, but the URLs of its result have expired (see --allow-expired)"
    NOT_DOWNLOADED = 9, "a video could not be downloaded"
    INTERRUPTED = 130, "interrupted; the jobs go on"


#: Of several jobs the first of these that occurred is the exit code.
_WORST_FIRST: Final = (
    Exit.INTERRUPTED,
    Exit.JOB_FAILED,
    Exit.NOT_FOUND,
    Exit.NOT_DOWNLOADED,
    Exit.EXPIRED,
    Exit.TIMED_OUT,
    Exit.CANCELLED,
)

_OF_ERROR: Final[tuple[tuple[type[errors.WanimateError], Exit], ...]] = (
    (errors.SettingsError, Exit.INVALID),
    (errors.InvalidArgument, Exit.INVALID),
    (errors.InvalidRequest, Exit.INVALID),
    (errors.IdempotencyConflict, Exit.INVALID),
    (errors.QueueUnavailable, Exit.UNAVAILABLE),
    (errors.WorkerUnavailable, Exit.UNAVAILABLE),
    (errors.JobNotFound, Exit.NOT_FOUND),
    (errors.WaitTimeout, Exit.TIMED_OUT),
    (errors.ResultExpired, Exit.EXPIRED),
    (errors.JobCancelled, Exit.CANCELLED),
    (errors.WanimateError, Exit.JOB_FAILED),
)


def _of_error(error: errors.WanimateError) -> Exit:
    return next(code for kind, code in _OF_ERROR if isinstance(error, kind))


def of_outcome(outcome: Result | errors.JobFailed | errors.ResultExpired | errors.JobNotFound) -> Exit:
    """Return the exit code for how a job ended."""
    if isinstance(outcome, errors.JobFailed) and not isinstance(outcome, errors.JobCancelled):
        # Also as an invalid request: it was enqueued, and the vendor refused it.
        return Exit.JOB_FAILED
    return _of_error(outcome) if isinstance(outcome, errors.WanimateError) else Exit.OK


def worst(codes: Iterable[Exit]) -> Exit:
    """Return the exit code for several jobs."""
    seen = set(codes)
    return next((code for code in _WORST_FIRST if code in seen), Exit.OK)


@dataclass(frozen=True, slots=True)
class Session:
    """The client and the output of one command, and whether --redis-url was given."""

    client: Client
    output: Output
    has_own_url: bool = False


def command(function: Callable[..., Exit]) -> click.Command:
    """Make a command of a function that takes a `Session`: add --redis-url and --json; its value or error ends it."""

    @functools.wraps(function)
    def run(*args: Any, redis_url: str | None, as_json: bool, **options: Any) -> None:
        with _reported_errors():
            settings = _settings(redis_url)
            _load_redis()
            # What was imported stays: Python need not look through it again, which took a tenth of the time at its end.
            gc.freeze()
            with Client(settings) as client:
                code = function(Session(client, Output(as_json=as_json), bool(redis_url)), *args, **options)
        raise SystemExit(code)

    made = click.command(epilog=Exit.epilog())(run)
    made.params += [
        click.Option(
            ["--redis-url"],
            metavar="URL",
            help="Overrides WANIMATE_REDIS_URL. Other users of this machine can see it: keep passwords in the "
            "variable.",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="One JSON object a line on stdout."),
    ]
    return made


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Turn an error that a person can do something about into one line and an exit code, never a traceback."""
    try:
        yield
    except errors.WanimateError as error:
        click.echo(f"Error: {one_line(str(error))}", err=True)
        raise SystemExit(_of_error(error)) from None
    except BrokenPipeError:
        # The reader of stdout has gone, also for what Python still writes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(Exit.INTERRUPTED) from None
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise SystemExit(Exit.INTERRUPTED) from None


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
    except errors.SettingsError as error:
        raise errors.SettingsError(str(error).replace("WANIMATE_REDIS_URL", "--redis-url")) from None
