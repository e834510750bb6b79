"""The videos of successful tasks: what a request for one is answered, and what a fault makes of it."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import NamedTuple

from .answers import HTML, Answer, Stream
from .clock import Clock
from .draws import uniform
from .faults import FaultBoard, RateSwitch
from .options import Options
from .outcomes import SUCCESS
from .task import Download, Task
from .truth import Truth
from .video_file import VideoFile

#: Where results are served; the task id and `.mp4` follow.
RESULTS_PATH = "/results/"
_SUFFIX = ".mp4"
_VIDEO = b"video/mp4"
_XML = b"application/xml"
_PAGE = b"<!DOCTYPE html><html><head><title>Please wait</title></head><body><h1>Please wait</h1></body></html>"
#: What `download_wrong_body_rate` sends in turn: a content type and a body.
BODIES = ((HTML, _PAGE), (_VIDEO, b""), (_VIDEO, _PAGE))
#: What `download_error_rate` answers in turn. Source: "Error responses" of Amazon S3.
_ERRORS = (
    (500, "InternalError", "We encountered an internal error. Please try again."),
    (503, "SlowDown", "Please reduce your request rate."),
)
#: At most one of these strikes a download, the first one that does.
_FAULTS: tuple[RateSwitch, ...] = (
    "download_hang_rate",
    "download_error_rate",
    "download_wrong_body_rate",
    "download_cut_rate",
    "download_truncated_rate",
    "download_slow_rate",
)
#: A slow download gets so many pieces a second.
_PIECES_PER_SECOND = 10
#: One range from a first byte on. Others are ignored, as RFC 9110 allows, and answered by the whole file.
_RANGE = re.compile(rb"bytes=([0-9]{1,18})-([0-9]{0,18})")


class ResultRequest(NamedTuple):
    """A request for a result.

    Args:
        is_head: whether it asks for the headers alone.
        range_: the Range header.
        if_range: the If-Range header.
    """

    is_head: bool = False
    range_: bytes = b""
    if_range: bytes = b""


def result_url(task: Task) -> str:
    """Return where a task's video is served, at the address its submission was sent to."""
    return f"{task.base_url}{RESULTS_PATH}{task.task_id}{_SUFFIX}"


def task_id_of(name: str) -> str | None:
    """Return the task id in the file name of a result."""
    return name.removesuffix(_SUFFIX) if name.endswith(_SUFFIX) else None


