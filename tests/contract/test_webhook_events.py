"""Reading webhooks: who has signed them, and what they say."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook
from wanimate import ContentViolation, Event, InvalidArgument, Result, WebhookInvalid
from wanimate.contract import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "whsec_" + base64.b64encode(b"a" * 24).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"b" * 24).decode()
EVENT = Event.read(
    "1764590042000-3",
    {
        "job_id": "job-1",
        "outcome": Outcome.success(Result(urls=("https://example.com/v.mp4",), task_id="t")).model_dump_json(),
        "request": json.dumps({"labels": {"größe": "7"}, "type": "animate", "video_seconds": 5}),
        "settled_at_ms": "1764590042000",
    },
)


def signed(content: Any, *secrets: str, age: timedelta = timedelta()) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a webhook."""
    body = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    sent_at = datetime.now(UTC) - age
    signatures = [Webhook(secret).sign(EVENT.id, sent_at, body) for secret in secrets or [SECRET]]
    headers = {
        "content-type": "application/json",
        "webhook-id": EVENT.id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    return body.encode(), headers


def test_a_signed_webhook_is_the_event_that_was_sent() -> None:
    body, headers = signed(EVENT.to_webhook())

    assert Event.from_webhook(body, headers, SECRET) == EVENT
    assert Event.from_webhook(body.decode(), headers, SECRET) == EVENT


def test_a_failure_is_the_same_exception_as_the_caller_gets() -> None:
    refused = Outcome.failure(ContentViolation("no", "CONTENT_VIOLATION", "task_2", "image_url"))
    event = Event.read("1-0", {"job_id": "job-1", "outcome": refused.model_dump_json(), "settled_at_ms": "1"})
    read = Event.from_webhook(*signed(event.to_webhook()), SECRET)

    error = read.exception()
    assert isinstance(error, ContentViolation)
    assert error.args == ("no", "CONTENT_VIOLATION", "task_2", "image_url")


def test_the_names_of_headers_may_be_in_upper_case() -> None:
    body, headers = signed(EVENT.to_webhook())

    assert Event.from_webhook(body, {name.title(): value for name, value in headers.items()}, SECRET) == EVENT


@pytest.mark.parametrize("signers", [[SECRET], [OLD_SECRET], [SECRET, OLD_SECRET]])
@pytest.mark.parametrize("known", [f"{SECRET} {OLD_SECRET}", [OLD_SECRET, SECRET], (f"{SECRET} {OLD_SECRET}",)])
def test_any_of_several_secrets_will_do_while_one_is_replaced(signers: list[str], known: Any) -> None:
    assert Event.from_webhook(*signed(EVENT.to_webhook(), *signers), known) == EVENT


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "1764590042000-4"},
        {"webhook-timestamp": "1764590042"},
        {"webhook-timestamp": "soon"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "nonsense"},
        {"webhook-signature": "v1,ä"},
        {"webhook-signature": ""},
    ],
)
def test_a_changed_header_makes_a_webhook_invalid(change: Mapping[str, str]) -> None:
    body, headers = signed(EVENT.to_webhook())

    with pytest.raises(WebhookInvalid, match="400") as caught:
        Event.from_webhook(body, {**headers, **change}, SECRET)
    assert "whsec" not in str(caught.value)


def test_a_changed_body_makes_a_webhook_invalid() -> None:
    body, headers = signed(EVENT.to_webhook())

    for changed in (body.replace(b"job-1", b"job-2"), body + b" ", b"", b"\xff"):
        with pytest.raises(WebhookInvalid):
            Event.from_webhook(changed, headers, SECRET)


def test_a_webhook_of_another_account_is_invalid() -> None:
    with pytest.raises(WebhookInvalid):
        Event.from_webhook(*signed(EVENT.to_webhook(), OLD_SECRET), SECRET)


@pytest.mark.parametrize("age", [timedelta(minutes=6), timedelta(minutes=-6)])
def test_a_webhook_that_is_sent_again_by_someone_later_is_invalid(age: timedelta) -> None:
    with pytest.raises(WebhookInvalid, match="clock"):
        Event.from_webhook(*signed(EVENT.to_webhook(), age=age), SECRET)


@pytest.mark.parametrize("content", ["nonsense", [], {}, {"data": {}}, {"data": "x"}, {"data": {"id": "x"}}])
def test_a_signed_webhook_of_another_kind_is_invalid(content: Any) -> None:
    with pytest.raises(WebhookInvalid):
        Event.from_webhook(*signed(content), SECRET)


@pytest.mark.parametrize("secret", ["", " ", [], "whsec_ä", "whsec_a"])
def test_a_secret_that_is_none_is_said_and_not_quoted(secret: Any) -> None:
    with pytest.raises(InvalidArgument, match="WANIMATE_WEBHOOK_SECRET"):
        Event.from_webhook(*signed(EVENT.to_webhook()), secret)


def test_without_its_library_the_error_says_what_to_install() -> None:
    code = """
import sys
sys.modules["standardwebhooks"] = None
from wanimate import Event, WanimateError
try:
    Event.from_webhook(b"", {}, "whsec_")
except WanimateError as error:
    print(type(error).__name__, error)
"""
    said = subprocess.check_output([sys.executable, "-c", code], text=True)

    assert said.startswith("WanimateError ")
    assert "wanimate[webhooks]" in said
