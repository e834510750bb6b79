"""The answers are those of the vendor's document."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
STATUS = "/api/v1/statusTask/wan-2-2-animate"

ANIMATE_EXAMPLE = """{
"request_type": "async",
"provider": "official",
"input": {
"mode": "standard",
"type": "animate",
"image_urls": [
"https://example.com/character.png"
],
"video_urls": [
"https://example.com/motion.mp4"
],
"prompt": "keep the face stable and follow the motion naturally",
"resolution": "480p",
"seed": -1
}
}"""

REPLACE_EXAMPLE = """{
"request_type": "callback",
"callback_url": "https://your-server.com/callback",
"provider": "official",
"input": {
"mode": "standard",
"type": "replace",
"image_urls": [
"https://example.com/character.png"
],
"video_urls": [
"https://example.com/motion.mp4"
],
"prompt": "replace the person in the motion video with the provided character",
"resolution": "720p",
"seed": 42
}
}"""


@pytest.mark.parametrize("example", [ANIMATE_EXAMPLE, REPLACE_EXAMPLE], ids=["animate", "replace"])
def test_the_documented_curl_examples_are_accepted_as_they_stand(converse: Callable[..., Any], example: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(SUBMIT, content=example, headers={"Content-Type": "application/json"})

    answer = converse(conversation)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    task_id = answer.json()["data"]["taskId"]
    assert answer.json() == {"code": 200, "message": "success", "data": {"taskId": task_id}}
    assert task_id.startswith("task_")


def test_a_status_answer_has_the_documented_envelope(converse: Callable[..., Any]) -> None:
    async def conversation(client: httpx.AsyncClient) -> dict[str, Any]:
        task_id = (await client.post(SUBMIT, content=ANIMATE_EXAMPLE)).json()["data"]["taskId"]
        answer = await client.get(STATUS, params={"taskId": task_id})
        assert answer.json()["data"]["taskId"] == task_id
        return {"status": answer.status_code, **answer.json()}

    answer = converse(conversation)

    assert {key: answer[key] for key in ("status", "code", "message")} == {
        "status": 200,
        "code": 200,
        "message": "success",
    }
    assert set(answer["data"]) == {"taskId", "state", "createTime"}


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "simulator-key"}, {"Authorization": "Bearer "}],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_missing_or_wrong_key_is_answered_401_in_the_envelope(
    converse: Callable[..., Any],
    headers: dict[str, str],
    method: str,
) -> None:
    async def conversation(client: httpx.AsyncClient) -> httpx.Response:
        client.headers.pop("Authorization")
        path = SUBMIT if method == "POST" else STATUS
        return await client.request(method, path, content=ANIMATE_EXAMPLE, headers=headers)

    answer = converse(conversation)

    assert answer.status_code == 401
    assert answer.json() == {"code": 401, "message": "Invalid or missing API Key", "data": None}


@pytest.mark.parametrize(
    ("query", "code", "message", "data"),
    [
        ({"taskId": "task_12345678"}, 404, "task not found", None),
        ({}, 400, "Invalid parameters: taskId is required", {"error": "taskId is required"}),
        ({"taskId": ""}, 400, "Invalid parameters: taskId is required", {"error": "taskId is required"}),
    ],
)
def test_an_unknown_task_is_404_and_a_missing_id_400(
    converse: Callable[..., Any],
    query: dict[str, str],
    code: int,
    message: str,
    data: dict[str, str] | None,
) -> None:
    async def conversation(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(STATUS, params=query)

    answer = converse(conversation)

    assert answer.status_code == code
    assert answer.json() == {"code": code, "message": message, "data": data}


def test_every_given_key_is_accepted(converse: Callable[..., Any]) -> None:
    async def conversation(client: httpx.AsyncClient) -> list[int]:
        keys = [{"Authorization": f"Bearer {key}"} for key in ("one", "two", "three")]
        return [(await client.post(SUBMIT, content=ANIMATE_EXAMPLE, headers=each)).status_code for each in keys]

    assert converse(conversation, api_keys=("one", "two")) == [200, 200, 401]


def test_any_other_path_is_answered_404(converse: Callable[..., Any]) -> None:
    async def conversation(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/api/v1/generateTask/another-model")

    answer = converse(conversation)

    assert answer.status_code == 404
    assert json.loads(answer.content)["code"] == 404
