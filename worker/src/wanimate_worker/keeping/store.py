"""The account's store: a bucket of S3, Google or Azure, or a folder.

`obstore` reads the credentials from the usual variables of each store:

- S3: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`; without them the role of the
  machine, the container or the pod. For a store that is not Amazon's `AWS_ENDPOINT_URL`, and `AWS_ALLOW_HTTP=true` if
  that is no https:// address. Profiles of `~/.aws` are not read.
- Google: `GOOGLE_APPLICATION_CREDENTIALS`, or the role of the machine.
- Azure: `AZURE_STORAGE_ACCOUNT_NAME`, and `AZURE_STORAGE_ACCOUNT_KEY` or the role of the machine.
"""

from __future__ import annotations

import os
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, from_url
from wanimate.errors import SettingsError

from .failures import CopyFailed, StoreFailed, brief

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What fits into one request: a larger video is uploaded in parts of this size, the smallest that S3 takes, in bytes.
PART_BYTES: Final = 5 * 1024**2
_PARTS_AT_ONCE: Final = 2
#: One request, and all its repetitions, in seconds: the keeper tries again itself, later.
_REQUEST_SECONDS, _RETRY_SECONDS, _RETRIES = 60, 60, 2
#: What is written at the start, to learn whether videos can be.
_PROBE: Final = "wanimate-store-check"
_ADVICE: Final = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (and AWS_ENDPOINT_URL if it is not Amazon's)",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "file": "the rights of the folder",
}


class Store:
    """Where videos are copied to.

    Args:
        url: `WANIMATE_KEEP_URL`.

    Raises:
        SettingsError: The URL or the environment is wrong.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._scheme = url.partition(":")[0]
        options: dict[str, Any] = (
            {"mkdir": True}
            if self._scheme == "file"
            else {
                "client_options": {
                    "timeout": f"{_REQUEST_SECONDS}s",
                    "connect_timeout": "5s",
                    # obstore reads these variables only where no other option is given.
                    "allow_http": any(_is_on(f"{name}_ALLOW_HTTP") for name in ("AWS", "GOOGLE", "AZURE")),
                },
                "retry_config": {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
            }
        )
        try:
            self._store = from_url(self.url, **options)
        except Exception as error:
            raise self._is_wrong(error) from error

    def check(self) -> None:
        """Learn whether videos can be written: a small object is, or the rights of the folder are read.

        Raises:
            SettingsError: The store refuses the credentials, or has no such bucket.
            StoreFailed: It cannot be reached just now.
        """
        if isinstance(self._store, LocalStore):
            folder = Path(str(self._store.prefix))
            if not os.access(folder, os.W_OK | os.X_OK):
                raise SettingsError(f"WANIMATE_KEEP_URL: the folder {folder} cannot be written: check its rights")
            return
        try:
            obstore.put(self._store, _PROBE, b"Wanimate copies videos to here.\n", use_multipart=False)
        except (PermissionDeniedError, UnauthenticatedError, FileNotFoundError) as error:
            raise self._is_wrong(error) from error
        except Exception as error:
            # Without any credentials obstore asks the cloud's metadata service for the role of this machine.
            if "169.254.16" in str(error) or "metadata" in str(error):
                raise self._is_wrong(error) from error
            raise StoreFailed(f"the store could not be reached ({brief(str(error))})") from error

    def url_of(self, name: str) -> str:
        """Return the URL of an object."""
        return f"{self.url}/{name}"

    def write(self, name: str, chunks: Iterator[bytes], content_type: Callable[[], str]) -> None:
        """Write an object from pieces; if reading them raises, there is no object, or the former one stays.

        Args:
            name: Its name below the store's URL.
            chunks: The pieces.
            content_type: Tells what it is; asked once the first bytes were read.

        Raises:
            CopyFailed: As reading the pieces does.
            StoreFailed: The store did not take it.
        """
        head, size, is_whole = [], 0, True
        for chunk in chunks:
            head.append(chunk)
            size += len(chunk)
            if size >= PART_BYTES:
                is_whole = False
                break
        options: dict[str, Any] = {}
        if not isinstance(self._store, LocalStore):
            options["attributes"] = {"Content-Type": content_type()}
        try:
            if is_whole:
                obstore.put(self._store, name, b"".join(head), use_multipart=False, **options)
            else:
                pieces = chain(head, chunks)
                del head
                obstore.put(self._store, name, pieces, chunk_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE, **options)
            if isinstance(self._store, LocalStore):
                _flush(Path(str(self._store.prefix)) / name)
        except CopyFailed:
            raise
        except Exception as error:
            raise StoreFailed(f"the store did not take the video ({brief(str(error))})") from error

    def delete(self, name: str) -> None:
        """Delete an object; one that is gone is no error.

        Raises:
            StoreFailed: The store did not delete it.
        """
        try:
            obstore.delete(self._store, name)
        except FileNotFoundError:
            return
        except Exception as error:
            raise StoreFailed(f"the store did not delete {name} ({brief(str(error))})") from error

    def _is_wrong(self, error: Exception) -> SettingsError:
        advice = _ADVICE.get(self._scheme, "the URL")
        return SettingsError(
            f"WANIMATE_KEEP_URL: videos cannot be copied to {self.url} ({brief(str(error))}): check its name, "
            f"and {advice}"
        )


def _flush(path: Path) -> None:
    """Wait until a file and its name are on the disk: its job is over, and the vendor's copy will be gone."""
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in {"1", "true", "yes"}
