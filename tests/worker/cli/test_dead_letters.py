"""What is wrong with a message, and what of it is kept."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from wanimate.contract import CONTRACT_HEADER, CONTRACT_VERSION
from wanimate_worker.bridge.dead_letters import MAX_KEPT_BYTES, DeadLetter, Reason, letter_of, publish_again
from wanimate_worker.bridge.messages import problem_of

if TYPE_CHECKING:
    from ..conftest import Run

HEADERS = {"task": "wanimate.generate", "id": "job"}


def message(payload: Any, headers: Any = None, body: bytes = b"{}") -> Any:
    return SimpleNamespace(
        payload=payload,
        headers=HEADERS if headers is None else headers,
        body=body,
        properties={"correlation_id": "job", "priority": 3, "delivery_tag": "tag"},
        delivery_info={"routing_key": "wanimate"},
        content_type="application/json",
        content_encoding="utf-8",
    )


@pytest.mark.parametrize(
    ("payload", "headers"),
    [
        ([[], {}, {"chain": None}], HEADERS),
        ([[], {}, None], HEADERS),
        ({"task": "wanimate.generate", "id": "job", "args": [], "kwargs": {}}, {}),
    ],
)
def test_a_task_of_either_version_of_the_protocol_is_sound(payload: Any, headers: Any) -> None:
    assert problem_of(message(payload, headers)) is None


@pytest.mark.parametrize(
    ("payload", "headers"),
    [
        (None, HEADERS),
        (5, HEADERS),
        ([], HEADERS),
        ([[], []], HEADERS),
        ([{}, [], {}], HEADERS),
        ([[], {}, 5], HEADERS),
        ([[], {}, {"callbacks": [5]}], HEADERS),
        ([[], {}, {"id": "of another"}], HEADERS),
        ([[], {}, {}], {**HEADERS, "shadow": {}}),
        ([[], {}, {}], {**HEADERS, "timelimit": [1]}),
        ([[], {}, {}], {**HEADERS, "id": "\ud800"}),
        ([[], {}, {}], {**HEADERS, "id": "x" * 2000}),
        ([[], {}, {}], {"task": "wanimate.generate"}),
        ([[], {}, {}], {"task": ["wanimate.generate"], "id": "job"}),
        ({"task": "wanimate.generate"}, {}),
        ({"task": "wanimate.generate", "id": "job", "args": 5}, {}),
    ],
)
def test_what_would_surprise_celery_has_a_problem(payload: Any, headers: Any) -> None:
    assert problem_of(message(payload, headers))


def test_a_body_that_cannot_be_decoded_has_a_problem_whatever_the_decoder_raises() -> None:
    class Broken:
        headers = HEADERS

        @property
        def payload(self) -> Any:
            raise RecursionError

    assert "RecursionError" in (problem_of(Broken()) or "")


def test_a_message_of_a_newer_contract_is_kept_whole_and_others_for_a_look() -> None:
    body = b"x" * (MAX_KEPT_BYTES + 1)
    whole = letter_of(message(None, body=body), Reason.NEWER_CONTRACT, "why")
    cut = letter_of(message(None, body=body), Reason.UNREADABLE, "why")
    assert base64.b64decode(whole["body"]) == body
    assert len(base64.b64decode(cut["body"])) == MAX_KEPT_BYTES
    assert cut["body_bytes"] == whole["body_bytes"] == len(body)


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [Decimal("9.99"), b"\xff", 10**5000, "\ud800", nested(900), nested(5000), circular(), {(1, 2): 3}, object(), {1}],
    ids=["decimal", "bytes", "huge", "surrogate", "nested", "too deep", "circular", "odd keys", "object", "set"],
)
def test_a_letter_is_kept_and_read_again_whatever_the_message_holds(run: Run, value: Any) -> None:
    headers = {**HEADERS, "odd": value, CONTRACT_HEADER: CONTRACT_VERSION}
    odd = message(None, headers, body=value)
    odd.properties["reply_to"] = odd.content_type = odd.content_encoding = odd.delivery_info["routing_key"] = value
    run.ledger.dead_letters.add(letter_of(odd, Reason.UNREADABLE, "why"))
    run.ledger.dead_letters.add({"reason": "unreadable", "odd": value})
    letter = DeadLetter.read(run.ledger.dead_letters.read()[1])
    assert (letter.number, letter.facts()["task"], letter.contract) == (1, "wanimate.generate", CONTRACT_VERSION)
    assert json.dumps(letter.facts()).encode("ascii")


def test_a_replayed_message_has_the_types_it_had(run: Run) -> None:
    sent = {"amount": Decimal("9.99"), "at": datetime(2026, 1, 2, tzinfo=UTC), "compression": "application/zlib"}
    run.ledger.dead_letters.add(letter_of(message(None, {**HEADERS, **sent}), Reason.NEWER_CONTRACT, "why"))
    publish_again(run.task.app, DeadLetter.read(run.ledger.dead_letters.read()[0]))
    with run.task.app.connection_for_read() as connection:
        received = connection.SimpleQueue("wanimate").get(timeout=10)
        # It is not compressed any more.
        assert received.headers == {**HEADERS, "amount": sent["amount"], "at": sent["at"]}
        received.ack()


@pytest.mark.parametrize(
    ("reason", "contract", "known", "can"),
    [
        (Reason.NEWER_CONTRACT, CONTRACT_VERSION + 1, CONTRACT_VERSION, False),
        (Reason.NEWER_CONTRACT, CONTRACT_VERSION + 1, CONTRACT_VERSION + 1, True),
        (Reason.UNREADABLE, CONTRACT_VERSION, CONTRACT_VERSION, False),
    ],
)
def test_only_what_was_too_new_and_is_known_by_now_can_be_replayed(
    reason: Reason, contract: int, known: int, *, can: bool
) -> None:
    kept = letter_of(message(None, {**HEADERS, CONTRACT_HEADER: contract}), reason, "why")
    letter = DeadLetter.read(f"7 {json.dumps(kept)}")
    assert letter.number == 7
    assert letter.can_be_replayed(known) is can


def test_what_is_shown_of_a_letter_has_no_content_of_the_message() -> None:
    kept = letter_of(message(None, body=b"https://example.com/secret"), Reason.UNREADABLE, "why")
    shown = DeadLetter.read(f"1 {json.dumps(kept)}").facts()
    assert "secret" not in json.dumps(shown)
    assert "body" not in shown
