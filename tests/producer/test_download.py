"""`wanimate download`."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from clicked import click_runner
from wanimate import KeptFile, Result
from wanimate.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Database

VIDEO = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 8000
SHA256 = hashlib.sha256(VIDEO).hexdigest()


class VideoServer(ThreadingHTTPServer):
    """Serves a video with ranges, and misbehaves as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = VIDEO
        self.etag = '"1"'
        #: After how many bytes each of the next connections ends.
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        #: The Range of each request.
        self.ranges: list[str | None] = []
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v.mp4?signature=secret"

    def count(self, change: int) -> None:
        with self._lock:
            self._at_once += change
            self.most_at_once = max(self.most_at_once, self._at_once)


class _Handler(BaseHTTPRequestHandler):
    server: VideoServer

    def do_GET(self) -> None:
        self.server.count(1)
        try:
            self._answer()
        finally:
            self.server.count(-1)

    def _answer(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.ranges.append(wanted)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        start = 0
        if wanted is not None and self.headers.get("If-Range", server.etag) == server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        content = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            end, size = len(server.content) - 1, len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", server.etag)
        self.end_headers()
        self.wfile.write(content[: server.cuts.pop(0) if server.cuts else len(content)])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def videos() -> Iterator[VideoServer]:
    server = VideoServer()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("wanimate.downloads._FIRST_PAUSE_SECONDS", 0.01)

    def run(*ids: str) -> tuple[int, list[dict[str, Any]]]:
        arguments = ["download", *ids, "--to", str(tmp_path / "out"), "--json"]
        result = click_runner().invoke(main, arguments, env={"WANIMATE_REDIS_URL": url})
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        assert "secret" not in result.output
        return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]

    return run


def succeed(database: Database, job_id: str, *urls: str, sha256: str | None = None) -> None:
    files = ()
    if sha256 is not None:
        files = tuple(
            KeptFile(url=url, source_url="x", size_bytes=len(VIDEO), sha256=sha256, content_type="video/mp4")
            for url in urls
        )
    result = Result(urls=urls, task_id="t", files=files, kept=True if files else None)
    database.store(job_id, "SUCCESS", result.to_json())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_videos_of_a_job_become_files(run: Any, database: Database, videos: VideoServer, tmp_path: Path) -> None:
    succeed(database, "job-1", videos.url, videos.url)

    code, lines = run("job-1")

    assert code == 0
    assert {line["state"] for line in lines} == {"downloaded"}
    assert names(tmp_path / "out") == ["job-1.2.mp4", "job-1.mp4"]
    assert (tmp_path / "out" / "job-1.mp4").read_bytes() == VIDEO


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_a_download_that_breaks_off_goes_on_where_it_ended(
    run: Any, database: Database, videos: VideoServer, tmp_path: Path, sha256: str | None
) -> None:
    succeed(database, "job-1", videos.url, sha256=sha256)
    videos.cuts = [100_000, 200_000]

    code, _ = run("job-1")

    assert code == 0
    assert videos.ranges == [None, "bytes=100000-", "bytes=300000-"]
    assert (tmp_path / "out" / "job-1.mp4").read_bytes() == VIDEO
    assert names(tmp_path / "out") == ["job-1.mp4"]


def test_a_command_that_is_run_again_goes_on_too(
    run: Any, database: Database, videos: VideoServer, tmp_path: Path
) -> None:
    succeed(database, "job-1", videos.url)
    videos.cuts, videos.statuses = [100_000], []
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "job-1.mp4.part").write_bytes(VIDEO[:5000])
    (tmp_path / "out" / "job-1.mp4.part.etag").write_text(videos.etag)

    assert run("job-1")[0] == 0
    assert videos.ranges == ["bytes=5000-", "bytes=105000-"]
    assert (tmp_path / "out" / "job-1.mp4").read_bytes() == VIDEO


def test_a_video_that_has_changed_meanwhile_is_not_mixed(
    run: Any, database: Database, videos: VideoServer, tmp_path: Path
) -> None:
    succeed(database, "job-1", videos.url)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "job-1.mp4.part").write_bytes(b"old" * 1000)
    (tmp_path / "out" / "job-1.mp4.part.etag").write_text('"0"')

    assert run("job-1")[0] == 0
    assert (tmp_path / "out" / "job-1.mp4").read_bytes() == VIDEO


