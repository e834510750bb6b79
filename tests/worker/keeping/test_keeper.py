"""Copies: from a real server of videos into real stores, under a real ledger."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from rendered_jobs import RenderedJobs, eventually
from video_server import VideoServer, mp4

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3_server import S3Server
    from wanimate_worker.keeping.keeper import Keeper

    from .conftest import StoredVideos

    MakeJobs = Callable[..., RenderedJobs]
    Start = Callable[..., Keeper]

DAY = "????-??-??"
LARGE = 12_000_000


def today(jobs: RenderedJobs) -> str:
    return datetime.fromtimestamp(jobs.now_ms() / 1000, UTC).date().isoformat()


@pytest.mark.parametrize("size", [20_000, LARGE])
def test_a_video_is_copied_exactly_and_its_job_offered(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, start: Start, size: int
) -> None:
    jobs, body = make_jobs(stored.url), mp4(size)
    url = videos.serve("/a.mp4", body)
    jobs.render("a", url)
    start(jobs)
    result = jobs.settled("a")
    name = f"{today(jobs)}/a.mp4"
    assert (result.kept, result.urls, result.source_urls) == (True, (f"{stored.url}/{name}",), (url,))
    assert result.urls_expire_at is None
    (file,) = result.files
    assert (file.url, file.source_url, file.content_type) == (result.urls[0], url, "video/mp4")
    assert (file.size_bytes, file.sha256) == (size, hashlib.sha256(body).hexdigest())
    assert stored.get(name) == body
    assert eventually(jobs.offered, "the job is offered") == ["a"]
    assert jobs.ledger.keeps.waiting() == 0


def test_all_videos_of_a_job_are_copied_under_names_of_their_own(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, start: Start
) -> None:
    jobs = make_jobs(stored.url, keep_name="{type}/{job_id}/{task_id}.mp4")
    bodies = [mp4(20_000, seed=seed) for seed in range(3)]
    jobs.render("a", *(videos.serve(f"/{at}.mp4", body) for at, body in enumerate(bodies)))
    start(jobs)
    jobs.settled("a")
    names = ["animate/a/task-a.mp4", "animate/a/task-a.2.mp4", "animate/a/task-a.3.mp4"]
    assert [stored.get(name) for name in names] == bodies


@pytest.mark.parametrize(
    ("served", "why"),
    [
        ({"cuts": [50_000] * 4, "can_resume": False}, "cut"),
        ({"cuts": [5_000_000], "can_resume": False, "has_length": False}, "middle of the video"),
        ({"status": 500}, "HTTP 500"),
        ({"body": b"<html>sign in</html>"}, "no video"),
        ({"body": b""}, "no video"),
    ],
    ids=["cut", "cut without length", "error", "page", "empty"],
)
def test_a_body_that_is_not_the_whole_video_is_not_kept_and_fetched_again(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, start: Start, served: dict[str, Any], why: str
) -> None:
    jobs = make_jobs(stored.url)
    url = videos.serve("/a.mp4", **{"body": mp4(LARGE), **deepcopy(served)})
    jobs.render("a", url)
    start(jobs)
    told = jobs.why("a")
    assert why in told
    assert "top-secret" not in told
    assert (jobs.stage("a"), stored.names()) == ("keeping", [])
    body = mp4(20_000)
    videos.serve("/a.mp4", body)
    jobs.end_waits()
    assert jobs.settled("a").kept
    assert stored.get(f"{today(jobs)}/a.mp4") == body


def test_copies_are_made_when_the_store_comes_back(
    s3: S3Server, videos: VideoServer, make_jobs: MakeJobs, start: Start
) -> None:
    jobs = make_jobs("s3://videos/kept")
    s3.stop()
    try:
        jobs.render("a", videos.serve("/a.mp4", mp4()))
        start(jobs)
        assert "the store did not take the video" in jobs.why("a")
        assert jobs.stage("a") == "keeping"
    finally:
        s3.start()
    jobs.end_waits()
    assert jobs.settled("a").kept


def test_a_slow_video_keeps_its_lease_and_holds_up_no_other(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make_jobs(stored.url)
    limits = jobs.settings.ledger_limits()
    monkeypatch.setattr(type(jobs.settings), "ledger_limits", lambda _: replace(limits, keep_lease_ms=6_000))

    def lease_ends_at_ms() -> float:
        leases = jobs.redis.zrange(jobs.keys.keeping_later, 0, -1, withscores=True)
        return next(score for member, score in leases if str(member).endswith(" slow"))

    jobs.render("slow", videos.serve("/slow.mp4", mp4(200_000), holds=100_000))
    keepers = [start(jobs), start(jobs)]
    eventually(lambda: videos.served["/slow.mp4"].requests, "the slow one is under way")
    first = lease_ends_at_ms()
    for number in range(5):
        jobs.render(f"quick-{number}", videos.serve(f"/{number}.mp4", mp4()))
    for keeper in keepers:
        keeper.wake()
    for number in range(5):
        jobs.settled(f"quick-{number}")
    eventually(lambda: lease_ends_at_ms() > first, "its lease is prolonged")
    assert jobs.result("slow") is None
    videos.served["/slow.mp4"].goes_on.set()
    jobs.settled("slow")
    assert len(videos.served["/slow.mp4"].requests) == 1, "its lease was prolonged"


def test_what_expires_first_is_copied_first(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, start: Start
) -> None:
    jobs, order = make_jobs(stored.url), ["b", "d", "a", "c"]
    for at in (2, 0, 3, 1):
        url = videos.serve(f"/{order[at]}.mp4", mp4())
        jobs.render(order[at], url, expires_in_ms=1_000_000 + at * 1_000)
    start(jobs, threads=1)
    for job_id in order:
        jobs.settled(job_id)
    assert [jobs.redis.hget(jobs.keys.job(job_id), "settled_at_ms") for job_id in order] == sorted(
        str(jobs.redis.hget(jobs.keys.job(job_id), "settled_at_ms")) for job_id in order
    )


def test_a_video_that_is_too_large_is_not_tried_again(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, start: Start
) -> None:
    jobs = make_jobs(stored.url, keep_max_bytes=20_000)
    url = videos.serve("/a.mp4", mp4(20_001))
    jobs.render("a", url)
    start(jobs)
    result = jobs.settled("a")
    assert (result.kept, result.urls, stored.names()) == (False, (url,), [])


def test_a_video_whose_url_has_died_is_given_up_after_a_last_try(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, start: Start
) -> None:
    jobs = make_jobs(stored.url)
    url, alive = videos.url("/gone.mp4"), videos.serve("/alive.mp4", mp4())
    jobs.render("gone", url, expires_in_ms=-1)
    jobs.render("alive", alive, expires_in_ms=-1)
    start(jobs)
    result = jobs.settled("gone")
    assert (result.kept, result.urls, result.source_urls, result.files) == (False, (url,), (), ())
    assert jobs.settled("alive").kept, "it was tried all the same"
    eventually(lambda: jobs.offered() == ["alive", "gone"], "both are offered")


def test_two_keepers_with_the_same_job_settle_it_once(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, start: Start
) -> None:
    jobs, body = make_jobs(stored.url), mp4(LARGE)
    jobs.render("a", videos.serve("/a.mp4", body, holds=6_000_000))
    keepers = [start(jobs)]
    eventually(lambda: len(videos.served["/a.mp4"].requests) == 1, "the first is under way")
    jobs.end_waits()
    keepers.append(start(jobs))
    eventually(lambda: len(videos.served["/a.mp4"].requests) == 2, "the second is under way")
    videos.served["/a.mp4"].goes_on.set()
    result = jobs.settled("a")
    assert result.files[0].sha256 == hashlib.sha256(stored.get(f"{today(jobs)}/a.mp4")).hexdigest()
    for keeper in keepers:
        keeper.stop()
    assert jobs.offered() == ["a"], "offered once"


def test_names_leave_the_store_by_no_trick(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, start: Start
) -> None:
    jobs = make_jobs(stored.url)
    strange = ["../../etc/passwd", "a/b", "..", "a b?c#d%2F", "ü" * 300, "x.2", "x"]
    for number, job_id in enumerate(strange):
        jobs.render(job_id, videos.serve(f"/{number}.mp4", mp4(20_000, seed=number)))
    start(jobs, threads=4)
    for number, job_id in enumerate(strange):
        name = jobs.settled(job_id).urls[0].removeprefix(f"{stored.url}/")
        assert name.count("/") == 1
        assert stored.get(name) == mp4(20_000, seed=number)
    assert len(stored.names()) == len(strange)


def keep(jobs: RenderedJobs, log: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start `wanimate-worker keep` as it is started in production: without an API key."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANIMATE_")}
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "wanimate_worker.cli", "keep", *options],
            env={
                **clean,
                "WANIMATE_REDIS_URL": jobs.settings.redis_url.get_secret_value(),
                "WANIMATE_LOG_FORMAT": "json",
            },
            stderr=file,
        )


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_killed_keeper_loses_no_video(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, start: Start, tmp_path: Path
) -> None:
    jobs, body, log = make_jobs(stored.url), mp4(LARGE), tmp_path / "log"
    jobs.render("a", videos.serve("/a.mp4", body, holds=11_000_000))
    process = keep(jobs, log)
    try:
        eventually(lambda: videos.served["/a.mp4"].requests, "the copy is under way")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (jobs.stage("a"), jobs.ledger.keeps.waiting()) == ("keeping", 1)
    assert not [name for name in stored.names() if name.endswith(".mp4")]
    videos.served["/a.mp4"].goes_on.set()
    jobs.end_waits()
    start(jobs)
    jobs.settled("a")
    assert stored.get(f"{today(jobs)}/a.mp4") == body


def test_a_keeper_that_is_told_to_stop_ends_its_copies(
    stored: StoredVideos, videos: VideoServer, make_jobs: MakeJobs, tmp_path: Path
) -> None:
    jobs, log = make_jobs(stored.url), tmp_path / "log"
    jobs.render("a", videos.serve("/a.mp4", mp4(LARGE), holds=6_000_000))
    process = keep(jobs, log, "--threads", "2")
    try:
        eventually(lambda: videos.served["/a.mp4"].requests, "the copy is under way")
        process.terminate()
        eventually(lambda: "have ended" in log.read_text(), "it stops")
        videos.served["/a.mp4"].goes_on.set()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    result = jobs.result("a")
    assert result
    assert result.kept
    written = lines(log)
    assert [line["event"] for line in written][:1] == ["keeper has started"]
    assert (written[0]["store"], written[0]["threads"]) == (stored.url, 2)
    (copied,) = [line for line in written if line["event"] == "video copied"]
    assert (copied["job_id"], copied["bytes"]) == ("a", LARGE)
    assert "top-secret" not in log.read_text()


def test_a_keeper_whose_store_refuses_it_does_not_start(s3: S3Server, make_jobs: MakeJobs, tmp_path: Path) -> None:
    jobs, log = make_jobs("s3://no-such-bucket/kept"), tmp_path / "log"
    process = keep(jobs, log)
    assert process.wait(60) == 2
    assert "WANIMATE_KEEP_URL: videos cannot be copied to s3://no-such-bucket/kept" in log.read_text()
