"""Exit codes, and how an error becomes one line and a code."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import click

from .. import errors
from ..text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..contract import Result

EXIT_CODES: Final = """\b
Exit codes:
  0    everything asked for was done
  1    a job failed
  2    wrong usage, settings or input; nothing was enqueued
  3    Redis or the workers could not be reached
  4    the time-out passed first; the jobs go on
  5    a job was cancelled, or could not be cancelled any more
  6    nothing is known about a job of this id
  7    the batch holds no job
  8    a job succeeded, but the URLs of its result have expired (see --allow-expired)
  130  interrupted; the jobs go on
"""


class Exit(IntEnum):
    """The exit codes; see `EXIT_CODES`."""

    OK = 0
    JOB_FAILED = 1
    INVALID = 2
    UNAVAILABLE = 3
    TIMED_OUT = 4
    CANCELLED = 5
    NOT_FOUND = 6
    EMPTY = 7
    EXPIRED = 8
    INTERRUPTED = 130


#: Of several jobs the first of these that occurred is the exit code.
_WORST_FIRST: Final = (Exit.JOB_FAILED, Exit.NOT_FOUND, Exit.EXPIRED, Exit.TIMED_OUT, Exit.CANCELLED)

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
)


def of_outcome(outcome: Result | errors.JobFailed | errors.ResultExpired | errors.JobNotFound) -> Exit:
    """Return the exit code for how a job ended."""
    if isinstance(outcome, errors.JobNotFound):
        return Exit.NOT_FOUND
    if isinstance(outcome, errors.ResultExpired):
        return Exit.EXPIRED
    if isinstance(outcome, errors.JobCancelled):
        return Exit.CANCELLED
    return Exit.JOB_FAILED if isinstance(outcome, errors.JobFailed) else Exit.OK


def worst(codes: Iterable[Exit]) -> Exit:
    """Return the exit code for several jobs."""
    seen = set(codes)
    return next((code for code in _WORST_FIRST if code in seen), Exit.OK)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn an error that a person can do something about into one line and an exit code, never a traceback."""
    try:
        yield
    except errors.WanimateError as error:
        click.echo(f"Error: {one_line(str(error))}", err=True)
        code = next((code for kind, code in _OF_ERROR if isinstance(error, kind)), Exit.JOB_FAILED)
        raise SystemExit(code) from None
    except BrokenPipeError:
        # The reader of stdout has gone, also for what Python still writes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(Exit.INTERRUPTED) from None
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise SystemExit(Exit.INTERRUPTED) from None
