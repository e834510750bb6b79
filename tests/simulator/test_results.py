"""Results are served where the answers say, and are gone after their time."""

import json
import struct
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from wanimate_simulator.results import video

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
STATUS = "/api/v1/statusTask/wan-2-2-animate"

RequestFor = Callable[..., dict[str, Any]]
Eventually = Callable[..., Any]


def result_url(live: httpx.Client, eventually: Eventually, request: dict[str, Any]) -> str:
    task_id = live.post(SUBMIT, json=request).json()["data"]["taskId"]

    def told() -> dict[str, Any] | None:
        data: dict[str, Any] = live.get(STATUS, params={"taskId": task_id}).json()["data"]
        return data if "resultJson" in data else None

    urls = json.loads(eventually(told)["resultJson"])["resultUrls"]
    return str(urls[0])


def test_a_result_is_an_mp4_at_the_address_the_submission_was_sent_to(
    live: httpx.Client, live_url: str, request_for: RequestFor, eventually: Eventually
) -> None:
    request = request_for(video_urls=["https://example.com/motion.mp4?seconds=12.5"])

    url = result_url(live, eventually, request)
    answer = httpx.get(url, trust_env=False)
    head = httpx.head(url, trust_env=False)

    assert url.startswith(f"{live_url}/results/task_")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert boxes(answer.content) == ["ftyp", "moov", "mdat"]
    scale, duration = struct.unpack_from(">II", answer.content, answer.content.index(b"mvhd") + 16)
    assert duration / scale == 12.5
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(answer.content)))


def boxes(body: bytes) -> list[str]:
    found = []
    while body:
        length = int.from_bytes(body[:4])
        found.append(body[4:8].decode())
        body = body[length:]
    return found


def test_a_result_answers_403_once_its_time_has_passed(
    live: httpx.Client, request_for: RequestFor, eventually: Eventually
) -> None:
    live.post("/simulator/reset", json={"result_ttl_seconds": 60})

    url = result_url(live, eventually, request_for())
    before = httpx.get(url, trust_env=False)
    after = eventually(lambda: (answer := httpx.get(url, trust_env=False)).status_code != 200 and answer)

    assert before.status_code == 200
    assert (after.status_code, after.headers["content-type"]) == (403, "application/xml")
    assert "expired" in after.text
    assert live.get("/simulator/summary").json()["status_errors_by_code"] == {}
    live.post("/simulator/reset", json={"result_ttl_seconds": 86_400})


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
    assert [boxes(video(seconds)) for seconds in (0.001, 120, 1e300)] == [["ftyp", "moov", "mdat"]] * 3


def test_a_failed_task_has_no_result(bench: Callable[..., Any]) -> None:
    vendor = bench()
    task_id = vendor.accept(prompt="[fail]")
    vendor.now_seconds = 1_000

    assert vendor.vendor.result(f"{task_id}.mp4").code == 404


def test_result_urls_can_name_another_address(launch: Callable[..., Any], request_for: RequestFor) -> None:
    with launch("--public-url", "https://cdn.example.com/a/", "--speed", "1000000") as (_, line):
        headers = {"Authorization": "Bearer simulator-key"}
        with httpx.Client(base_url=line.split(" ")[3], headers=headers, trust_env=False) as client:
            task_id = client.post(SUBMIT, json=request_for()).json()["data"]["taskId"]
            data = client.get(STATUS, params={"taskId": task_id}).json()["data"]
    assert json.loads(data["resultJson"]) == {"resultUrls": [f"https://cdn.example.com/a/results/{task_id}.mp4"]}
