"""An S3 server of its own process, which speaks HTTP and multipart uploads."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import httpx
import obstore
from obstore.store import S3Store

if TYPE_CHECKING:
    from typing import Self

BUCKET = "videos"
_PATIENCE_SECONDS = 60.0


class S3Server:
    """Serves one bucket; what is in it is gone when it stops."""

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        url = f"http://127.0.0.1:{self._port}"
        self._store = S3Store(
            BUCKET,
            endpoint=url,
            access_key_id="test",
            secret_access_key="test-secret",
            region="us-east-1",
            client_options={"allow_http": True},
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=30)

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs in its environment to write to it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start it, at the same address each time, with an empty bucket."""
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)],
            stdout=self._log,
            stderr=self._log,
        )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._http.put(f"/{BUCKET}").raise_for_status()
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "the S3 server has not started"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def empty(self) -> None:
        """Forget all objects."""
        self._http.post("/moto-api/reset").raise_for_status()
        self._http.put(f"/{BUCKET}").raise_for_status()

    def demand_rights(self, after_requests: str) -> None:
        """Check signatures after so many requests; `inf`: never."""
        self._http.post("/moto-api/reset-auth", content=after_requests).raise_for_status()

    def names(self) -> list[str]:
        """Return what is in the bucket."""
        return [str(found.text) for found in self._listed("", "Key")]

    def uploads(self) -> list[str]:
        """Return multipart uploads that were begun and neither completed nor aborted."""
        return [str(found.text) for found in self._listed("?uploads", "UploadId")]

    def get(self, name: str) -> bytes:
        """Return what an object holds."""
        return bytes(obstore.get(self._store, name).bytes())

    def type_of(self, name: str) -> str:
        """Return the content type of an object."""
        return str(obstore.get(self._store, name).attributes["Content-Type"])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._http.close()
        self._log.close()

    def _listed(self, query: str, tag: str) -> list[Any]:
        text = self._http.get(f"/{BUCKET}{query}").raise_for_status().text
        return ET.fromstring(text).findall(f".//{{*}}{tag}")
