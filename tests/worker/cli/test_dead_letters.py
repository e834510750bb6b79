"""What is wrong with a message, and what of it is kept."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from wanimate.contract import CONTRACT_HEADER, CONTRACT_VERSION
from wanimate_worker.dead_letters import MAX_KEPT_BYTES, DeadLetter, Reason, letter_of, problem_of

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
