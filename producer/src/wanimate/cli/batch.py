"""`wanimate batch`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, TextIO

import click

from ..errors import QueueUnavailable
from ..text import one_line
from ..waiting import Wait
from .batch_file import read_batch
from .jobs import EXPIRED_OPTION, TIMEOUT_OPTION, note_cost, watch
from .session import Exit, Session, command, worst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..contract import Job
    from .batch_file import BatchFile, Line
    from .progress import BatchProgress

#: Lines of a broken file that are shown.
_SHOWN_LINES: Final = 10


@command
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--run", default="", metavar="NAME", help="Another name makes the same file other jobs, paid again.")
@click.option("--allow-duplicates", is_flag=True, help="Enqueue, and pay for, a request as often as it occurs.")
@click.option("--wait/--no-wait", default=True, help="Wait for the results (the default), or only enqueue.")
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
    """Enqueue the jobs of FILE, one JSON object a line, and print each result as it comes in.

    FILE is read from stdin if it is "-". A line looks like {"type": "animate", "image_url": "https://...",
    "video_url": "https://..."} and may have every other field of a job; null is a field that is not there. All lines
    are checked before any job is enqueued, and lines with the same request are refused without --allow-duplicates.

    A line without idempotency_key gets one derived from its request, so running the same file again goes on with the
    same jobs instead of paying for new ones. Results are the same too: the URLs of those that ended more than a day ago
    have expired, and --run NAME renders and bills the file again.
    """
    content = _read(file, run, allow_duplicates=allow_duplicates)
    lines = content.lines
    if not lines:
        session.output.note(f"{file.name}: there is no job in it; nothing was enqueued.")
        return Exit.EMPTY
    if content.duplicates:
        session.output.note(f"{len(content.duplicates)} lines repeat an earlier one; each of them is billed.")
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
    """Return how to go on with a batch, as it can be copied into a shell."""
    is_piped = file.name == "<stdin>"
    options = [*(["--run", run] if run else []), *(["--allow-duplicates"] if allow_duplicates else [])]
    command = shlex.join(["wanimate", "batch", "-" if is_piped else file.name, *options])
    # The URL itself may hold a password.
    where = " --redis-url URL" if session.has_own_url else ""
    return (
        "Jobs in the queue go on without this command, and are neither repeated nor paid twice. Pick them up "
        f"{'by sending the same lines to' if is_piped else 'with'}:\n  {command}{where}"
    )


def _read(file: TextIO, run: str, *, allow_duplicates: bool) -> BatchFile:
    try:
        content = read_batch(file, run)
    except UnicodeDecodeError:
        raise click.UsageError(f"{one_line(file.name)}: not UTF-8 text: save it as UTF-8") from None
    if content.problems:
        raise _refused(file, "lines that are wrong", content.problems)
    if content.duplicates and not allow_duplicates:
        what = "lines that would be billed again; remove them, or add --allow-duplicates to pay for each"
        raise _refused(file, what, content.duplicates)
    return content


def _refused(file: TextIO, what: str, lines: list[str]) -> click.UsageError:
    more = len(lines) - _SHOWN_LINES
    shown = [*map(one_line, lines[:_SHOWN_LINES]), *([f"... and {more} more"] if more > 0 else [])]
    text = f"{one_line(file.name)}: nothing was enqueued, because of {len(lines)} {what}:"
    return click.UsageError("\n  ".join([text, *shown]))


def _enqueue(session: Session, lines: list[Line], progress: BatchProgress) -> dict[str, list[Line]]:
    def jobs() -> Iterator[Job]:
        for line in lines:
            yield line.job
            progress.enqueued()

    by_id: dict[str, list[Line]] = {}
    for line, handle in zip(lines, session.client.submit_many(jobs()), strict=True):
        # Two lines with the same key of their own are one job.
        by_id.setdefault(handle.id, []).append(line)
    progress.all_enqueued()
    return by_id
