"""The videos of successful tasks, and what is answered once they are gone."""

from struct import pack

from .answers import Answer
from .clock import Clock
from .outcomes import SUCCESS
from .task import Task

#: Where results are served; the task id and `.mp4` follow.
RESULTS_PATH = "/results/"
_SUFFIX = ".mp4"
_VIDEO = b"video/mp4"
_XML = b"application/xml"
#: What a header of the file has room for, in milliseconds.
_LONGEST = 2**32 - 1


def result_url(task: Task) -> str:
    """Return where a task's video is served, at the address its submission was sent to."""
    return f"{task.base_url}{RESULTS_PATH}{task.task_id}{_SUFFIX}"


def task_id_of(name: str) -> str | None:
    """Return the task id in the file name of a result."""
    return name.removesuffix(_SUFFIX) if name.endswith(_SUFFIX) else None


def result_answer(task: Task | None, now_seconds: float, clock: Clock, ttl_seconds: float) -> Answer:
    """Answer a request for a result, as a storage service does: 200, 403 once it has expired, 404 if there is none.

    Args:
        task: the task asked about, if there is one.
        now_seconds: moment of the request, in real seconds of the clock.
        clock: the simulator's clock.
        ttl_seconds: simulated seconds from a task's end until its result expires.
    """
    if task is None or task.outcome != SUCCESS or now_seconds < task.completes_at_seconds:
        return _error(404, "NoSuchKey", "The specified key does not exist.")
    if now_seconds >= task.completes_at_seconds + clock.real_seconds(ttl_seconds):
        return _error(403, "AccessDenied", "Request has expired.")
    return Answer(200, video(task.video_seconds), content_type=_VIDEO)


def video(seconds: float) -> bytes:
    """Return an MP4 file of a length, without any track."""
    scale = 1000
    identity = pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    header = (
        pack(">IIIII", 0, 0, 0, scale, min(round(seconds * scale), _LONGEST))
        + pack(">IH10x", 0x10000, 0x100)
        + identity
    )
    movie = _box(b"moov", _box(b"mvhd", header + bytes(24) + pack(">I", 1)))
    return _box(b"ftyp", b"isom" + bytes(4) + b"isommp42") + movie + _box(b"mdat", b"")


def _box(kind: bytes, body: bytes) -> bytes:
    return pack(">I", 8 + len(body)) + kind + body


def _error(code: int, name: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{name}</Code><Message>{message}</Message></Error>'
    return Answer(code, body.encode(), content_type=_XML)
