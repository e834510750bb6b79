"""Results are served where the answers say, and are gone after their time."""

import json
import struct
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from wanimate_simulator.video_file import VideoFile

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
STATUS = "/api/v1/statusTask/wan-2-2-animate"

RequestFor = Callable[..., dict[str, Any]]
Eventually = Callable[..., Any]
ResultUrl = Callable[..., str]


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, headers={name.replace("_", "-"): value for name, value in headers.items()})


def videos(live: httpx.Client) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = live.get("/simulator/videos").json()["videos"]
    return listed


def boxes(body: bytes) -> list[str]:
    found = []
    while body:
        length = int.from_bytes(body[:4])
        assert 8 <= length <= len(body)
        found.append(body[4:8].decode())
        body = body[length:]
    return found


def test_a_result_is_an_mp4_at_the_address_the_submission_was_sent_to(
    live_url: str, result_url: ResultUrl, live: httpx.Client
) -> None:
    url = result_url(video_urls=["https://example.com/motion.mp4?seconds=12.5"])

    answer = get(url)
    head = httpx.head(url, trust_env=False)

    assert url.startswith(f"{live_url}/results/task_")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert (answer.headers["content-length"], answer.headers["accept-ranges"]) == ("20000", "bytes")
    assert boxes(answer.content) == ["ftyp", "moov", "mdat"]
    scale, duration = struct.unpack_from(">II", answer.content, answer.content.index(b"mvhd") + 16)
    assert duration / scale == 12.5
    assert (head.status_code, head.content) == (200, b"")
    assert all(head.headers[name] == answer.headers[name] for name in ("content-length", "etag", "content-type"))
    assert live.get("/simulator/summary").json()["downloads"]["answers"] == {"200": 1}


def test_each_task_has_a_video_and_an_entity_tag_of_its_own(live: httpx.Client, result_url: ResultUrl) -> None:
    answers = [get(url) for url in [result_url(marker="same") for _ in range(2)] for _ in range(2)]

    first, again, other, _ = answers
    assert (first.content, first.headers["etag"]) == (again.content, again.headers["etag"])
    assert first.content[200:] != other.content[200:]
    assert first.headers["etag"] != other.headers["etag"]
    assert [each["sha256"] for each in videos(live)] == [sha256(each.content).hexdigest() for each in (first, other)]


@pytest.mark.parametrize("size_bytes", [1_000, 65_521 + 172, 30_000_000])
def test_a_video_of_any_size_comes_whole(live: httpx.Client, result_url: ResultUrl, size_bytes: int) -> None:
    live.post("/simulator/reset", json={"video_bytes": size_bytes})

    body = get(result_url()).content

    assert (len(body), boxes(body)) == (size_bytes, ["ftyp", "moov", "mdat"])
    [video] = videos(live)
    assert (video["size_bytes"], video["sha256"]) == (size_bytes, sha256(body).hexdigest())
    [download] = video["downloads"]
    assert (download["complete"], download["sent_bytes"]) == (True, size_bytes)


@pytest.mark.parametrize("video_bytes", [999, 1_000_000_001, 20_000.5, "20000"])
def test_a_size_that_no_video_can_have_is_refused(live: httpx.Client, video_bytes: object) -> None:
    answer = live.post("/simulator/reset", json={"video_bytes": video_bytes})

    assert answer.status_code == 400
    assert "video_bytes" in answer.json()["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_large_videos_are_not_held_in_memory(launch: Callable[..., Any], request_for: RequestFor) -> None:
    arguments = ("--speed", "1000000", "--result-ttl-seconds", "1e12", "--video-bytes", "500000000")
    with launch(*arguments) as (process, line), httpx.Client(base_url=line.split(" ")[3], trust_env=False) as client:
        headers = {"Authorization": "Bearer simulator-key"}
        task_id = client.post(SUBMIT, json=request_for(), headers=headers).json()["data"]["taskId"]
        before_kb = most_memory_kb(process.pid)
        # The client reads a tenth of it, so the rest has to wait.
        with client.stream("GET", f"/results/{task_id}.mp4") as answer:
            received = 0
            for chunk in answer.iter_raw():
                received += len(chunk)
                if received > 50_000_000:
                    break
        grown_kb = most_memory_kb(process.pid) - before_kb

    assert received > 50_000_000
    assert grown_kb < 20_000


def most_memory_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-", 0, 20_000),
        ("bytes=150-", 150, 20_000),
        ("bytes=7000-7999", 7_000, 8_000),
        ("bytes=9-99999", 9, 20_000),
    ],
)
def test_a_range_is_answered_by_its_part_alone(
    live: httpx.Client, result_url: ResultUrl, asked: str, start: int, stop: int
) -> None:
    url = result_url()
    whole = get(url)

    part = get(url, range=asked, if_range=whole.headers["etag"])

    assert (part.status_code, part.content) == (206, whole.content[start:stop])
    assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/20000"
    assert (part.headers["content-length"], part.headers["etag"]) == (str(stop - start), whole.headers["etag"])
    download = videos(live)[0]["downloads"][1]
    assert (download["start"], download["sent_bytes"], download["complete"]) == (start, stop - start, stop == 20_000)


