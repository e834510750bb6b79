"""A real client meets each fault of downloads, and the ground truth tells what it was sent."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import httpx
import pytest

SetFaults = Callable[..., None]
ResultUrl = Callable[..., str]
Eventually = Callable[..., Any]

SIZE = 300_000


@pytest.fixture
def url(live: httpx.Client, result_url: ResultUrl) -> str:
    """The URL of a video that does not fit into one chunk."""
    live.post("/simulator/reset", json={"video_bytes": SIZE})
    return result_url()


def get(url: str, **options: Any) -> httpx.Response:
    return httpx.get(url, trust_env=False, **options)


def get_until_cut(url: str) -> tuple[httpx.Response, bytes]:
    """Return the answer and what came of its body before the connection closed."""
    received = b""
    with httpx.stream("GET", url, trust_env=False) as answer:
        try:
            for chunk in answer.iter_raw():
                received += chunk
        except httpx.RemoteProtocolError:
            return answer, received
    pytest.fail("the download was not cut")


def video(live: httpx.Client) -> dict[str, Any]:
    [listed] = live.get("/simulator/videos").json()["videos"]
    return dict(listed)


def last_download(live: httpx.Client) -> dict[str, Any]:
    download: dict[str, Any] = video(live)["downloads"][-1]
    return {name: download[name] for name in ("code", "fault", "sent_bytes", "complete")}


def test_a_cut_download_closes_before_its_content_length(live: httpx.Client, set_faults: SetFaults, url: str) -> None:
    set_faults(download_cut_rate=1)

    answer, received = get_until_cut(url)

    assert (answer.status_code, answer.headers["content-length"]) == (200, str(SIZE))
    assert 0 < len(received) < SIZE
    cut = {"code": 200, "fault": "download_cut_rate", "sent_bytes": len(received), "complete": False}
    assert last_download(live) == cut
    assert live.get("/simulator/summary").json()["faults_struck"] == {"download_cut_rate": 1}


def test_a_cut_download_can_be_resumed_to_the_whole_file(live: httpx.Client, set_faults: SetFaults, url: str) -> None:
    set_faults(download_cut_rate=1)
    answer, body = get_until_cut(url)

    set_faults()
    rest = get(url, headers={"range": f"bytes={len(body)}-", "if-range": answer.headers["etag"]})

    assert rest.status_code == 206
    told = video(live)
    assert told["sha256"] == sha256(body + rest.content).hexdigest()
    assert [each["complete"] for each in told["downloads"]] == [False, True]
    assert sum(each["sent_bytes"] for each in told["downloads"]) == SIZE


def test_only_its_own_boxes_tell_that_a_file_is_truncated(live: httpx.Client, set_faults: SetFaults, url: str) -> None:
    set_faults(download_truncated_rate=1)

    answer = get(url)

    assert (answer.status_code, "content-length" in answer.headers) == (200, False)
    assert 0 < len(answer.content) < SIZE
    at = answer.content.index(b"mdat") - 4
    assert at + int.from_bytes(answer.content[at : at + 4]) == SIZE
    sent = {"sent_bytes": len(answer.content), "complete": False}
    assert last_download(live) == {"code": 200, "fault": "download_truncated_rate", **sent}


def test_download_errors_are_500_and_503_as_a_storage_service_answers(
    live: httpx.Client, set_faults: SetFaults, url: str
) -> None:
    set_faults(download_error_rate=1)

    answers = [get(url) for _ in range(4)]

    assert [each.status_code for each in answers] == [500, 503, 500, 503]
    assert {each.headers["content-type"] for each in answers} == {"application/xml"}
    assert "<Code>SlowDown</Code>" in answers[1].text
    assert live.get("/simulator/summary").json()["downloads"]["answers"] == {"500": 2, "503": 2}


def test_wrong_bodies_are_a_page_nothing_and_a_page_that_is_called_a_video(
    live: httpx.Client, set_faults: SetFaults, url: str
) -> None:
    set_faults(download_wrong_body_rate=1)

    answers = [get(url) for _ in range(3)]

    assert [(each.status_code, each.headers["content-type"]) for each in answers] == [
        (200, "text/html"),
        (200, "video/mp4"),
        (200, "video/mp4"),
    ]
    assert [each.content[:15] for each in answers] == [b"<!DOCTYPE html>", b"", b"<!DOCTYPE html>"]
    wrong = {"code": 200, "fault": "download_wrong_body_rate", "sent_bytes": 0, "complete": False}
    assert last_download(live) == wrong


def test_a_hanging_download_sends_nothing_until_the_client_gives_up(
    live: httpx.Client, set_faults: SetFaults, url: str
) -> None:
    set_faults(download_hang_rate=1, download_hang_seconds=5)

    with pytest.raises(httpx.ReadTimeout):
        get(url, timeout=0.2)

    assert last_download(live) == {"code": 0, "fault": "download_hang_rate", "sent_bytes": 0, "complete": False}


def test_a_hanging_download_is_closed_in_the_end(live: httpx.Client, set_faults: SetFaults, url: str) -> None:
    set_faults(download_hang_rate=1, download_hang_seconds=0.1)

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        get(url)

    assert live.get("/simulator/summary").json()["downloads"]["answers"] == {"none": 1}


def test_a_slow_download_takes_its_time_and_comes_whole(live: httpx.Client, set_faults: SetFaults, url: str) -> None:
    set_faults(download_slow_rate=1, download_bytes_per_second=SIZE * 2)

    began = time.monotonic()
    body = get(url).content

    assert 0.45 < time.monotonic() - began < 5
    assert sha256(body).hexdigest() == video(live)["sha256"]
    complete = {"code": 200, "fault": "download_slow_rate", "sent_bytes": SIZE, "complete": True}
    assert last_download(live) == complete


def test_slow_downloads_at_once_are_counted_and_hinder_no_other_request(
    live: httpx.Client, set_faults: SetFaults, url: str, eventually: Eventually
) -> None:
    set_faults(download_slow_rate=1, download_bytes_per_second=SIZE)

    def open_now() -> int:
        return int(live.get("/simulator/summary").json()["downloads"]["open_now"])

    with ThreadPoolExecutor(3) as pool:
        bodies = pool.map(lambda _: get(url).content, range(3))
        eventually(lambda: open_now() == 3)
        assert {len(each) for each in bodies} == {SIZE}

    counts = eventually(lambda: open_now() == 0 and live.get("/simulator/summary").json()["downloads"])
    assert counts == {
        "answers": {"200": 3},
        "complete": 3,
        "sent_bytes": 3 * SIZE,
        "open_now": 0,
        "open_max": 3,
    }


def test_a_download_that_the_client_gives_up_is_not_complete(
    live: httpx.Client, set_faults: SetFaults, url: str, eventually: Eventually
) -> None:
    set_faults(download_slow_rate=1, download_bytes_per_second=10_000)

    with httpx.stream("GET", url, trust_env=False) as answer:
        next(answer.iter_raw())

    eventually(lambda: live.get("/simulator/summary").json()["downloads"]["open_now"] == 0)
    download = last_download(live)
    assert (download["code"], download["complete"]) == (200, False)
    assert 0 <= download["sent_bytes"] < SIZE


def test_a_share_of_the_results_is_gone_for_good(
    live: httpx.Client, set_faults: SetFaults, result_url: ResultUrl
) -> None:
    live.post("/simulator/reset", json={"speed": 5_000})
    set_faults(result_expired_rate=0.5)

    urls = [result_url(marker=f"job-{number}") for number in range(20)]
    codes = [get(each).status_code for each in urls]

    assert set(codes) == {200, 403}
    assert [get(each).status_code for each in urls] == codes
    assert live.get("/simulator/summary").json()["faults_struck"] == {"result_expired_rate": codes.count(403) * 2}


def test_the_same_downloads_meet_the_same_faults_in_every_run(live: httpx.Client, result_url: ResultUrl) -> None:
    switches = {"download_cut_rate": 0.3, "download_error_rate": 0.3, "download_truncated_rate": 0.3}

    def run() -> list[Any]:
        live.post("/simulator/reset", json={"video_bytes": SIZE})
        live.put("/simulator/faults", json=switches).raise_for_status()
        url = result_url()
        for _ in range(20):
            try:
                get(url)
            except httpx.RemoteProtocolError:
                continue
        return [(each["fault"], each["code"], each["sent_bytes"]) for each in video(live)["downloads"]]

    first = run()

    assert Counter(fault for fault, *_ in first).keys() == {None, *switches}
    assert run() == first


def test_headers_alone_are_no_download_and_meet_no_fault(live: httpx.Client, set_faults: SetFaults, url: str) -> None:
    set_faults(download_hang_rate=1, download_error_rate=1)

    answer = httpx.head(url, trust_env=False)

    assert (answer.status_code, answer.headers["content-length"]) == (200, str(SIZE))
    assert video(live)["downloads"] == []


def test_a_task_tells_how_often_its_video_was_downloaded(live: httpx.Client, set_faults: SetFaults, url: str) -> None:
    def told() -> list[Any]:
        [task] = live.get("/simulator/tasks").json()["tasks"]
        return [task["downloads"], task["downloaded"]]

    assert told() == [0, False]
    set_faults(download_error_rate=1)
    get(url)
    assert told() == [1, False]
    set_faults()
    get(url)
    assert told() == [2, True]


@pytest.mark.parametrize("query", ["offset=-1", "limit=x", "limit=10001"])
def test_a_page_of_videos_that_makes_no_sense_is_refused(live: httpx.Client, query: str) -> None:
    assert live.get(f"/simulator/videos?{query}").status_code == 400


def test_a_page_of_videos_is_what_was_asked_for(live: httpx.Client, result_url: ResultUrl) -> None:
    urls = [result_url(marker=f"job-{number}") for number in range(3)]

    page = live.get("/simulator/videos", params={"offset": 1, "limit": 1}).json()

    assert (page["total"], page["offset"], page["limit"]) == (3, 1, 1)
    assert [(each["url"], each["marker"]) for each in page["videos"]] == [(urls[1], "job-1")]


def test_a_slow_download_does_not_keep_the_simulator_from_ending(
    launch: Callable[..., Any], request_for: Callable[..., Any]
) -> None:
    faults = '{"download_slow_rate": 1, "download_bytes_per_second": 100}'
    with launch("--speed", "1000000", "--result-ttl-seconds", "1e12", "--faults", faults) as (process, line):
        url = line.split(" ")[3]

        async def converse() -> int:
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                headers = {"Authorization": "Bearer simulator-key"}
                path = "/api/v1/generateTask/wan-2-2-animate"
                answer = await client.post(path, json=request_for(), headers=headers)
                task_id = answer.json()["data"]["taskId"]
                async with client.stream("GET", f"/results/{task_id}.mp4") as download:
                    process.terminate()
                    body = await download.aread()
                    return len(body)

        assert asyncio.run(converse()) == 20_000
        assert process.wait(10) == 0
