"""Servers of videos and of S3."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from rendered_jobs import RenderedJobs
from s3_server import BUCKET, S3Server
from video_server import VideoServer
from wanimate_devstack import RedisServer
from wanimate_worker.keeping.keeper import Keeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from wanimate_worker.engine.runtime import Runtime


@pytest.fixture
def videos() -> Iterator[VideoServer]:
    with VideoServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An empty bucket, which this process may write to."""
    s3_server.empty()
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in s3_server.variables.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer(is_durable=False) as server:
        yield server


class StoredVideos(NamedTuple):
    """A store, and what is in it by name."""

    url: str
    names: Callable[[], list[str]]
    get: Callable[[str], bytes]


@pytest.fixture(params=["s3", "file"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> StoredVideos:
    """A store of each kind that can run here."""
    if request.param == "s3":
        s3: S3Server = request.getfixturevalue("s3")
        return StoredVideos(
            f"s3://{BUCKET}/kept",
            lambda: sorted(name.removeprefix("kept/") for name in s3.names()),
            lambda name: s3.get(f"kept/{name}"),
        )
    folder = tmp_path / "kept"
    return StoredVideos(
        f"file://{folder}",
        lambda: sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()),
        lambda name: (folder / name).read_bytes(),
    )


@pytest.fixture
def make_jobs(redis_server: RedisServer) -> Iterator[Callable[..., RenderedJobs]]:
    """Make an account whose videos are kept."""
    made: list[RenderedJobs] = []

    def make(keep_url: str | None, **settings: Any) -> RenderedJobs:
        made.append(RenderedJobs(redis_server.url, keep_url, **settings))
        return made[-1]

    yield make
    for jobs in made:
        jobs.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Keeper]]:
    """Start a keeper."""
    keepers: list[tuple[Keeper, Runtime]] = []

    def start(jobs: RenderedJobs, threads: int = 2) -> Keeper:
        runtime = jobs.new_runtime()
        keepers.append((Keeper(runtime, threads), runtime))
        keepers[-1][0].start()
        return keepers[-1][0]

    yield start
    for keeper, runtime in keepers:
        keeper.stop()
        runtime.redis.close()
