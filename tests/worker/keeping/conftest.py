"""Servers of videos and of S3."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from s3_server import S3Server
from video_server import VideoServer

if TYPE_CHECKING:
    from collections.abc import Iterator


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
