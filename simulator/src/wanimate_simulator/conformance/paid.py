"""The checks that cost one task at 480p."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from ..urls import is_loopback
from .api import Api, Observed
from .findings import Finding, Verdict, judged
from .free import is_amount
from .life import Status, life_checks, watch
from .listener import Listener

#: The balance may change with a delay: number of checks, and seconds between them.
_BALANCE_CHECKS, _BALANCE_SECONDS = 4, 5.0
_MIN_BILLED_SECONDS = 5
_OK, _UNAUTHORIZED = 200, 401
#: Seconds to wait for a callback, and for the call after an answer that does not count.
_CALLBACK_SECONDS, _RETRY_SECONDS = 60.0, 90.0


class Sample(NamedTuple):
    """The one task to pay for.

    Args:
        image_url: the character image.
        video_url: the motion video; 5 s or shorter costs least.
        callback_url: the URL for callbacks, if any.
        poll_seconds: seconds between status requests.
        timeout_seconds: how long to wait for the end.
    """

    image_url: str
    video_url: str
    callback_url: str | None = None
    poll_seconds: float = 6.0
    timeout_seconds: float = 600.0


def paid_checks(
    api: Api, sample: Sample, listener: Listener | None = None, on_task: Callable[[str], None] = lambda _: None
) -> Iterator[Finding]:
    """Submit one task and check its states, its result and its cost. The submission is never sent twice.

    Args:
        api: the API to check.
        sample: the task.
        listener: receives the callback, if this program does.
        on_task: called with the id of the task.
    """
    before = api.balance()
    if before.status in {None, _UNAUTHORIZED}:
        yield Finding("Submission", "200, data.taskId", f"not sent; the balance: {before.shown}", Verdict.NOT_CHECKED)
        return
    submitted_at_ms = time.time() * 1000
    submitted = api.submit(_request(sample))
    task_id = submitted.data.get("taskId") if isinstance(submitted.data, dict) else None
    if not (submitted.is_success and isinstance(task_id, str) and task_id):
        seen = f"{submitted.shown}; no task id, though a task may be there and be billed"
        yield Finding("Submission", "200, data.taskId", seen, Verdict.DIFFERS)
        return
    yield Finding("Submission", "200, data.taskId", submitted.shown, Verdict.CONFORMS)
    on_task(api.shown(task_id))
    answers = watch(api, task_id, sample.poll_seconds, sample.timeout_seconds)
    yield from life_checks(api, task_id, submitted_at_ms, answers)
    end = answers[-1]
    if end.state == "success":
        yield from _result(api, end.data)
    yield _bill(api, before)
    if listener is not None:
        yield from _callback(api, listener, end)


def _request(sample: Sample) -> dict[str, Any]:
    mode = {"request_type": "async"}
    if sample.callback_url is not None:
        mode = {"request_type": "callback", "callback_url": sample.callback_url}
    return {
        **mode,
        "provider": "auto",
        "input": {
            "mode": "standard",
            "type": "animate",
            "image_urls": [sample.image_url],
            "video_urls": [sample.video_url],
            "prompt": "keep the face stable and follow the motion naturally",
            "resolution": "480p",
            "seed": -1,
        },
    }


def _result(api: Api, end: dict[str, Any]) -> Iterator[Finding]:
    urls = _urls(end.get("resultJson"))
    seen = f"{len(urls)} of them" if urls is not None else "not so"
    yield judged("resultJson", "JSON text with an array resultUrls", seen, conforms=bool(urls))
    if not urls:
        return
    hosts = ", ".join(dict.fromkeys(api.shown(_host(each)) for each in urls))
    yield judged("Result URLs", "https", hosts, conforms=all(_is_safe(each) for each in urls))
    status, kind = api.fetch(urls[0])
    seen = f"{status or 'no answer'}, {kind}"
    yield judged("Download without the key", "200, for 24 hours", seen, conforms=status == _OK)


def _bill(api: Api, before: Observed) -> Finding:
    subject, documented = "Balance after the task", "less, by the price of at least 5 s"
    spent_usd = 0.0
    for number in range(_BALANCE_CHECKS):
        after = api.balance()
        if not (is_amount(before.data) and is_amount(after.data)):
            return Finding(subject, documented, f"no balance: {after.shown}", Verdict.DIFFERS)
        spent_usd = before.data - after.data
        if spent_usd > 0:
            break
        if number < _BALANCE_CHECKS - 1:
            api.wait(_BALANCE_SECONDS)
    seen = "no less"
    if spent_usd > 0:
        seen = f"{spent_usd:.4f} USD less: {spent_usd / _MIN_BILLED_SECONDS:.4f} a second, if 5 s were billed"
    return judged(subject, documented, seen, conforms=spent_usd > 0)


def _callback(api: Api, listener: Listener, end: Status) -> Iterator[Finding]:
    subject, documented = "Callback", "a POST of the status answer"
    if not listener.wait_for(1, _CALLBACK_SECONDS):
        yield Finding(subject, documented, f"none within {_CALLBACK_SECONDS:.0f} s", Verdict.DIFFERS)
        return
    body = listener.bodies[0]
    data = body.get("data") if isinstance(body, dict) else None
    is_same = isinstance(data, dict) and all(data.get(each) == end.data.get(each) for each in ("taskId", "state"))
    yield judged(subject, documented, "the same task and state" if is_same else api.shown(body), conforms=is_same)
    # The listener answers the first call 204.
    came_again = listener.wait_for(2, _RETRY_SECONDS)
    seen = f"called again after {listener.gap_seconds():.1f} s" if came_again else "not called again"
    verdict = Verdict.CONFORMS if came_again else Verdict.EITHER
    yield Finding("Callback answered 204", "only 200 counts; called again after about 30 s", seen, verdict)


def _urls(text: object) -> list[str] | None:
    if not isinstance(text, str):
        return None
    try:
        urls = orjson.loads(text)["resultUrls"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return None
    return urls if isinstance(urls, list) and all(isinstance(each, str) for each in urls) else None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:
        return "no URL"


def _is_safe(url: str) -> bool:
    return url.startswith("https://") or (url.startswith("http://") and is_loopback(_host(url)))
