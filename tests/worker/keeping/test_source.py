"""Downloads: over real connections, with what goes wrong there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from video_server import VideoServer, mp4
from wanimate_worker.keeping.failures import CopyFailed, NotAVideo, SourceFailed, Stopping, TooLarge, Truncated
from wanimate_worker.keeping.source import Source
from wanimate_worker.keeping.video import VideoCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

VIDEO = mp4(300_000)


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source(2, threading.Event(), trust_env=False)
    yield source
    source.close()


def read(source: Source, url: str, max_bytes: int = 1_000_000) -> bytes:
    return b"".join(source.read(url, VideoCheck(max_bytes)))


def test_a_video_is_read_as_it_is_served(videos: VideoServer, source: Source) -> None:
    assert read(source, videos.serve("/a.mp4", VIDEO)) == VIDEO
    assert read(source, videos.serve("/b.mp4", VIDEO, has_length=False)) == VIDEO
    videos.serve("/c.mp4", b"", location=videos.url("/a.mp4"))
    assert read(source, videos.url("/c.mp4")) == VIDEO


def test_a_cut_transfer_is_continued_where_it_ended(videos: VideoServer, source: Source) -> None:
    url = videos.serve("/a.mp4", VIDEO, cuts=[100_000, 0, 50_000])
    assert read(source, url) == VIDEO
    ranges = [request.get("range") for request in videos.served["/a.mp4"].requests]
    assert ranges == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-"]
    assert videos.served["/a.mp4"].requests[1]["if-range"] == '"v1"'


def test_a_transfer_that_is_always_cut_is_given_up(videos: VideoServer, source: Source) -> None:
    with pytest.raises(SourceFailed, match="after 40000 bytes"):
        read(source, videos.serve("/a.mp4", VIDEO, cuts=[10_000] * 9))
    assert len(videos.served["/a.mp4"].requests) == 4


@pytest.mark.parametrize("how", [{"etag": ""}, {"can_resume": False}, {"etag": 'W/"weak"'}])
def test_a_transfer_that_cannot_be_continued_fails(videos: VideoServer, source: Source, how: dict[str, object]) -> None:
    with pytest.raises(SourceFailed):
        read(source, videos.serve("/a.mp4", VIDEO, cuts=[10_000, 10_000], **how))


def test_a_video_that_changed_meanwhile_is_not_mixed(videos: VideoServer, source: Source) -> None:
    url = videos.serve("/a.mp4", VIDEO, cuts=[70_000], holds=70_000)
    chunks = source.read(url, VideoCheck(1_000_000))
    next(chunks)
    old = videos.served["/a.mp4"]
    videos.serve("/a.mp4", mp4(300_000, seed=2), etag='"v2"')
    old.goes_on.set()
    with pytest.raises(CopyFailed):
        for _ in chunks:
            pass


def test_a_short_body_is_found_without_its_length(videos: VideoServer, source: Source) -> None:
    with pytest.raises(Truncated):
        read(source, videos.serve("/a.mp4", VIDEO, has_length=False, cuts=[200_000]))


def test_pages_and_error_answers_are_no_videos(videos: VideoServer, source: Source) -> None:
    with pytest.raises(NotAVideo):
        read(source, videos.serve("/a.mp4", b"<html>signed out</html>", type="text/html"))
    with pytest.raises(NotAVideo):
        read(source, videos.serve("/b.mp4", b""))
    for status in (403, 404, 410, 500):
        with pytest.raises(SourceFailed, match=f"HTTP {status}"):
            read(source, videos.serve("/c.mp4", VIDEO, status=status))


def test_a_large_body_is_not_read_to_its_end(videos: VideoServer, source: Source) -> None:
    with pytest.raises(TooLarge):
        read(source, videos.serve("/a.mp4", VIDEO), max_bytes=200_000)
    with pytest.raises(TooLarge):
        read(source, videos.serve("/b.mp4", VIDEO, has_length=False), max_bytes=200_000)


def test_redirects_have_an_end(videos: VideoServer, source: Source) -> None:
    videos.serve("/a.mp4", b"", location=videos.url("/a.mp4"))
    with pytest.raises(SourceFailed, match="TooManyRedirects"):
        read(source, videos.url("/a.mp4"))


def test_a_server_that_drips_is_left() -> None:
    source = Source(1, threading.Event(), trust_env=False, max_seconds=0.3)
    with VideoServer() as videos, pytest.raises(SourceFailed, match="longer than"):
        read(source, videos.serve("/a.mp4", VIDEO, pause_seconds=0.1))
    source.close()


def test_a_process_that_stops_ends_its_downloads() -> None:
    cut = threading.Event()
    source = Source(1, cut, trust_env=False)
    with VideoServer() as videos:
        chunks = source.read(videos.serve("/a.mp4", VIDEO, pause_seconds=0.02), VideoCheck(1_000_000))
        next(chunks)
        cut.set()
        with pytest.raises(Stopping):
            list(chunks)
        chunks.close()
    source.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a.mp4?sig=top-secret",
        "ftp://a.example/?sig=top-secret",
        "http://[/?sig=top-secret",
        "no url",
    ],
)
def test_what_cannot_be_reached_is_told_without_the_query(source: Source, url: str) -> None:
    with pytest.raises(SourceFailed) as raised:
        read(source, url)
    assert "top-secret" not in str(raised.value)
