"""What all commands share: the client, the output, common options, and the exit code for each error."""

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
from ..program import ExitCode, epilog
from ..settings import Settings
from ..text import one_line
from .output import Output, fitted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..contract import Result


class Exit(ExitCode):
    """The exit codes."""

    OK = 0, "success"
    JOB_FAILED = 1, "a job failed, or a worker reported an error"
    INVALID = 2, "invalid usage, settings or input"
    UNAVAILABLE = 3, "Redis or the workers cannot be reached"
    TIMED_OUT = 4, "a job did not end in time; it continues"
    CANCELLED = 5, "a job was cancelled, or it was too late to cancel it"
    NOT_FOUND = 6, "a job was not found"
    EMPTY = 7, "the file contains no jobs"
    EXPIRED = 8, "a job succeeded, but the URLs of its result have expired"
    NOT_DOWNLOADED = 9, "a video could not be downloaded"
    INTERRUPTED = 130, "interrupted; the jobs continue"


#: What every command can return.
_ALWAYS: Final = (Exit.OK, Exit.INVALID, Exit.UNAVAILABLE, Exit.INTERRUPTED)
#: What a command that waits for results can return as well.
WAITING: Final = (Exit.JOB_FAILED, Exit.TIMED_OUT, Exit.CANCELLED, Exit.NOT_FOUND, Exit.EXPIRED)

#: The exit code for several jobs is the first of these that occurred.
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
        # Including `InvalidRequest`: the job was enqueued, and the vendor refused it.
        return Exit.JOB_FAILED
    return _of_error(outcome) if isinstance(outcome, errors.WanimateError) else Exit.OK


def worst(codes: Iterable[Exit]) -> Exit:
    """Return the exit code for several jobs."""
    seen = set(codes)
    return next((code for code in _WORST_FIRST if code in seen), Exit.OK)


@dataclass(frozen=True, slots=True)
class Session:
    """The client and the output of one command; `has_own_url` tells whether --redis-url was given."""

    client: Client
    output: Output
    has_own_url: bool = False


def command(example: str, *codes: Exit) -> Callable[[Callable[..., Exit]], click.Command]:
    """Make a command of a function that takes a `Session`: add --redis-url and --json; return its value as exit code.

    Args:
        example: A complete command line for its help.
        codes: The exit codes it can return besides those of every command.
    """

    def decorate(function: Callable[..., Exit]) -> click.Command:
        @functools.wraps(function)
        def run(*args: Any, redis_url: str | None, as_json: bool, **options: Any) -> None:
            with _reported_errors():
                settings = _settings(redis_url)
                _load_redis()
                # Everything imported so far stays alive: excluding it from collection ends the process 10 % sooner.
                gc.freeze()
                with Client(settings) as client:
                    code = function(Session(client, Output(as_json=as_json), bool(redis_url)), *args, **options)
            raise SystemExit(code)

        made = click.command(epilog=epilog(example, sorted({*_ALWAYS, *codes})))(run)
        made.params += [
            click.Option(
                ["--redis-url"],
                metavar="URL",
                help="Overrides WANIMATE_REDIS_URL. Other users of this machine can see it: do not include a password.",
            ),
            click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object per line."),
        ]
        return made

    return decorate


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Print an expected error as one line and exit with its code, without a traceback."""
    try:
        yield
    except errors.WanimateError as error:
        click.echo(fitted(f"Error: {one_line(str(error))}", sys.stderr), err=True)
        raise SystemExit(_of_error(error)) from None
    except BrokenPipeError:
        # The reader closed stdout. Python writes to it once more at exit, so point it elsewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(Exit.INTERRUPTED) from None
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise SystemExit(Exit.INTERRUPTED) from None


def _load_redis() -> None:
    """Import redis-py without OpenTelemetry's metrics: no command uses them, and they add half to the import time."""
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
