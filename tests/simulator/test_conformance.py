"""The checks find nothing at the simulator, and each finds an API that is not as documented."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from wanimate_simulator.cli import main
from wanimate_simulator.conformance import (
    Api,
    Finding,
    Listener,
    Sample,
    UnsafeAddressError,
    Verdict,
    free_checks,
    paid_checks,
)

pytestmark = pytest.mark.slow

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
STATUS = "/api/v1/statusTask/wan-2-2-animate"
BALANCE = "/api/v1/apikeys/current-balance"
KEY = "simulator-key"
SAMPLE = Sample("https://example.com/a.png", "https://example.com/a.mp4?seconds=5", poll_seconds=0.02)

Change = Callable[[httpx.Request, dict[str, Any]], Any]
Eventually = Callable[..., Any]


class Altered(httpx.BaseTransport):
    """Passes requests on to the simulator and changes what it answers."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._real = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._real.handle_request(request)
        answer.read()
        body = json.loads(answer.content)
        changed = self._change(request, body)
        if isinstance(changed, httpx.Response):
            return changed
        body = body if changed is None else changed
        code = body.get("code", answer.status_code) if isinstance(body, dict) else answer.status_code
        return httpx.Response(code if isinstance(code, int) else answer.status_code, json=body)

    def close(self) -> None:
        self._real.close()


@pytest.fixture
def api_with(live_url: str) -> Iterator[Callable[[Change | None], Api]]:
    """An API to check: the simulator, with answers that a test changes."""
    made: list[Api] = []

    def make(change: Change | None = None, key: str = KEY) -> Api:
        transport = Altered(change) if change else None
        made.append(Api(live_url, key, requests_per_minute=10_000, transport=transport, sleep=wait))
        return made[-1]

    yield make
    for api in made:
        api.close()


def wait(seconds: float) -> None:
    time.sleep(min(seconds, 0.02))


def verdicts(findings: list[Finding]) -> dict[str, Verdict]:
    return {each.subject: each.verdict for each in findings}


def test_the_simulator_conforms(live: httpx.Client, api_with: Callable[..., Api]) -> None:
    api = api_with()

    findings = [*free_checks(api), *paid_checks(api, SAMPLE)]

    unlike = {each.subject: each for each in findings if each.verdict is not Verdict.CONFORMS}
    # At a speed of 200 the duration is not the time that passes.
    assert {subject: each.verdict for subject, each in unlike.items()} == {
        "costTime": Verdict.EITHER,
    }, unlike
    assert len(findings) == 35
    assert live.get("/simulator/summary").json()["accepted"] == 1


def test_where_the_vendors_pages_differ_either_reading_passes(live: httpx.Client, api_with: Callable[..., Api]) -> None:
    live.put("/simulator/faults", json={"not_found_status": 400})

    found = verdicts(list(free_checks(api_with())))

    assert found["Status of an unknown task"] is Verdict.EITHER
    assert Verdict.DIFFERS not in found.values()


def answers(path: str, code: int | None = None, **data: Any) -> Change:
    """Change the answers of a path: their code, or fields of their data; `...` removes one."""

    def change(request: httpx.Request, body: dict[str, Any]) -> None:
        if request.url.path != path:
            return
        if code is not None and body["code"] != 200:
            body["code"] = code
        if isinstance(body["data"], dict) and body["code"] == 200:
            body["data"] = {key: value for key, value in {**body["data"], **data}.items() if value is not ...}

    return change


def accepts_everything(request: httpx.Request, _: dict[str, Any]) -> Any:
    return {"code": 200, "message": "success", "data": {"taskId": "x"}} if request.url.path == SUBMIT else None


def without_envelope(_: httpx.Request, body: dict[str, Any]) -> Any:
    return httpx.Response(body["code"], json={"error": body["message"]})


def dear(request: httpx.Request, body: dict[str, Any], *, calls: list[int]) -> None:
    if request.url.path == BALANCE and body["code"] == 200:
        calls.append(1)
        body["data"] = 100 - len(calls)


