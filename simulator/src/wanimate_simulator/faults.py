"""The fault switches, and the random numbers that decide when a fault occurs."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from . import checks
from .draws import uniform

#: The switches that affect a share of the requests, tasks or callbacks.
RateSwitch = Literal[
    "drop_answer_rate",
    "drop_before_rate",
    "error_5xx_rate",
    "error_5xx_after_accept_rate",
    "unavailable_rate",
    "slow_rate",
    "throttle_rate",
    "bad_json_rate",
    "malformed_body_rate",
    "unknown_state_rate",
    "callback_missing_rate",
    "callback_duplicate_rate",
    "callback_hold_rate",
    "callback_replay_rate",
    "callback_forged_rate",
    "callback_other_signature_rate",
    "callback_premature_rate",
    "callback_wrong_task_rate",
    "callback_huge_rate",
    "download_hang_rate",
    "download_error_rate",
    "download_wrong_body_rate",
    "download_cut_rate",
    "download_truncated_rate",
    "download_slow_rate",
]


class InvalidFaultsError(ValueError):
    """A fault switch is unknown or has an invalid value."""


def _switch(default: object, check: Callable[[object], object]) -> Any:  # Any, as `dataclasses.field` returns
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The values of all fault switches; all are off by default.

    Args:
        drop_answer_rate: share of accepted submits whose connection closes without an answer.
        drop_before_rate: share of requests whose connection closes before they are processed.
        error_5xx_rate: share of requests answered 500, 502 or 504 without accepting a task, half of them as pages.
        error_5xx_after_accept_rate: share of accepted submits answered with such an error.
        unavailable_rate: share of requests answered 503 in the envelope without accepting a task.
        latency_ms: real milliseconds added to every answer.
        slow_rate: share of answers delayed by `slow_ms`.
        slow_ms: real milliseconds of that delay.
        throttle_rate: share of requests answered 429 without a reason.
        retry_after: form of the Retry-After header of every 429, or None for no header.
        retry_after_seconds: real seconds that header asks to wait.
        concurrency_used_elsewhere: tasks that other users of the key have in flight.
        outage: whether every request is answered 503, by a page.
        outage_windows: the same, in spans of real seconds since the start or the last reset.
        outage_in_envelope: whether those answers come in the envelope.
        refuse_for_seconds: real seconds without a listening socket, once, from the PUT on.
        bad_json_rate: share of 200 answers whose body is cut short.
        malformed_body_rate: share of 200 answers with a body of another shape, each of `malformed.FORMS` in turn.
        unknown_fields: whether answers have undocumented fields.
        unknown_state_rate: share of status answers with the undocumented state `queued_v2`.
        forget_rate: share of tasks whose status is answered "task not found" permanently.
        not_found_status: the status of that answer; the vendor's pages have 404, its page of this model only 400.
        stalled: whether tasks make no progress; overdue tasks end when this is switched off.
        revoked_keys: keys answered 401.
        forbidden: whether every submission is answered 403 in the envelope, without a reason.
        forbidden_message: the message of those answers; None for no more than "Forbidden".
        waf: whether every submission is answered by the page of a web application firewall.
        waf_status: the status of that page.
        out_of_credit: whether every submission is answered 402.
        callback_missing_rate: share of callbacks never sent.
        callback_duplicate_rate: share of callbacks sent twice.
        callback_delay_seconds: real seconds between a task's end and its callback.
        callback_hold_rate: share of callbacks delayed by up to `callback_hold_seconds`, so that others overtake them.
        callback_hold_seconds: maximum of that random delay, in real seconds.
        callback_replay_rate: share of callbacks whose last POST is made again `callback_replay_seconds` later.
        callback_replay_seconds: real seconds in between.
        callback_forged_rate: share of tasks with an extra POST to a URL whose end was changed.
        callback_other_signature_rate: share of tasks with an extra POST to a URL that ends like another task's.
        callback_premature_rate: share of tasks with an extra POST that claims success while the task runs.
        callback_wrong_task_rate: the same, with another task's id.
        callback_huge_rate: share of tasks with an extra POST of 10 MB.
        result_expired_rate: share of tasks whose result is answered 403 from the start.
        download_hang_rate: share of downloads that get no byte for `download_hang_seconds`; then the connection closes.
        download_hang_seconds: real seconds of that wait.
        download_error_rate: share of downloads answered 500 or 503, in turn.
        download_wrong_body_rate: share of downloads with a body that is no video, each of `results.BODIES` in turn.
        download_cut_rate: share of downloads whose connection closes before Content-Length.
        download_truncated_rate: share of downloads that end early and have no Content-Length.
        download_slow_rate: share of downloads that get no more than `download_bytes_per_second`.
        download_bytes_per_second: bytes in a real second of those.
    """

    drop_answer_rate: float = _switch(0.0, checks.rate)
    drop_before_rate: float = _switch(0.0, checks.rate)
    error_5xx_rate: float = _switch(0.0, checks.rate)
    error_5xx_after_accept_rate: float = _switch(0.0, checks.rate)
    unavailable_rate: float = _switch(0.0, checks.rate)
    latency_ms: float = _switch(0.0, checks.amount)
    slow_rate: float = _switch(0.0, checks.rate)
    slow_ms: float = _switch(0.0, checks.amount)
    throttle_rate: float = _switch(0.0, checks.rate)
    retry_after: checks.RetryAfter | None = _switch(None, checks.retry_after)  # noqa: RUF009  # the default is immutable
    retry_after_seconds: float = _switch(1.0, checks.amount)
    concurrency_used_elsewhere: int = _switch(0, checks.count)
    outage: bool = _switch(False, checks.switch)  # noqa: FBT003  # the default reads as the switch's position
    outage_windows: tuple[tuple[float, float], ...] = _switch((), checks.windows)
    outage_in_envelope: bool = _switch(False, checks.switch)  # noqa: FBT003  # as above
    refuse_for_seconds: float = _switch(0.0, checks.amount)
    bad_json_rate: float = _switch(0.0, checks.rate)
    malformed_body_rate: float = _switch(0.0, checks.rate)
    unknown_fields: bool = _switch(False, checks.switch)  # noqa: FBT003  # as above
    unknown_state_rate: float = _switch(0.0, checks.rate)
    forget_rate: float = _switch(0.0, checks.rate)
    not_found_status: int = _switch(404, checks.not_found_status)
    stalled: bool = _switch(False, checks.switch)  # noqa: FBT003  # as above
    revoked_keys: tuple[str, ...] = _switch((), checks.keys)
    forbidden: bool = _switch(False, checks.switch)  # noqa: FBT003  # as above
    forbidden_message: str | None = _switch(None, checks.text)
    waf: bool = _switch(False, checks.switch)  # noqa: FBT003  # as above
    waf_status: int = _switch(403, checks.error_status)
    out_of_credit: bool = _switch(False, checks.switch)  # noqa: FBT003  # as above
    callback_missing_rate: float = _switch(0.0, checks.rate)
    callback_duplicate_rate: float = _switch(0.0, checks.rate)
    callback_delay_seconds: float = _switch(0.0, checks.amount)
    callback_hold_rate: float = _switch(0.0, checks.rate)
    callback_hold_seconds: float = _switch(5.0, checks.amount)
    callback_replay_rate: float = _switch(0.0, checks.rate)
    callback_replay_seconds: float = _switch(1.0, checks.amount)
    callback_forged_rate: float = _switch(0.0, checks.rate)
    callback_other_signature_rate: float = _switch(0.0, checks.rate)
    callback_premature_rate: float = _switch(0.0, checks.rate)
    callback_wrong_task_rate: float = _switch(0.0, checks.rate)
    callback_huge_rate: float = _switch(0.0, checks.rate)
    result_expired_rate: float = _switch(0.0, checks.rate)
    download_hang_rate: float = _switch(0.0, checks.rate)
    download_hang_seconds: float = _switch(60.0, checks.amount)
    download_error_rate: float = _switch(0.0, checks.rate)
    download_wrong_body_rate: float = _switch(0.0, checks.rate)
    download_cut_rate: float = _switch(0.0, checks.rate)
    download_truncated_rate: float = _switch(0.0, checks.rate)
    download_slow_rate: float = _switch(0.0, checks.rate)
    download_bytes_per_second: int = _switch(10_000, checks.positive_count)

    @classmethod
    def parse(cls, switches: object) -> "Faults":
        """Read a decoded JSON object; switches that it does not contain are off.

        Raises:
            InvalidFaultsError: a switch is unknown or has an invalid value.
        """
        if not isinstance(switches, Mapping):
            raise InvalidFaultsError("faults must be a JSON object")
        known = {each.name: each.metadata["check"] for each in fields(cls)}
        positions: dict[str, Any] = {}
        for name, value in switches.items():
            if name not in known:
                raise InvalidFaultsError(f"unknown fault: {name}")
            try:
                positions[name] = known[name](value)
            except ValueError as error:
                raise InvalidFaultsError(f"{name} {error}") from None
        return cls(**positions)

    def as_json(self) -> dict[str, object]:
        """Return every switch by name, ready for JSON."""
        return asdict(self)

    def is_out(self, now_seconds: float) -> bool:
        """Return whether there is an outage at a time, in real seconds since the start."""
        return self.outage or any(start <= now_seconds < end for start, end in self.outage_windows)


class FaultBoard:
    """Holds the current switches and a separate seeded random sequence for each of them.

    Args:
        seed: the simulator's seed.
        current: the switches at the start.
    """

    def __init__(self, *, seed: int, current: Faults) -> None:
        self.current = current
        self.struck: Counter[str] = Counter()
        self._seed = seed
        self._rolled: Counter[str] = Counter()

    def strikes(self, switch: RateSwitch) -> bool:
        """Decide at random whether a fault occurs, and count it."""
        rate: float = getattr(self.current, switch)
        if rate <= 0.0:
            return False
        if self.share(switch) >= rate:
            return False
        self.struck[switch] += 1
        return True

    def note(self, switch: str) -> None:
        """Count a fault that is not random."""
        self.struck[switch] += 1

    def share(self, purpose: str) -> float:
        """Draw a number strictly between 0 and 1."""
        self._rolled[purpose] += 1
        return uniform(self._seed, purpose, str(self._rolled[purpose]))

    def delay_seconds(self) -> float:
        """Return the delay of the next answer, in real seconds."""
        slow_ms = self.current.slow_ms if self.strikes("slow_rate") else 0.0
        return (self.current.latency_ms + slow_ms) / 1000
