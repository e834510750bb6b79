"""What every command of the operator needs: the runtime of a worker, output, and exit codes."""

from __future__ import annotations

import functools
import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
from kombu.exceptions import KombuError
from redis.exceptions import RedisError
from wanimate.errors import WanimateError
from wanimate.program import ExitCode, epilog
from wanimate.text import indented_lines, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from celery import Celery

    from ..engine.runtime import Runtime
    from ..ledger import Ledger


class Exit(ExitCode):
    """The exit codes of most commands."""

    OK = 0, "done, now or by an earlier call"
    REFUSED = 1, "something was not found or not done; the output says why"
    INVALID = 2, "wrong usage or settings; nothing was changed"
    UNAVAILABLE = 3, "Redis or the vendor could not be reached"
    TIMED_OUT = 4, "the time-out passed first"
    INTERRUPTED = 130, "interrupted (Ctrl-C)"


#: Every command can return these.
_COMMON_CODES: Final = (Exit.OK, Exit.INVALID, Exit.UNAVAILABLE, Exit.INTERRUPTED)


class Verdict(NamedTuple):
    """The result of a command for one job: the exit code, one word, and a sentence for a person."""

    code: Exit
    outcome: str
    text: str
    task_id: str | None = None


def refused(why: str, task_id: str | None = None) -> Verdict:
    """Return the result for a job that was not changed, with the reason."""
    return Verdict(Exit.REFUSED, "unchanged", why, task_id)


def moved_on(task_id: str | None) -> Verdict:
    """Return the result for a job that changed after it was read."""
    return refused("the job changed at the same moment: check it with `show ID` and try again", task_id)


@dataclass(frozen=True)
class Session:
    """A worker's access to the queue, for a process that is no worker.

    Args:
        runtime: The ledger, the vendor's client, and what hands jobs to workers.
        as_json: Whether every line on stdout is one JSON object.
    """

    runtime: Runtime
    as_json: bool

    @property
    def ledger(self) -> Ledger:
        return self.runtime.ledger

    @cached_property
    def app(self) -> Celery:
        """The Celery app, the same as the workers'."""
        return celery_app(self.runtime)

    def result_key(self, job_id: str) -> str:
        """Return the key of a job's result in Celery's backend."""
        key: bytes | str = self.app.backend.get_key_for_task(job_id)
        return key.decode() if isinstance(key, bytes) else key

    def line(self, text: str, **facts: Any) -> None:
        """Write one line to stdout: the text, or with --json the facts that are not None."""
        if self.as_json:
            text = json.dumps({name: value for name, value in facts.items() if value is not None})
        click.echo(one_line(text))

    def note(self, text: str) -> None:
        """Write a remark to stderr; further lines are indented."""
        click.echo(indented_lines(text), err=True)

    def change(self, job_ids: Iterable[str], change: Callable[[Session, str], Verdict]) -> Exit:
        """Change each job, write a line about each, and return the highest exit code."""
        worst = Exit.OK
        for job_id in job_ids:
            code, outcome, text, task_id = change(self, job_id)
            self.line(f"{job_id}  {outcome}  {text}", id=job_id, outcome=outcome, task_id=task_id, message=text)
            worst = max(worst, code)
        return worst


def command(example: str, *codes: Exit) -> Callable[[Callable[..., Exit]], click.Command]:
    """Make a command of a function that takes a `Session`: add --json; its value or error becomes the exit code.

    Args:
        example: One call of it, without the program's name.
        codes: The exit codes that it can return besides the common ones.
    """

    def make(function: Callable[..., Exit]) -> click.Command:
        @functools.wraps(function)
        def run(*args: Any, as_json: bool, **options: Any) -> None:
            with reported_errors():
                runtime = open_runtime()
                runtime.ledger.check_database()
                code = function(Session(runtime, as_json), *args, **options)
            raise SystemExit(code)

        made = click.command(epilog=epilog(f"wanimate-worker {example}", sorted({*_COMMON_CODES, *codes})))(run)
        made.params.append(click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object a line."))
        return made

    return make


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn an expected error into one line on stderr and an exit code, without a traceback."""
    try:
        yield
    except WanimateError as error:
        click.echo(f"wanimate-worker: {one_line(str(error))}", err=True)
        raise SystemExit(Exit.INVALID) from None
    except BrokenPipeError:
        # The reader of the output has closed it: `jobs | head`.
        raise SystemExit(Exit.OK) from None
    except (RedisError, KombuError, ConnectionError) as error:
        reason = one_line(" ".join(str(error).split())) or type(error).__name__
        click.echo(f"wanimate-worker: Redis could not be reached ({reason}): check WANIMATE_REDIS_URL", err=True)
        raise SystemExit(Exit.UNAVAILABLE) from None
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise SystemExit(Exit.INTERRUPTED) from None


def open_runtime() -> Runtime:
    """Return the runtime of a worker; no request is sent, and the account is not checked."""
    # These take a quarter of a second; --help needs none of it.
    from redis.backoff import EqualJitterBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.retry import Retry

    from ..database import open_database
    from ..engine.runtime import Runtime
    from ..settings import WorkerSettings
    from ..telemetry import set_up_logs

    settings = WorkerSettings.load()
    # The command prints its own lines; the log is for problems only.
    set_up_logs("console", "WARNING")
    runtime = Runtime(settings)
    # Workers wait for Redis to come back; a command fails within a second.
    retry = Retry(EqualJitterBackoff(base=0.05, cap=0.5), 1, supported_errors=(RedisConnectionError,))
    runtime.redis, runtime.ledger = open_database(settings, retry)
    return runtime


def celery_app(runtime: Runtime) -> Celery:
    """Return the Celery app, the same as the workers', for commands that speak to workers or read results."""
    from ..bridge.app import create_app, ignore_celery_variables

    ignore_celery_variables()
    return create_app(runtime.settings, runtime)
