"""`wanimate download`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..contract import Result
from ..downloads import save, videos_of
from ..errors import WaitTimeout, WanimateError
from ..waiting import Wait
from .jobs import EXAMPLE_ID, IDS_ARGUMENT
from .session import WAITING, Exit, Session, command, of_outcome, worst

if TYPE_CHECKING:
    from ..downloads import Video

_AT_ONCE: Final = 4


@command(f"wanimate download {EXAMPLE_ID} --to videos", *WAITING, Exit.NOT_DOWNLOADED)
@IDS_ARGUMENT
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Folder for the videos, created if missing.  [default: the current one]",
)
def download(session: Session, job_ids: tuple[str, ...], folder: Path) -> Exit:
    """Download the videos of succeeded jobs.

    Files are named ID.mp4, ID.2.mp4 and so on. The command does not wait for jobs, skips files that are complete, and
    resumes interrupted downloads when you run it again. It verifies the SHA-256 of a video in your own store, and needs
    wanimate[store] and the store's usual credentials to read it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"--to: {folder}: {error.strerror}") from None
    ids = [session.client.job(job_id).id for job_id in job_ids]
    results, codes = _results(session, Wait(ids, 0))
    videos = [video for job_id, result in results.items() for video in videos_of(job_id, result, folder)]
    return worst([*codes, *_save_all(session, videos)]) if videos else worst(codes)


def _results(session: Session, jobs: Wait) -> tuple[dict[str, Result], list[Exit]]:
    """Return the results that are available, and report jobs without one."""
    results: dict[str, Result] = {}
    codes: list[Exit] = []
    try:
        for ended in session.client.watch(jobs):
            for job_id, outcome in ended:
                codes.append(of_outcome(outcome))
                if isinstance(outcome, Result):
                    results[job_id] = outcome
                else:
                    session.output.ended(job_id, outcome)
    except WaitTimeout:
        for job_id in jobs.pending:
            session.output.timed_out(job_id)
            codes.append(Exit.TIMED_OUT)
    return results, codes


def _save_all(session: Session, videos: list[Video]) -> list[Exit]:
    from .progress import DownloadProgress  # rich, which other commands do without

    codes: list[Exit] = []
    stop = threading.Event()
    with DownloadProgress(session.output) as progress, ThreadPoolExecutor(_AT_ONCE) as threads:
        saving = {threads.submit(save, video, progress.of(video.path.name), stop.is_set): video for video in videos}
        try:
            for saved in as_completed(saving):
                video = saving[saved]
                try:
                    is_new = saved.result()
                except (WanimateError, OSError) as error:
                    codes.append(Exit.NOT_DOWNLOADED)
                    session.output.not_downloaded(video.job_id, video.path, error)
                else:
                    session.output.downloaded(video.job_id, video.path, is_new=is_new)
        except KeyboardInterrupt:
            stop.set()
            threads.shutdown(cancel_futures=True)
            session.output.note("Interrupted. Run the same command again to resume.")
            return [Exit.INTERRUPTED]
    return codes