#: Each check of the free part, and what makes it fail.
FREE: dict[str, Change] = {
    **dict.fromkeys(["Submission without a key", "Submission with a wrong key"], answers(SUBMIT, 403)),
    "Status with a wrong key": answers(STATUS, 403),
    "Balance with a wrong key": answers(BALANCE, 403),
    "Balance": lambda request, body: body.update(data="12.5") if request.url.path == BALANCE else None,
    "Status of an unknown task": answers(STATUS, 500),
    "Submission to an unknown model": lambda request, body: (
        body.update(code=500) if "no-such" in str(request.url) else None
    ),
    "Status without a taskId": answers(STATUS, 422),
    **dict.fromkeys(
        [
            f"Wrong {name}"
            for name in (
                *("body", "input", "request_type", "callback_url", "mode", "type"),
                *("image_urls", "video_urls", "prompt", "resolution", "seed"),
            )
        ],
        answers(SUBMIT, 422),
    ),
    "Envelope of errors": without_envelope,
    "Balance after refused requests": lambda request, body, calls=[]: dear(request, body, calls=calls),
}


def test_each_free_check_can_fail(live: httpx.Client, api_with: Callable[..., Api]) -> None:
    subjects = [each.subject for each in free_checks(api_with())]
    assert subjects == list(FREE)

    for change in dict.fromkeys(FREE.values()):
        found = verdicts(list(free_checks(api_with(change))))
        expected = [subject for subject, each in FREE.items() if each is change]
        assert [found[subject] for subject in expected] == [Verdict.DIFFERS] * len(expected), (expected, found)
    assert live.get("/simulator/summary").json()["accepted"] == 0


def test_no_wrong_request_follows_one_that_was_accepted(live: httpx.Client, api_with: Callable[..., Api]) -> None:
    findings = list(free_checks(api_with(accepts_everything)))

    wrong = [each.verdict for each in findings if each.subject.startswith("Wrong ")]
    assert wrong == [Verdict.DIFFERS] + [Verdict.NOT_CHECKED] * 10
    assert live.get("/simulator/summary").json()["submits_total"] == 3


#: Each check of the paid part, and what makes it fail.
PAID: dict[str, Change] = {
    "Submission": answers(SUBMIT, taskId=...),
    "Status answers": lambda request, body: body.update(code=500) if request.url.path == STATUS else None,
    "States": answers(STATUS, state="done"),
    "Order of states": lambda request, body, states=["processing", "pending", "success"]: (
        body["data"].update(state=states.pop(0)) if request.url.path == STATUS else None
    ),
    "taskId in status": answers(STATUS, taskId="task_another"),
    "Result before the end": answers(STATUS, resultJson="{}", state="processing"),
    "createTime": answers(STATUS, createTime=1_700_000_000),
    "completeTime": answers(STATUS, completeTime=1),
    "costTime": answers(STATUS, costTime="41 s"),
    "End": answers(STATUS, state="failed", failCode="CONTENT_VIOLATION"),
    "resultJson": answers(STATUS, resultJson={"resultUrls": ["https://cdn.example.com/a.mp4"]}),
    "Result URLs": answers(STATUS, resultJson='{"resultUrls": ["http://example.invalid/a.mp4"]}'),
    "Download without the key": answers(STATUS, resultJson='{"resultUrls": ["http://127.0.0.1:9/a.mp4"]}'),
    "Balance after the task": lambda request, body: body.update(data=5) if request.url.path == BALANCE else None,
}


@pytest.mark.parametrize("subject", PAID)
def test_each_paid_check_can_fail(live: httpx.Client, api_with: Callable[..., Api], subject: str) -> None:
    sample = SAMPLE._replace(timeout_seconds=0.3)

    found = verdicts(list(paid_checks(api_with(PAID[subject]), sample)))

    assert found[subject] is Verdict.DIFFERS, found
    assert live.get("/simulator/summary").json()["submits_total"] == 1


def test_every_paid_check_is_among_those_that_can_fail(live: httpx.Client, api_with: Callable[..., Api]) -> None:
    assert [each.subject for each in paid_checks(api_with(), SAMPLE)] == list(PAID)


