"""Only a whole video passes the check, however its bytes are split."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_server import box, mp4
from wanimate_worker.keeping.failures import NotAVideo, TooLarge, Truncated
from wanimate_worker.keeping.video import VideoCheck

VIDEO = mp4(3_000)
WEBM = b"\x1aE\xdf\xa3" + bytes(300)


def checked(body: bytes, *, length: int | None = None, step: int = 1_000, max_bytes: int = 1_000_000) -> VideoCheck:
    check = VideoCheck(max_bytes)
    check.declare(length)
    for at in range(0, len(body), step):
        check.feed(body[at : at + step])
    check.finish()
    return check


@given(st.integers(1, 3_000))
def test_a_whole_video_passes_in_any_pieces(step: int) -> None:
    check = checked(VIDEO, step=step)
    assert check.size_bytes == 3_000
    assert check.sha256 == hashlib.sha256(VIDEO).hexdigest()
    assert check.content_type == "video/mp4"


@given(st.integers(0, 2_999))
def test_a_video_cut_anywhere_is_found_without_its_length(end: int) -> None:
    with pytest.raises((Truncated, NotAVideo)):
        checked(VIDEO[:end])


@given(st.integers(0, 2_999))
def test_a_video_cut_anywhere_is_found_by_its_length(end: int) -> None:
    with pytest.raises((Truncated, NotAVideo)):
        checked(VIDEO[:end], length=3_000)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"code": 404, "message": "not found"}',
        b"<!doctype html><html><body>502 Bad Gateway</body></html>",
        b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code></Error>",
        bytes(5_000),
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        VIDEO[:32] + b"\0\0\0\3junk" + VIDEO[32:],
    ],
    ids=["nothing", "little", "json", "html", "xml", "zeros", "png", "an impossible box"],
)
def test_anything_else_is_no_video(body: bytes) -> None:
    with pytest.raises(NotAVideo):
        checked(body, length=len(body))


@pytest.mark.parametrize(("brand", "kind"), [(b"qt  ", "video/quicktime"), (b"M4V ", "video/x-m4v")])
def test_mov_and_m4v_are_told_apart(brand: bytes, kind: str) -> None:
    assert checked(mp4(2_000, brand)).content_type == kind


def test_webm_needs_a_length_for_its_end_cannot_be_seen() -> None:
    assert checked(WEBM, length=len(WEBM)).content_type == "video/webm"
    with pytest.raises(Truncated):
        checked(WEBM)


def test_a_box_may_have_a_long_size_or_reach_the_end() -> None:
    ftyp, moov = box(b"ftyp", b"isom" + bytes(12)), box(b"moov", bytes(50))
    long = b"\0\0\0\1mdat" + (16 + 500).to_bytes(8, "big") + bytes(500)
    assert checked(ftyp + long + moov, step=7).size_bytes == len(ftyp + long + moov)
    with pytest.raises(Truncated):
        checked((ftyp + moov + long)[:-1])
    to_the_end = ftyp + moov + b"\0\0\0\0mdat" + bytes(500)
    assert checked(to_the_end, length=len(to_the_end)).size_bytes == len(to_the_end)
    with pytest.raises(Truncated):
        checked(to_the_end)


def test_a_video_without_its_index_or_its_pictures_is_not_whole() -> None:
    ftyp = box(b"ftyp", b"isom" + bytes(12))
    for rest in (box(b"moov", bytes(50)), box(b"mdat", bytes(50))):
        with pytest.raises(Truncated, match="no m"):
            checked(ftyp + rest)


def test_a_video_above_the_bound_is_refused_early() -> None:
    with pytest.raises(TooLarge, match="WANIMATE_KEEP_MAX_BYTES"):
        checked(VIDEO, length=3_000, max_bytes=2_999)
    with pytest.raises(TooLarge):
        checked(VIDEO, max_bytes=2_999)