def test_a_kept_video_with_another_digest_never_gets_its_name(
    run: Any, database: Database, videos: VideoServer, tmp_path: Path
) -> None:
    succeed(database, "job-1", videos.url, sha256="0" * 64)

    code, (line,) = run("job-1")

    assert (code, line["state"]) == (9, "not_downloaded")
    assert "SHA-256" in line["message"]
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_a_video_that_is_there_is_left_out(
    run: Any, database: Database, videos: VideoServer, tmp_path: Path, sha256: str | None
) -> None:
    succeed(database, "job-1", videos.url, sha256=sha256)
    run("job-1")
    first = (tmp_path / "out" / "job-1.mp4").stat()

    code, (line,) = run("job-1")

    assert (code, line["is_new"]) == (0, False)
    assert (tmp_path / "out" / "job-1.mp4").stat().st_ino == first.st_ino
    # The checksum of a kept one is known without asking the server.
    assert len(videos.ranges) == (2 if sha256 is None else 1)


def test_a_damaged_file_is_downloaded_again(run: Any, database: Database, videos: VideoServer, tmp_path: Path) -> None:
    succeed(database, "job-1", videos.url, sha256=SHA256)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "job-1.mp4").write_bytes(b"x" * len(VIDEO))

    assert run("job-1")[0] == 0
    assert (tmp_path / "out" / "job-1.mp4").read_bytes() == VIDEO


def test_a_video_in_a_folder_is_copied(run: Any, database: Database, tmp_path: Path) -> None:
    kept = tmp_path / "kept 1.mp4"
    kept.write_bytes(VIDEO)
    succeed(database, "job-1", f"file://{kept}", sha256=SHA256)
    succeed(database, "job-2", f"file://{tmp_path}/other.mp4", sha256=SHA256)

    code, lines = run("job-1", "job-2")

    assert code == 9
    assert (tmp_path / "out" / "job-1.mp4").read_bytes() == VIDEO
    assert "does not exist on this machine" in next(line["message"] for line in lines if line["id"] == "job-2")


@pytest.mark.parametrize("status", [503, 429])
def test_a_server_that_fails_for_a_moment_is_asked_again(
    run: Any, database: Database, videos: VideoServer, status: int
) -> None:
    succeed(database, "job-1", videos.url)
    videos.statuses = [status, status]

    assert run("job-1")[0] == 0


def test_a_failed_download_does_not_stop_the_others(
    run: Any, database: Database, videos: VideoServer, tmp_path: Path
) -> None:
    succeed(database, "gone", videos.url.replace("127.0.0.1", "no-such-host.invalid"))
    for n in range(12):
        succeed(database, f"job-{n}", videos.url)
    database.enqueue("unfinished")

    code, lines = run("gone", "unfinished", "unheard-of", *(f"job-{n}" for n in range(12)))

    states = {line["id"]: line["state"] for line in lines}
    assert code == 6
    assert [states[job_id] for job_id in ("gone", "unfinished", "unheard-of")] == [
        "not_downloaded",
        "unfinished",
        "not_found",
    ]
    assert len(names(tmp_path / "out")) == 12
    assert videos.most_at_once <= 4


def test_a_refused_download_is_not_repeated(run: Any, database: Database, videos: VideoServer) -> None:
    succeed(database, "job-1", videos.url)
    videos.statuses = [404]

    code, (line,) = run("job-1")

    assert (code, len(videos.ranges)) == (9, 1)
    assert "404" in line["message"]


@pytest.mark.parametrize("job_id", ["../../evil", "a/b", "ä" * 200, ".hidden", "a b\n"])
def test_a_jobs_id_never_leads_out_of_the_folder(
    run: Any, database: Database, videos: VideoServer, tmp_path: Path, job_id: str
) -> None:
    succeed(database, job_id, videos.url)

    assert run(job_id)[0] == 0
    (name,) = names(tmp_path / "out")
    assert re.fullmatch(r"[A-Za-z0-9=_-]+\.mp4", name)
