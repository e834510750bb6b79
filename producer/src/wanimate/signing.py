"""Where a video can be downloaded: a signed URL of the account's store, or the vendor's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from .errors import InvalidArgument, StoreUnavailable
from .text import one_line
from .waiting import seconds_of

if TYPE_CHECKING:
    from .contract import Result

#: Stores sign URLs for a week at most, in seconds.
MAX_EXPIRES_SECONDS: Final = 7 * 86_400
_MAX_REASON_CHARACTERS: Final = 200
#: What the credentials of each kind of store are read from.
_CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (AWS_ENDPOINT_URL if it is not Amazon's)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, the key of a service account",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


def download_url(result: Result, index: int, expires: float) -> str:
    """Return a URL of one video of a result that any HTTP client can read.

    Args:
        result: The result.
        index: Which of its videos.
        expires: For how long a signed URL is valid, in seconds.

    Raises:
        InvalidArgument: The result has no such video, or no store signs for so long.
        StoreUnavailable: The URL cannot be signed here.
    """
    seconds = seconds_of(expires, "expires")
    if not 1 <= seconds <= MAX_EXPIRES_SECONDS:
        raise InvalidArgument(f"expires: 1 to {MAX_EXPIRES_SECONDS} seconds are expected, got {seconds:g}")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(result.urls):
        raise InvalidArgument(f"index: the result has {len(result.urls)} videos; the first is 0")
    url = result.urls[index]
    return url if urlsplit(url).scheme in {"http", "https"} else _signed(url, seconds)


def _signed(url: str, seconds: float) -> str:
    scheme, _, place = url.partition("://")
    bucket, _, name = place.partition("/")
    if scheme not in _CREDENTIALS:
        raise StoreUnavailable(
            f"the video is kept at {one_line(url)}, and only URLs of s3://, gs:// and az:// are signed: read it "
            "there, or with wanimate download on a machine that has the folder"
        )
    try:
        import obstore
        from obstore.store import from_url
    except ImportError:
        raise StoreUnavailable(
            "the library obstore, which signs URLs of the store, is missing: install wanimate[store]"
        ) from None
    try:
        # The name is no part of the URL here: it may hold what a URL escapes.
        store: Any = from_url(f"{scheme}://{bucket}")
        return str(obstore.sign(store, "GET", name, timedelta(seconds=seconds)))
    except Exception as error:  # noqa: BLE001 - obstore has errors of its own for every store
        reason = one_line(str(error).strip().partition("\n")[0])[:_MAX_REASON_CHARACTERS]
    raise StoreUnavailable(
        f"a URL of {scheme}://{bucket} could not be signed ({reason}): set {_CREDENTIALS[scheme]}, of an account that "
        "may read it"
    )
