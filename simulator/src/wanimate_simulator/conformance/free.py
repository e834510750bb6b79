"""The free checks: no request can become a task, unless the API accepts an invalid one."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from .api import Api, Observed
from .findings import Finding, Verdict, judged

_WRONG_KEY = "wanimate-simulator-check"
_UNKNOWN_TASK = "task_00000000000000000000000000000000"
_UNKNOWN_MODEL_PATH = "/api/v1/generateTask/wanimate-no-such-model"
_BAD_REQUEST, _UNAUTHORIZED, _NOT_FOUND = 400, 401, 404
_ENVELOPE = "code (as the HTTP status), message, data"
#: The host does not exist, so that a wrongly accepted task has no input.
_VALID: dict[str, Any] = {
    "request_type": "async",
    "provider": "auto",
    "input": {
        "mode": "standard",
        "type": "animate",
        "image_urls": ["https://wanimate-check.invalid/character.png"],
        "video_urls": ["https://wanimate-check.invalid/motion.mp4"],
        "prompt": "keep the face stable",
        "resolution": "480p",
        "seed": -1,
    },
}


def _with(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(_VALID), **changes}


def _with_input(**changes: Any) -> dict[str, Any]:
    return _with(input={**_VALID["input"], **changes})


_IMAGE = _VALID["input"]["image_urls"][0]
#: Submissions with one thing wrong.
_WRONG: dict[str, bytes | dict[str, Any]] = {
    "body": b"{",
    "input": _with(input=[]),
    "request_type": _with(request_type="sync"),
    "callback_url": _with(request_type="callback"),
    "mode": _with_input(mode="pro"),
    "type": _with_input(type="dance"),
    "image_urls": _with_input(image_urls=[_IMAGE, _IMAGE]),
    "video_urls": _with_input(video_urls=[]),
    "prompt": _with_input(prompt=""),
    "resolution": _with_input(resolution="1080p"),
    "seed": _with_input(seed=-2),
}


def free_checks(api: Api) -> Iterator[Finding]:
    """Check keys, the balance, unknown tasks and models, and wrong parameters.

    Args:
        api: the API to check.
    """
    errors: list[Observed] = []
    yield from _keys(api, errors)
    before = api.balance()
    yield judged(
        "Balance",
        "200, data: US dollars, a number",
        before.shown + (f", data {api.shown(before.data)}" if before.is_success else ""),
        conforms=before.is_success and is_amount(before.data),
    )
    yield from _unknown(api, errors)
    yield from _wrong_parameters(api, errors)
    yield _envelopes(errors)
    yield _charge(before, api.balance())


def is_amount(value: object) -> bool:
    """Tell whether a value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _keys(api: Api, errors: list[Observed]) -> Iterator[Finding]:
    asks: dict[str, Callable[[], Observed]] = {
        "Submission without a key": lambda: api.submit(_VALID, key=None),
        "Submission with a wrong key": lambda: api.submit(_VALID, key=_WRONG_KEY),
        "Status with a wrong key": lambda: api.status(_UNKNOWN_TASK, key=_WRONG_KEY),
        "Balance with a wrong key": lambda: api.balance(key=_WRONG_KEY),
    }
    for subject, ask in asks.items():
        observed = ask()
        errors.append(observed)
        yield judged(subject, "401", observed.shown, conforms=observed.status == _UNAUTHORIZED)


def _unknown(api: Api, errors: list[Observed]) -> Iterator[Finding]:
    asks: dict[str, Callable[[], Observed]] = {
        "Status of an unknown task": lambda: api.status(_UNKNOWN_TASK),
        "Submission to an unknown model": lambda: api.submit(_with(), path=_UNKNOWN_MODEL_PATH),
    }
    for subject, ask in asks.items():
        observed = ask()
        errors.append(observed)
        verdict = {_NOT_FOUND: Verdict.CONFORMS, _BAD_REQUEST: Verdict.EITHER}.get(observed.status or 0)
        yield Finding(subject, "404; the model's page: 400", observed.shown, verdict or Verdict.DIFFERS)
    observed = api.status(None)
    errors.append(observed)
    yield judged("Status without a taskId", "400", observed.shown, conforms=observed.status == _BAD_REQUEST)


def _wrong_parameters(api: Api, errors: list[Observed]) -> Iterator[Finding]:
    accepted = False
    for name, content in _WRONG.items():
        subject, documented = f"Wrong {name}", "400"
        if accepted:
            note = "an earlier wrong request was accepted, and may be billed"
            yield Finding(subject, documented, note, Verdict.NOT_CHECKED)
            continue
        observed = api.submit(content)
        # A response of 200 may mean a task.
        accepted = observed.status is not None and observed.status < _BAD_REQUEST
        if not accepted:
            errors.append(observed)
        yield judged(subject, documented, observed.shown, conforms=observed.status == _BAD_REQUEST)


def _envelopes(errors: list[Observed]) -> Finding:
    wrong = [each.shown for each in errors if not each.is_enveloped]
    seen = f"{len(errors) - len(wrong)} of {len(errors)}" + (f"; not: {wrong[0]}" if wrong else "")
    return judged("Envelope of errors", _ENVELOPE, seen, conforms=not wrong)


def _charge(before: Observed, after: Observed) -> Finding:
    subject, documented = "Balance after refused requests", "as before"
    if not (is_amount(before.data) and is_amount(after.data)):
        return Finding(subject, documented, "no balance to compare", Verdict.NOT_CHECKED)
    spent_usd = before.data - after.data
    seen = "as before" if spent_usd <= 0 else f"{spent_usd:.4f} USD less; other use of this key lowers it too"
    return judged(subject, documented, seen, conforms=spent_usd <= 0)
