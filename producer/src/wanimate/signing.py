"""Returns download URLs: signed ones for the account's store, or the vendor's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from .errors import InvalidArgument, StoreUnavailable
from .text import counted, one_line
from .waiting import seconds_of

if TYPE_CHECKING:
    from .contract import Result

#: Stores sign URLs for at most a week, in seconds.
MAX_EXPIRES_SECONDS: Final = 7 * 86_400
_MAX_REASON_CHARACTERS: Final = 200
#: The variables with the credentials of each kind of store.
_CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (and AWS_ENDPOINT_URL for other S3 services)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, the key of a service account",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


def download_url(result: Result, index: int, expires: float) -> str:
    """Return a URL from which any HTTP client can download a video.

    Args:
        result: The result.
        index: The index of the video.
        expires: Validity of a signed URL, in seconds.

    Raises:
        InvalidArgument: The result has no such video, or `expires` is out of range.
        StoreUnavailable: The URL cannot be signed here.
    """
    seconds = seconds_of(expires, "expires")
    if not 1 <= seconds <= MAX_EXPIRES_SECONDS:
        raise InvalidArgument(f"expires: expected 1 to {MAX_EXPIRES_SECONDS} seconds, got {seconds:g}")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(result.urls):
        raise InvalidArgument(f"index: out of range: the result has {counted(len(result.urls), 'video')}, from 0")
    url = result.urls[index]
    return url if urlsplit(url).scheme in {"http", "https"} else _signed(url, seconds)


def _signed(url: str, seconds: float) -> str:
    scheme, _, place = url.partition("://")
    bucket, _, name = place.partition("/")
    if scheme not in _CREDENTIALS:
        raise StoreUnavailable(
            f"the video is at {one_line(url)}, and only s3://, gs:// and az:// URLs can be signed: read the file "
            "there, or run wanimate download on a machine with this folder"
        )
    try:
        import obstore
        from obstore.store import from_url
    except ImportError:
        raise StoreUnavailable(
            "the library obstore, which signs URLs, is not installed: install wanimate[store]"
        ) from None
    try:
        # The name is not part of this URL: it may contain characters that a URL escapes.
        store: Any = from_url(f"{scheme}://{bucket}")
        return str(obstore.sign(store, "GET", name, timedelta(seconds=seconds)))
    except Exception as error:  # noqa: BLE001 - obstore has errors of its own for every store
        reason = one_line(str(error).strip().partition("\n")[0])[:_MAX_REASON_CHARACTERS]
    raise StoreUnavailable(
        f"cannot sign a URL of {scheme}://{bucket} ({reason}): set {_CREDENTIALS[scheme]}, for an account with read "
        "access"
    )