@pytest.mark.parametrize(
    "headers",
    [
        {"range": "bytes=100-", "if_range": '"another"'},
        {"range": "bytes=100-", "if_range": "Tue, 01 Dec 2026 12:00:00 GMT"},
        {"range": "bytes=200-100"},
        {"range": "bytes=0-1,5-6"},
        {"range": "bytes=-5"},
        {"range": "seconds=1-"},
    ],
)
def test_a_range_of_another_file_or_form_gets_the_whole(result_url: ResultUrl, headers: dict[str, str]) -> None:
    answer = get(result_url(), **headers)

    assert (answer.status_code, len(answer.content)) == (200, 20_000)


def test_a_range_beyond_the_end_is_answered_416(live: httpx.Client, result_url: ResultUrl) -> None:
    answer = get(result_url(), range="bytes=20000-")

    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */20000")
    assert videos(live)[0]["downloads"][0]["code"] == 416


def test_any_part_of_a_video_is_what_the_whole_has_there() -> None:
    file = VideoFile("task_1", 5.0, 200_000)
    whole = b"".join(file.chunks(0, 200_000))

    for start, stop, most_bytes in [(0, 200_000, 7), (10, 20, 100), (150, 70_000, 1_000), (131_000, 131_100, 65_521)]:
        assert b"".join(file.chunks(start, stop, most_bytes)) == whole[start:stop]


def test_a_result_answers_403_once_its_time_has_passed(
    live: httpx.Client, result_url: ResultUrl, eventually: Eventually
) -> None:
    live.post("/simulator/reset", json={"result_ttl_seconds": 600})

    url = result_url()
    before = get(url)
    after = eventually(lambda: (answer := get(url)).status_code != 200 and answer)

    assert before.status_code == 200
    assert (after.status_code, after.headers["content-type"]) == (403, "application/xml")
    assert "expired" in after.text
    assert live.get("/simulator/summary").json()["status_errors_by_code"] == {}
    assert videos(live)[0]["downloads"][-1]["code"] == 403


def test_results_last_24_simulated_hours_unless_asked_otherwise(bench: Callable[..., Any]) -> None:
    vendor = bench(speed=10.0, sigma=0.0)
    name = vendor.accept() + ".mp4"
    codes = []
    for moment in (4.0, 4.2, 4.0 + 8_640, 4.2 + 8_640):
        vendor.now_seconds = moment
        codes.append(vendor.vendor.result(name).code)

    assert codes == [404, 200, 200, 403]


@pytest.mark.parametrize("name", ["", ".mp4", "task_unknown.mp4", "task_unknown"])
def test_an_unknown_result_answers_404(live: httpx.Client, name: str) -> None:
    assert live.get(f"/results/{name}").status_code == 404


def test_a_video_of_any_stated_length_can_be_served() -> None:
    for seconds in (0.001, 120, 1e300):
        assert boxes(b"".join(VideoFile("task_1", seconds, 1_000).chunks(0, 1_000))) == ["ftyp", "moov", "mdat"]


def test_a_failed_task_has_no_result(bench: Callable[..., Any]) -> None:
    vendor = bench()
    task_id = vendor.accept(prompt="[fail]")
    vendor.now_seconds = 1_000

    assert vendor.vendor.result(f"{task_id}.mp4").code == 404
    assert vendor.vendor.videos(0, 10) == (0, [])


def test_result_urls_can_name_another_address(launch: Callable[..., Any], request_for: RequestFor) -> None:
    with launch("--public-url", "https://cdn.example.com/a/", "--speed", "1000000") as (_, line):
        headers = {"Authorization": "Bearer simulator-key"}
        with httpx.Client(base_url=line.split(" ")[3], headers=headers, trust_env=False) as client:
            task_id = client.post(SUBMIT, json=request_for()).json()["data"]["taskId"]
            data = client.get(STATUS, params={"taskId": task_id}).json()["data"]
    assert json.loads(data["resultJson"]) == {"resultUrls": [f"https://cdn.example.com/a/results/{task_id}.mp4"]}
