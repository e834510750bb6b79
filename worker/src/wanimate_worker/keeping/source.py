"""Where videos come from: the vendor's storage, over HTTP."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

import httpx
from wanimate.errors import SettingsError

from .failures import SourceFailed, Stopping, brief

if TYPE_CHECKING:
    from collections.abc import Generator
    from threading import Event

    from .video import VideoCheck

_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
#: How long one video may take altogether, in seconds: one that drips must not hold a thread for ever.
_MAX_SECONDS: Final = 600.0
_MAX_REDIRECTS: Final = 3
#: How often a transfer that was cut is continued.
_MAX_RESUMES: Final = 3
_RESUME_AFTER_SECONDS: Final = 0.2
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Source:
    """Downloads videos, several threads at once.

    Args:
        threads: How many.
        trust_env: Whether to use the environment's proxies and certificates.
        cut: Set when downloads must end at once.
        max_seconds: How long one video may take altogether.
    """

    def __init__(self, threads: int, cut: Event, *, trust_env: bool, max_seconds: float = _MAX_SECONDS) -> None:
        self._cut = cut
        self._max_seconds = max_seconds
        try:
            self._http = httpx.Client(
                timeout=_TIMEOUT,
                limits=httpx.Limits(max_connections=threads, max_keepalive_connections=threads),
                trust_env=trust_env,
                follow_redirects=True,
                max_redirects=_MAX_REDIRECTS,
                # The bytes as they are stored, not as a proxy has packed them.
                headers={"Accept-Encoding": "identity", "User-Agent": "wanimate-keeper"},
            )
        except Exception as error:
            raise SettingsError(
                f"no HTTP client can be made for downloads ({type(error).__name__}): check the proxy and the "
                "certificates of the environment, or unset WANIMATE_TRUST_ENV"
            ) from error

    def read(self, url: str, check: VideoCheck) -> Generator[bytes, None, None]:
        """Yield the body at a URL; each piece has passed the check, and the last one is followed by its end.

        A transfer that is cut is continued where it ended, if the server can tell that the file is still the same.

        Raises:
            SourceFailed: The body could not be read to its end.
            NotAVideo: It is no video.
            Truncated: It is not a whole one.
            TooLarge: It is larger than accepted.
            Stopping: This process stops.
        """
        deadline, validator, resumes = time.monotonic() + self._max_seconds, "", 0
        while True:
            headers = {"Range": f"bytes={check.size_bytes}-", "If-Range": validator} if check.size_bytes else {}
            try:
                with self._http.stream("GET", url, headers=headers) as response:
                    _check_head(response, check)
                    validator = validator or _validator_of(response)
                    for data in response.iter_raw():
                        if self._cut.is_set():
                            raise Stopping("this process stops; another one makes the copy")
                        if time.monotonic() > deadline:
                            raise SourceFailed(f"the download took longer than {self._max_seconds:.0f} s")
                        check.feed(data)
                        yield data
                check.finish()
            except httpx.TransportError as error:
                resumes += 1
                if not check.size_bytes or not validator or resumes > _MAX_RESUMES or time.monotonic() > deadline:
                    raise _failed(error, check) from error
                self._cut.wait(_RESUME_AFTER_SECONDS)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _failed(error, check) from error
            else:
                return

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _check_head(response: httpx.Response, check: VideoCheck) -> None:
    begun = check.size_bytes
    if not begun and response.status_code == httpx.codes.OK:
        length = response.headers.get("Content-Length", "")
        check.declare(int(length) if length.isdecimal() else None)
    elif begun and response.status_code == httpx.codes.PARTIAL_CONTENT:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != begun or (check.length and found[2] not in {str(check.length), "*"}):
            raise SourceFailed("the download was cut, and the server continued it at another place")
    elif begun:
        raise SourceFailed(f"the download was cut after {begun} bytes, and could not be continued")
    else:
        raise SourceFailed(f"the video's URL answered HTTP {response.status_code}")


def _validator_of(response: httpx.Response) -> str:
    """Return what `If-Range` needs: a strong entity tag, or the date of the last change (RFC 9110, section 13.1.5)."""
    etag: str = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    changed: str = response.headers.get("Last-Modified", "")
    return changed


def _failed(error: Exception, check: VideoCheck) -> SourceFailed:
    # Only what the transport says is quoted: messages about URLs quote them.
    text = brief(str(error)) if isinstance(error, httpx.TransportError) else ""
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    where = f" after {check.size_bytes} bytes" if check.size_bytes else ""
    return SourceFailed(f"the download failed{where} ({what})")
