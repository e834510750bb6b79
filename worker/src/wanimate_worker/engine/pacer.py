"""When to poll a task next: the planner, fed with what Redis knows."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from wanimate.contract.durations import CALLED_FIELD, TOTAL_FIELD, Kinds, kind_of

from ..pacing import Bounds, Mix, Pace, fallback_share, polls_per_second, stride_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..ledger import Ledger
    from ..settings import WorkerSettings

#: How long one survey is planned from, in seconds.
_SURVEY_SECONDS: Final = 1.0
#: Due jobs are checked sooner than this, in ms, unless there is too much to do.
_GRACE_MS: Final = 250
#: And within the time of so many requests: each waits for its permit, and leaves one to a submission.
_GRACE_REQUESTS: Final = 3
#: A share of new tasks that is too small to change a plan.
_SAME_DURATIONS_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class _Plan:
    mix: Mix
    stride: float
    floor_seconds: float
    #: The time between two requests. A poll waits about so long for its permit, and is planned so much earlier.
    permit_seconds: float
    bounds: Bounds


class Pacer:
    """Plans polls from a survey of the ledger, read again at most once a second; safe to share between threads.

    Args:
        ledger: The account's ledger.
        settings: The worker's settings.
        clock: Returns a time in seconds that is never set back.
        chance: Returns a random number in [0, 1).
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: WorkerSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._ledger = ledger
        self._settings = settings
        self._reading = threading.Lock()
        self._plan: _Plan | None = None
        self._mix: Mix | None = None
        self._mix_total = 0
        self._pace = Pace(())
        self._read_at = 0.0

    def next_poll_ms(self, request: Mapping[str, Any], age_ms: int = 0, until_ms: int | None = None) -> int:
        """Return in how many ms to poll a task.

        Args:
            request: What its job asks for.
            age_ms: How long the vendor has had it; 0 if it was just accepted.
            until_ms: When it must be checked at the latest, in ms from now; None for any time.
        """
        plan = self._current()
        urgency = plan.mix.of(kind_of(request))
        seconds = urgency.next_poll_seconds(age_ms / 1000, plan.stride, plan.floor_seconds, self._chance(), plan.bounds)
        delay_ms = round(max(plan.floor_seconds, seconds - plan.permit_seconds) * 1000)
        return delay_ms if until_ms is None or until_ms <= 0 else min(delay_ms, until_ms)

    def _current(self) -> _Plan:
        plan = self._plan
        if plan is not None and self._clock() < self._read_at + _SURVEY_SECONDS:
            return plan
        # One thread reads; the others go on with what there is, if there is anything.
        if self._reading.acquire(blocking=plan is None):
            try:
                if self._plan is plan:
                    self._plan = self._survey()
                    self._read_at = self._clock()
            finally:
                self._reading.release()
        return self._plan or self._survey()

    def _mix_of(self, durations: Mapping[str, str], in_flight_by_age: Sequence[tuple[float, int]]) -> Mix:
        """Return what is known of durations; what was made of it before serves until something has changed."""
        total = int(durations.get(TOTAL_FIELD, 0))
        pace = Pace.learn(durations, in_flight_by_age)
        mix, is_same = self._mix, self._mix_total <= total <= self._mix_total * (1 + _SAME_DURATIONS_SHARE)
        if mix is None or not is_same or not pace.is_like(self._pace):
            mix = self._mix = Mix(Kinds.read(durations, pace.expected_shares))
            self._mix_total, self._pace = total, pace
        return mix

    def _survey(self) -> _Plan:
        known, settings = self._plan, self._settings
        grace_ms = 0 if known is None else round(_GRACE_REQUESTS * known.permit_seconds * 1000)
        survey = self._ledger.polls.survey(max(_GRACE_MS, grace_ms))
        mix = self._mix_of(survey.durations, survey.in_flight_by_age)
        free = max(0, survey.max_in_flight - survey.in_flight)
        # Where the account's limits are not known nothing is polled, whatever is planned.
        budget = survey.requests_per_second or 1.0
        polls = polls_per_second(
            budget,
            survey.in_flight,
            mix.mean_seconds,
            lag_seconds=mix.lag_seconds(budget, survey.in_flight),
            free_and_wanted=min(survey.waiting, free),
            late=survey.late,
            spare=survey.spare,
        )
        floor_seconds, share = settings.poll_floor_seconds, 1.0
        if settings.callback_base_url is not None:
            share = fallback_share(float(survey.durations.get(CALLED_FIELD, 1)))
            polls, floor_seconds = polls * share, floor_seconds / share
        return _Plan(
            mix,
            stride_of(mix.urgency(survey.in_flight_by_age), polls, mix.mean_seconds, floor_seconds),
            floor_seconds,
            # Polls that stand in for callbacks are in no hurry.
            share / budget,
            Bounds.of(budget, survey.in_flight, mix.mean_seconds, share),
        )