class Results:
    """Serves videos as a storage service does: 200 or 206, 403 once one has expired, 404 if there is none.

    Args:
        options: the size of videos, how long they are served, and the seed.
        clock: the simulator's clock.
        board: the fault switches.
        truth: where downloads are counted.
    """

    def __init__(self, options: Options, clock: Clock, board: FaultBoard, truth: Truth) -> None:
        self._options = options
        self._clock = clock
        self._board = board
        self._truth = truth

    def file(self, task: Task) -> VideoFile:
        """Return the video of a task, whether it is served or not."""
        return VideoFile(task.task_id, task.video_seconds, self._options.video_bytes)

    def answer(self, task: Task | None, reached_seconds: float, request: ResultRequest) -> Answer:
        """Decide about a request; one for the headers alone is no download, and no fault strikes it.

        Args:
            task: the task asked about, if there is one.
            reached_seconds: moment up to which tasks have got on, in real seconds of the clock.
            request: what was asked.
        """
        download = Download(at_seconds=self._clock.now_seconds())
        if task is None or task.outcome != SUCCESS or reached_seconds < task.completes_at_seconds:
            answer = _error(404, "NoSuchKey", "The specified key does not exist.")
        else:
            if not request.is_head:
                task.downloads.append(download)
            answer = self._of_ended(task, reached_seconds, request, download)
        download.code = answer.code
        if not request.is_head:
            self._truth.downloads.answered(answer.code)
        return answer

    def listed(self, task: Task) -> dict[str, object]:
        """Return a task's video and its downloads, ready for JSON but for its SHA-256, which takes time."""
        downloads = []
        for each in task.downloads:
            fields = asdict(each)
            downloads.append({"at_ms": self._clock.unix_ms(fields.pop("at_seconds")), **fields})
        return {
            "task_id": task.task_id,
            "marker": task.marker,
            "url": result_url(task),
            "size_bytes": self._options.video_bytes,
            "downloads": downloads,
        }

    def _of_ended(self, task: Task, reached_seconds: float, request: ResultRequest, download: Download) -> Answer:
        if self._has_expired(task, reached_seconds):
            return _error(403, "AccessDenied", "Request has expired.")
        file = self.file(task)
        asked = _asked_range(request, file)
        if asked is not None and not asked:
            size = (b"content-range", f"bytes */{file.size_bytes}".encode())
            return _error(416, "InvalidRange", "The requested range is not satisfiable")._replace(headers=(size,))
        fault = None if request.is_head else next((each for each in _FAULTS if self._board.strikes(each)), None)
        download.start, download.fault = asked.start if asked else 0, fault
        faults, struck = self._board.current, self._board.struck
        if fault == "download_hang_rate":
            return Answer(0, None, delay_seconds=faults.download_hang_seconds)
        if fault == "download_error_rate":
            return _error(*_ERRORS[(struck[fault] - 1) % len(_ERRORS)])
        if fault == "download_wrong_body_rate":
            content_type, body = BODIES[(struck[fault] - 1) % len(BODIES)]
            return Answer(200, body, content_type=content_type)
        return self._file_answer(file, asked, download)

    def _file_answer(self, file: VideoFile, part: range | None, download: Download) -> Answer:
        headers = [(b"etag", file.etag.encode()), (b"accept-ranges", b"bytes")]
        asked = range(file.size_bytes) if part is None else part
        if part is not None:
            headers.append((b"content-range", f"bytes {asked.start}-{asked.stop - 1}/{file.size_bytes}".encode()))
        is_cut, is_truncated = (download.fault == f"download_{each}_rate" for each in ("cut", "truncated"))
        stop = asked.stop
        if is_cut or is_truncated:
            stop = asked.start + int(len(asked) * self._board.share("download_cut"))
        slow = self._board.current.download_bytes_per_second if download.fault == "download_slow_rate" else None
        most_bytes = max(1, slow // _PIECES_PER_SECOND) if slow else file.size_bytes
        stream = Stream(
            chunks=self._counted(file.chunks(asked.start, stop, most_bytes), download, file),
            size_bytes=None if is_truncated else len(asked),
            is_cut=is_cut,
            bytes_per_second=slow,
        )
        return Answer(200 if part is None else 206, None, tuple(headers), content_type=_VIDEO, stream=stream)

    def _counted(self, chunks: Iterator[bytes], download: Download, file: VideoFile) -> Iterator[bytes]:
        """Yield chunks, and count each one once the next is asked for: it was handed to the network then."""
        counts = self._truth.downloads
        counts.begin()
        try:
            for chunk in chunks:
                yield chunk
                download.sent_bytes += len(chunk)
                counts.sent_bytes += len(chunk)
            if download.start + download.sent_bytes == file.size_bytes:
                download.complete = True
                counts.complete += 1
        finally:
            counts.open_now -= 1

    def _has_expired(self, task: Task, reached_seconds: float) -> bool:
        draw = uniform(self._options.seed, "result_expired", f"{task.marker}#{task.attempt}")
        if draw < self._board.current.result_expired_rate:
            self._board.note("result_expired_rate")
            return True
        ttl_seconds = self._clock.real_seconds(self._options.result_ttl_seconds)
        return reached_seconds >= task.completes_at_seconds + ttl_seconds


def _asked_range(request: ResultRequest, file: VideoFile) -> range | None:
    """Return the bytes that a request asks for, empty if the file has none of them; None for the whole file."""
    found = _RANGE.fullmatch(request.range_)
    if not found or request.is_head or request.if_range not in (b"", file.etag.encode()):
        return None
    first, last = int(found[1]), int(found[2] or file.size_bytes - 1)
    if found[2] and last < first:
        return None  # RFC 9110: an invalid range is ignored
    return range(file.size_bytes)[first : last + 1]


def _error(code: int, name: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{name}</Code><Message>{message}</Message></Error>'
    return Answer(code, body.encode(), content_type=_XML)
