"""Downloads videos: resumes partial downloads, verifies them, and never leaves a partial file under its final name."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from .errors import WanimateError
from .signing import download_url
from .text import as_file_name, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from .contract import KeptFile, Result

_CHUNK_BYTES: Final = 256 * 1024
#: Timeout of each read from a server, in seconds.
_READ_TIMEOUT_SECONDS: Final = 30.0
#: Consecutive attempts without progress, and the back-off after the first, which doubles, in seconds.
_MAX_ATTEMPTS: Final = 5
_FIRST_PAUSE_SECONDS: Final = 0.5
#: Validity of a signed URL, in seconds; one attempt takes less.
_SIGNED_FOR_SECONDS: Final = 3600.0
_MAX_NAME_CHARACTERS: Final = 160
_PARTIAL, _OK, _RANGE_NOT_SATISFIABLE, _TOO_MANY = 206, 200, 416, 429
_SERVER_ERROR: Final = 500


class DownloadFailed(WanimateError):
    """A video could not be downloaded; the partial file stays for the next attempt."""


class Stopped(WanimateError):
    """The download was stopped."""


class _Repeat(Exception):
    """An attempt failed, but a retry may succeed."""


class Video(NamedTuple):
    """One video of a job and its file."""

    job_id: str
    result: Result
    place: int
    path: Path

    @property
    def kept(self) -> KeptFile | None:
        """The copy in the account's store, or None."""
        return self.result.files[self.place] if self.place < len(self.result.files) else None

    @property
    def part(self) -> Path:
        """The partial file during the download."""
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def tag(self) -> Path:
        """The file that records which version of the video the partial file is of."""
        return self.path.with_name(f"{self.path.name}.part.etag")


def videos_of(job_id: str, result: Result, folder: Path) -> list[Video]:
    """Return the videos of a job: `ID.mp4`, `ID.2.mp4` and so on."""
    name = as_file_name(job_id)
    if len(name) > _MAX_NAME_CHARACTERS:
        name = f"{name[: _MAX_NAME_CHARACTERS - 34]}=-{hashlib.sha256(job_id.encode()).hexdigest()[:32]}"
    return [
        Video(job_id, result, index, folder / (f"{name}.mp4" if index == 0 else f"{name}.{index + 1}.mp4"))
        for index in range(len(result.urls))
    ]


def save(video: Video, show: Callable[[int, int | None], None], is_stopped: Callable[[], bool]) -> bool:
    """Download a video; return False if its file was complete before.

    Args:
        video: The video.
        show: Called with the bytes received and the total, if known.
        is_stopped: Returns whether to stop.

    Raises:
        DownloadFailed: It could not be downloaded.
        StoreUnavailable: Its URL cannot be signed here.
        Stopped: `is_stopped` returned true.
    """
    if video.kept is not None and video.path.is_file() and _is_whole(video.path, video.kept):
        return False
    attempt = 0
    while True:
        had_bytes = _size(video.part)
        try:
            return _attempt(video, show, is_stopped)
        except _Repeat as error:
            reason = str(error)
        except (OSError, HTTPException) as error:
            reason = _reason(error)
        attempt = 1 if _size(video.part) > had_bytes else attempt + 1
        if attempt >= _MAX_ATTEMPTS:
            raise DownloadFailed(f"{reason}; run the command again to resume the download")
        _pause(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1), is_stopped)


def _attempt(video: Video, show: Callable[[int, int | None], None], is_stopped: Callable[[], bool]) -> bool:
    url = urlsplit(video.result.urls[video.place])
    if url.scheme == "file":
        _copy(Path(unquote(url.path)), video)
    elif not _fetch(video, show, is_stopped):
        return False
    if video.kept is not None and not _is_whole(video.part, video.kept):
        _forget(video)
        raise _Repeat("the size or the SHA-256 differs from that of the copied video")
    with video.part.open("rb") as part:
        os.fsync(part.fileno())
    video.part.replace(video.path)
    video.tag.unlink(missing_ok=True)
    return True


def _fetch(video: Video, show: Callable[[int, int | None], None], is_stopped: Callable[[], bool]) -> bool:
    """Append the missing bytes to the partial file; return False if the final file has the size of the video."""
    have = _size(video.part)
    if video.kept is not None and have == video.kept.size_bytes:
        return True
    with closing(_open(video, have)) as answer:
        come, total = _place(answer, have)
        if video.kept is None and total is not None and _size(video.path) == total:
            return False
        _note_version(video, answer.headers.get("ETag", ""))
        with video.part.open("r+b" if come else "wb") as part:
            part.seek(come)
            part.truncate()
            show(come, total)
            while chunk := answer.read(_CHUNK_BYTES):
                if is_stopped():
                    raise Stopped("the download was stopped")
                part.write(chunk)
                come += len(chunk)
                show(come, total)
    if total is not None and come != total:
        raise _Repeat(f"the connection closed after {come} of {total} bytes")
    return True


def _open(video: Video, have: int) -> Any:
    """Request a video, or the bytes that the partial file lacks."""
    headers = {"User-Agent": "wanimate", "Accept-Encoding": "identity"}
    version = video.tag.read_text() if video.tag.is_file() else ""
    if have and (version or video.kept is not None):
        headers["Range"] = f"bytes={have}-"
        if version:
            headers["If-Range"] = version
    # `download_url` returns only http and https URLs.
    url = download_url(video.result, video.place, _SIGNED_FOR_SECONDS)
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    try:
        return urllib.request.urlopen(request, timeout=_READ_TIMEOUT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE:
            _forget(video)
            raise _Repeat("the partial file belongs to another video") from None
        reason = f"the server responded with {error.code} {one_line(str(error.reason))[:80]}"
        if error.code >= _SERVER_ERROR or error.code == _TOO_MANY:
            raise _Repeat(reason) from None
        raise DownloadFailed(reason) from None


def _note_version(video: Video, etag: str) -> None:
    """Record the version of the partial file; only a strong ETag identifies the exact bytes."""
    if etag and not etag.startswith("W/"):
        video.tag.write_text(etag)
    else:
        video.tag.unlink(missing_ok=True)


def _place(answer: Any, have: int) -> tuple[int, int | None]:
    """Return the offset of a response in the video, and the size of the video."""
    if answer.status == _PARTIAL:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != have:
            raise DownloadFailed("the server responded with another range of the video than requested")
        return have, int(found[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _copy(source: Path, video: Video) -> None:
    try:
        with source.open("rb") as content, video.part.open("wb") as part:
            shutil.copyfileobj(content, part, _CHUNK_BYTES)
    except FileNotFoundError:
        raise DownloadFailed(
            f"the video is at {one_line(str(source))}, which does not exist on this machine: run the command on the "
            "machine with this folder"
        ) from None


def _forget(video: Video) -> None:
    video.part.unlink(missing_ok=True)
    video.tag.unlink(missing_ok=True)


def _is_whole(path: Path, kept: KeptFile) -> bool:
    if path.stat().st_size != kept.size_bytes:
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == kept.sha256


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return one_line(f"{type(cause).__name__}: {cause}")[:200]


def _pause(seconds: float, is_stopped: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_stopped():
            raise Stopped("the download was stopped")
        time.sleep(0.05)
