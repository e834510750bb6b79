"""The account's balance as the vendor tells it, well or badly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from wanimate_worker.vendor import (
    Balance,
    BalanceAnswer,
    NoBalance,
    NotSent,
    Obstacle,
    Throttled,
    Unauthorised,
    Unreadable,
    VendorClient,
)
from wanimate_worker.vendor.balance import classify_balance

from .test_classify import answered

if TYPE_CHECKING:
    from collections.abc import Callable


def told(data: Any, status: int = 200, code: Any = 200) -> BalanceAnswer:
    body = json.dumps({"code": code, "message": "said so", "data": data}).encode()
    return classify_balance(answered(status, body))


@pytest.mark.parametrize(
    ("data", "micro_usd"),
    [
        (0, 0),
        (12, 12_000_000),
        (12.34, 12_340_000),
        (0.000001, 1),
        (1e9, 10**15),
        ("12.34", 12_340_000),
        (" $12.34 ", 12_340_000),
        ("12.34 USD", 12_340_000),
        ({"balance": 12.34}, 12_340_000),
        ({"remaining": "12.34", "currency": "USD"}, 12_340_000),
        ({"amount": 5, "balance": 5.0}, 5_000_000),
        ({"amount": None, "balance": 5.0}, 5_000_000),
    ],
)
def test_a_balance_is_read_as_a_number_of_dollars(data: Any, micro_usd: int) -> None:
    assert told(data) == Balance(micro_usd)


@pytest.mark.parametrize(
    "data",
    [
        *(None, True, False, "", "much", "1e3", "NaN", "Infinity", "1,2", [], [12.34], {}),
        *(-0.01, -1, 1e9 + 1, 1e300, 10**400, "99999999999999999999", "-5"),
        *({"balance": None}, {"credit": 5}, {"balance": 5, "remaining": 6}, {"balance": {"amount": 5}}),
    ],
)
def test_what_is_no_sensible_number_is_no_balance(data: Any) -> None:
    assert isinstance(told(data), Unreadable)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"12.34", b"<html>", b'{"code": 200, "data": NaN}', b"\xff", None])
def test_an_answer_without_a_balance_is_unreadable(body: bytes | None) -> None:
    assert isinstance(classify_balance(answered(200, body)), Unreadable)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, 404, NoBalance),
        (200, 404, NoBalance),
        (405, 405, NoBalance),
        (301, 301, NoBalance),
        (501, 501, NoBalance),
        (401, 401, Unauthorised),
        (200, 403, Unauthorised),
        (402, 402, Unauthorised),
        (429, 429, Throttled),
        (200, 429, Throttled),
        (400, 400, Unreadable),
        (500, 500, Unreadable),
        (200, 500, Unreadable),
        (503, 503, Unreadable),
        (200, "odd", Unreadable),
    ],
)
def test_each_refusal_is_told_from_the_others(status: int, code: Any, kind: type) -> None:
    assert isinstance(told(12.34, status, code), kind)


def test_a_page_of_something_else_is_no_balance() -> None:
    assert isinstance(classify_balance(answered(404, b"<html>Not Found</html>")), NoBalance)
    throttled = answered(429, b"<html>", {"retry-after": "7"})
    assert classify_balance(throttled) == Throttled(7.0, "HTTP 429, code 429", None)


def test_the_request_carries_the_key_and_its_answer_is_the_balance(server: Any, client: VendorClient, key: str) -> None:
    server.answers('{"code": 200, "message": "success", "data": 12.34}')
    assert client.balance() == Balance(12_340_000)
    [request] = server.requests
    assert (request.method, request.target) == ("GET", "/api/v1/apikeys/current-balance")
    assert request.headers["authorization"] == f"Bearer {key}"


def test_a_key_that_is_quoted_is_not_shown(server: Any, client: VendorClient, key: str) -> None:
    server.answers(json.dumps({"code": 403, "message": f"the key {key} may not", "data": None}), 403)
    assert client.balance() == Unauthorised(403, "the key [API key] may not")


def test_trouble_on_the_way_is_a_value(server: Any, connect: Callable[..., VendorClient]) -> None:
    server.drops()
    assert isinstance(connect().balance(), Unreadable)
    server.keeps_silent()
    assert isinstance(connect(seconds=0.2).balance(), Unreadable)
    assert isinstance(connect("http://127.0.0.1:1").balance(), NotSent)


def test_it_is_not_sent_once_the_right_to_send_is_gone(server: Any, client: VendorClient) -> None:
    answer = client.balance(may_send=lambda: "stood still")
    assert isinstance(answer, NotSent)
    assert answer.obstacle is Obstacle.STALE
    assert server.requests == []
