"""The balance falls with what is accepted, and an empty account accepts nothing."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
BALANCE = "/api/v1/apikeys/current-balance"

Converse = Callable[..., Any]
RequestFor = Callable[..., dict[str, Any]]


def video(seconds: float | str) -> dict[str, Any]:
    return {"video_urls": [f"https://example.com/motion.mp4?seconds={seconds}"]}


def test_the_balance_is_a_number_of_dollars_in_the_envelope(converse: Converse) -> None:
    async def conversation(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(BALANCE)

    answer = converse(conversation, balance_usd=12.5)

    assert (answer.status_code, answer.json()) == (200, {"code": 200, "message": "success", "data": 12.5})


def test_without_a_set_balance_it_lasts_for_any_run(converse: Converse) -> None:
    async def conversation(client: httpx.AsyncClient) -> Any:
        return (await client.get(BALANCE)).json()["data"]

    assert converse(conversation) == 1_000_000


@pytest.mark.parametrize(
    ("seconds", "resolution", "cost_usd"),
    [(12.5, "480p", 0.5), (12.5, "720p", 1.25), (1, "480p", 0.2), (3600, "720p", 12.0)],
)
def test_an_accepted_task_costs_its_billed_seconds(
    converse: Converse, request_for: RequestFor, seconds: float, resolution: str, cost_usd: float
) -> None:
    async def conversation(client: httpx.AsyncClient) -> Any:
        await client.post(SUBMIT, json=request_for(resolution=resolution, **video(seconds)))
        refused = await client.post(SUBMIT, json=request_for(seed=-2, **video(seconds)))
        assert refused.status_code == 400
        balance = (await client.get(BALANCE)).json()["data"]
        return balance, (await client.get("/simulator/tasks")).json()["tasks"]

    balance, [task] = converse(conversation, balance_usd=20, price_720p=0.1)

    assert balance == pytest.approx(20 - cost_usd)
    assert task["video_seconds"] == seconds
    assert task["billed_seconds"] == min(max(seconds, 5), 120)
    assert task["cost_usd"] == pytest.approx(cost_usd)


def test_a_task_that_the_balance_does_not_cover_is_refused(converse: Converse, request_for: RequestFor) -> None:
    async def conversation(client: httpx.AsyncClient) -> list[Any]:
        async def submit() -> httpx.Response:
            return await client.post(SUBMIT, json=request_for(**video(5)))

        answers = [await submit() for _ in range(4)]
        left = (await client.get(BALANCE)).json()["data"]
        topped_up = await client.put("/simulator/balance", json={"balance_usd": 0.2})
        answers += [await submit(), await submit()]
        summary = (await client.get("/simulator/summary")).json()
        return [answers, left, topped_up.json(), summary]

    answers, left, topped_up, summary = converse(conversation, balance_usd=0.6)

    assert [each.status_code for each in answers] == [200, 200, 200, 402, 200, 402]
    assert answers[3].json()["data"]["failCode"] == "INSUFFICIENT_CREDITS"
    assert left == 0
    assert topped_up == {"balance_usd": 0.2, "spent_usd": 0.6}
    assert (summary["balance_usd"], summary["spent_usd"], summary["billed_seconds"]) == (0, 0.8, 20)
    assert summary["balances_total"] == 1


@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"balance_usd": -1}', '{"balance_usd": "5"}', '{"usd": 5}'])
def test_a_balance_that_makes_no_sense_is_refused(converse: Converse, body: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> list[Any]:
        answer = await client.put("/simulator/balance", content=body)
        return [answer, (await client.get("/simulator/balance")).json()["balance_usd"]]

    answer, balance_usd = converse(conversation, balance_usd=3)

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert balance_usd == 3


def test_the_balance_needs_the_key_and_counts_against_the_rate(converse: Converse) -> None:
    async def conversation(client: httpx.AsyncClient) -> list[int]:
        wrong = await client.get(BALANCE, headers={"Authorization": "Bearer wrong"})
        return [wrong.status_code, *[(await client.get(BALANCE)).status_code for _ in range(3)]]

    assert converse(conversation, rate=2) == [401, 200, 200, 429]


@pytest.mark.parametrize("seconds", ["0", "-5", "x", "nan", "inf"])
def test_a_stated_length_that_is_none_is_refused(converse: Converse, request_for: RequestFor, seconds: str) -> None:
    async def conversation(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(SUBMIT, json=request_for(**video(seconds)))

    answer = converse(conversation)

    assert answer.status_code == 400
    assert "video_urls" in answer.json()["message"]