@pytest.mark.parametrize(
    "change",
    [answers(SUBMIT, taskId=""), answers(SUBMIT, taskId=None), lambda *_: httpx.Response(502, text="<html>")],
)
def test_a_submission_whose_answer_is_lost_is_not_sent_again(
    live: httpx.Client, api_with: Callable[..., Api], change: Change
) -> None:
    [finding] = paid_checks(api_with(change), SAMPLE)

    assert (finding.subject, finding.verdict) == ("Submission", Verdict.DIFFERS)
    assert "billed" in finding.observed
    assert live.get("/simulator/summary").json()["submits_total"] == 1


def test_nothing_is_paid_for_with_a_key_that_is_refused(live: httpx.Client, api_with: Callable[..., Api]) -> None:
    [finding] = paid_checks(api_with(key="wrong"), SAMPLE)

    assert finding.verdict is Verdict.NOT_CHECKED
    assert live.get("/simulator/summary").json()["submits_total"] == 0


def test_a_callback_is_received_and_called_again_after_204(live: httpx.Client, api_with: Callable[..., Api]) -> None:
    with Listener(0) as listener:
        found = verdicts(list(paid_checks(api_with(), SAMPLE._replace(callback_url=listener.url), listener)))

    assert (found["Callback"], found["Callback answered 204"]) == (Verdict.CONFORMS, Verdict.CONFORMS)
    assert len(listener.bodies) == 2


def test_requests_keep_to_the_rate_and_wait_after_429(live: httpx.Client, live_url: str) -> None:
    waits: list[float] = []
    live.put("/simulator/faults", json={"throttle_rate": 1})
    api = Api(live_url, KEY, requests_per_minute=2, sleep=waits.append)

    answer = api.balance()

    api.close()
    assert answer.status == 429
    assert waits.count(10.0) == 7
    paced = [seconds for seconds in waits if seconds != 10.0]
    assert len(paced) == 5
    assert all(55 < seconds <= 60 for seconds in paced)


@pytest.mark.parametrize(
    "url",
    ["http://api.example.com", "http://192.0.2.1:8900", "ftp://api.example.com", "api.example.com", "http://", ""],
)
def test_the_key_goes_to_no_address_in_clear(url: str) -> None:
    with pytest.raises(UnsafeAddressError):
        Api(url, KEY, requests_per_minute=1)


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    ended = CliRunner().invoke(main, ["check", *arguments], env={"COLUMNS": "80", **environment})
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.exit_code, ended.output


def test_the_command_prints_a_table_and_says_what_the_paid_part_costs(live: httpx.Client, live_url: str) -> None:
    fast = ("--base-url", live_url, "--requests-per-minute", "10000")
    urls = ("--spend", "--image-url", SAMPLE.image_url, "--video-url", SAMPLE.video_url)

    code, shown = run(*fast, *urls, WANIMATE_API_KEY=KEY)

    assert code == 0, shown
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.index("0.20 USD") < shown.index("submitted: task_")
    for word in ("documented", "observed", "conforms", "either", "differs: 0"):
        assert word in shown
    assert live.get("/simulator/summary").json()["accepted"] == 1


def test_the_command_ends_with_1_if_something_differs(live: httpx.Client, live_url: str) -> None:
    code, shown = run("--base-url", live_url, "--requests-per-minute", "10000", "--api-key", "Authorization")

    assert code == 1
    assert "differs" in shown
    assert "Authorization" not in shown
    assert live.get("/simulator/summary").json()["accepted"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--base-url", "http://api.example.com"),
        ("--base-url", "https://api.example.com", "--spend"),
        ("--base-url", "https://api.example.com", "--video-url", "https://example.com/a.mp4"),
        ("--base-url", "https://api.example.com", "--callback-port", "8000"),
        (),
    ],
)
def test_the_command_refuses_options_that_make_no_sense(arguments: tuple[str, ...]) -> None:
    code, shown = run(*arguments, "--api-key", KEY)

    assert code == 2
    assert KEY not in shown
