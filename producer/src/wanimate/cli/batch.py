"""`wanimate batch`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, TextIO

import click

from ..errors import QueueUnavailable
from ..text import counted, one_line
from ..waiting import Wait
from .batch_file import read_batch
from .jobs import EXPIRED_OPTION, TIMEOUT_OPTION, note_cost, watch
from .session import WAITING, Exit, Session, command, worst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..contract import Job
    from .batch_file import BatchFile, Line
    from .progress import BatchProgress

#: Invalid lines that one error shows.
_SHOWN_LINES: Final = 10


@command("wanimate batch jobs.jsonl --timeout 3600", *WAITING, Exit.EMPTY)
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--run", default="", metavar="NAME", help="Run this file as a new batch; all jobs are billed again.")
@click.option("--allow-duplicates", is_flag=True, help="Enqueue repeated requests; each of them is billed.")
@click.option("--wait/--no-wait", default=True, help="Wait for the results, or only enqueue.  [default: wait]")
@TIMEOUT_OPTION
@EXPIRED_OPTION
def batch(
    session: Session,
    file: TextIO,
    *,
    run: str,
    allow_duplicates: bool,
    wait: bool,
    timeout: float | None,
    allow_expired: bool,
) -> Exit:
    """Enqueue a file of jobs and print each result when it arrives.

    FILE has one JSON object per line; "-" is stdin. A line has the fields of a job, and null means the default, as in
    {"type": "animate", "image_url": "https://...", "video_url": "https://..."}

    The command checks all lines before it enqueues any job. It refuses lines with the same request unless you set
    --allow-duplicates.

    You can run a file again: the command derives a missing idempotency_key from the request, so the jobs and results
    are the same and are not billed again. Set --run to render them again.
    """
    content = _read(file, run, allow_duplicates=allow_duplicates)
    lines = content.lines
    if not lines:
        session.output.note(f"{file.name} contains no jobs. Nothing was enqueued.")
        return Exit.EMPTY
    if content.duplicates:
        session.output.note(f"{counted(len(content.duplicates), 'line')} repeat an earlier one. Each is billed.")
    pick_up = _pick_up(session, file, run, allow_duplicates=allow_duplicates)
    from .progress import BatchProgress  # rich, which other commands do without

    progress = BatchProgress(session.output, len(lines))
    try:
        with progress:
            by_id = _enqueue(session, lines, progress)
            note_cost(session, [same[0].job for same in by_id.values()])
            names = {job_id: [line.name for line in same] for job_id, same in by_id.items()}
            if not wait:
                for job_id, names_of_job in names.items():
                    for name in names_of_job:
                        session.output.queued(job_id, name)
                return Exit.OK
            codes = watch(session, Wait(by_id, timeout, allow_expired=allow_expired), names, progress)
    except KeyboardInterrupt:
        if progress.is_enqueued:
            session.output.note(f"Interrupted. {progress.summary()}.")
        else:
            session.output.note("Interrupted while enqueueing.")
        session.output.note(pick_up)
        return Exit.INTERRUPTED
    except QueueUnavailable:
        session.output.note(pick_up)
        raise
    session.output.note(progress.summary())
    if Exit.TIMED_OUT in codes:
        session.output.note(pick_up)
    return worst(codes)


def _pick_up(session: Session, file: TextIO, run: str, *, allow_duplicates: bool) -> str:
    """Return how to resume a batch, with a command line to copy."""
    is_piped = file.name == "<stdin>"
    options = [*(["--run", run] if run else []), *(["--allow-duplicates"] if allow_duplicates else [])]
    command = shlex.join(["wanimate", "batch", "-" if is_piped else file.name, *options])
    # The URL itself may hold a password.
    where = " --redis-url URL" if session.has_own_url else ""
    return (
        f"Enqueued jobs continue. To resume, {'send the same lines to' if is_piped else 'run'} this command; no job is "
        f"billed twice:\n  {command}{where}"
    )


class _FileRefused(click.ClickException):
    """The lines of the file are invalid; nothing was enqueued."""

    exit_code = Exit.INVALID


def _read(file: TextIO, run: str, *, allow_duplicates: bool) -> BatchFile:
    try:
        content = read_batch(file, run)
    except UnicodeDecodeError:
        raise _FileRefused(f"{one_line(file.name)} is not UTF-8 text. Nothing was enqueued.") from None
    if content.problems:
        raise _refused(file, f"Fix {_these(len(content.problems), 'line')}:", content.problems)
    if content.duplicates and not allow_duplicates:
        lines = _these(len(content.duplicates), "repeated line")
        raise _refused(file, f"Remove {lines}, or set --allow-duplicates (each is billed):", content.duplicates)
    return content


def _these(count: int, noun: str) -> str:
    return f"this {noun}" if count == 1 else f"these {count} {noun}s"


def _refused(file: TextIO, what: str, lines: list[str]) -> _FileRefused:
    more = len(lines) - _SHOWN_LINES
    shown = [*map(one_line, lines[:_SHOWN_LINES]), *([f"... and {more} more"] if more > 0 else [])]
    return _FileRefused("\n  ".join([f"{one_line(file.name)}: Nothing was enqueued. {what}", *shown]))


def _enqueue(session: Session, lines: list[Line], progress: BatchProgress) -> dict[str, list[Line]]:
    def jobs() -> Iterator[Job]:
        for line in lines:
            yield line.job
            progress.enqueued()

    by_id: dict[str, list[Line]] = {}
    for line, handle in zip(lines, session.client.submit_many(jobs()), strict=True):
        # Lines with the same idempotency_key are one job.
        by_id.setdefault(handle.id, []).append(line)
    progress.all_enqueued()
    return by_id
