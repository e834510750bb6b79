"""URLs from which videos can be downloaded."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from s3_server import BUCKET, S3Server
from wanimate import (
    AsyncClient,
    Client,
    InvalidArgument,
    JobNotFound,
    Result,
    ResultExpired,
    Settings,
    StoreUnavailable,
    WaitTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Database

VIDEO = b"\x00\x00\x00\x18ftypmp42" + b"v" * 5000
NAME = "2026-11-27/job=3A1 x.mp4"


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        obstore.put(server._store, NAME, VIDEO)
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in s3_server.variables.items():
        monkeypatch.setenv(name, value)
    return s3_server


def succeed(database: Database, job_id: str, *urls: str, **fields: Any) -> None:
    database.store(job_id, "SUCCESS", Result(urls=urls, task_id="t", **fields).to_json())


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        content: bytes = answer.read()
    return content


def test_a_kept_video_has_a_signed_url_that_anyone_can_read(client: Client, database: Database, s3: S3Server) -> None:
    succeed(database, "job-1", "https://example.com/v.mp4", f"s3://{BUCKET}/{NAME}", kept=True)

    url = client.job("job-1").download_url(600, index=1)

    assert "X-Amz-Expires=600" in url
    assert "test-secret" not in url
    assert fetch(url) == VIDEO


def test_the_async_handle_signs_too(settings: Settings, database: Database, s3: S3Server) -> None:
    succeed(database, "job-1", f"s3://{BUCKET}/{NAME}", kept=True)

    async def main() -> str:
        async with AsyncClient(settings) as client:
            return await client.job("job-1").download_url()

    assert fetch(asyncio.run(main())) == VIDEO


def test_a_video_that_is_not_kept_has_the_vendors_url(client: Client, database: Database) -> None:
    succeed(database, "job-1", "https://example.com/v.mp4?signature=x", kept=False)

    assert client.job("job-1").download_url() == "https://example.com/v.mp4?signature=x"


def test_an_expired_video_that_is_not_kept_is_an_expired_result(client: Client, database: Database) -> None:
    succeed(database, "job-1", "https://example.com/v.mp4", urls_expire_at=datetime.now(UTC) - timedelta(seconds=1))

    with pytest.raises(ResultExpired):
        client.job("job-1").download_url()


def test_a_job_that_has_not_ended_is_to_be_waited_for_first(client: Client, database: Database) -> None:
    database.enqueue("job-1")

    with pytest.raises(WaitTimeout, match="wait"):
        client.job("job-1").download_url()
    with pytest.raises(JobNotFound):
        client.job("job-2").download_url()


@pytest.mark.parametrize(
    ("kept_at", "advice"),
    [
        ("file:///videos/a.mp4", "read the file there"),
        ("az://container/a.mp4", "AZURE_STORAGE_ACCOUNT_NAME"),
        ("ftp://host/a.mp4", "ftp://host/a.mp4"),
    ],
)
def test_a_store_that_cannot_sign_is_said_with_advice(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch, kept_at: str, advice: str
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    succeed(database, "job-1", kept_at, kept=True)

    with pytest.raises(StoreUnavailable, match=advice):
        client.job("job-1").download_url()


@pytest.mark.parametrize("expires", [0, -1, 604_801, "3600", float("inf"), float("nan")])
def test_a_life_that_no_store_signs_for_is_refused(client: Client, database: Database, expires: Any) -> None:
    succeed(database, "job-1", "https://example.com/v.mp4")

    with pytest.raises(InvalidArgument, match="expires"):
        client.job("job-1").download_url(expires)


@pytest.mark.parametrize("index", [-1, 1, True, "0"])
def test_a_video_that_the_result_does_not_have_is_refused(client: Client, database: Database, index: Any) -> None:
    succeed(database, "job-1", "https://example.com/v.mp4")

    with pytest.raises(InvalidArgument, match="index"):
        client.job("job-1").download_url(index=index)


def test_without_its_library_the_error_says_what_to_install() -> None:
    code = """
import sys
sys.modules["obstore"] = None
from wanimate import Result, StoreUnavailable
from wanimate.signing import download_url
try:
    download_url(Result(urls=("s3://b/v.mp4",), task_id="t", kept=True), 0, 60)
except StoreUnavailable as error:
    print(error)
"""
    assert "wanimate[store]" in subprocess.check_output([sys.executable, "-c", code], text=True)
