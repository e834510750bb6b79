"""How a task ends."""

from collections.abc import Mapping
from itertools import accumulate

from .draws import uniform
from .fail_codes import is_lasting
from .prompt_tags import asked_failure

#: The end of a task that does not fail.
SUCCESS = "success"
_VIOLATION = "CONTENT_VIOLATION"


class Outcomes:
    """Decides how the tasks of each marker end.

    Args:
        seed: the simulator's seed.
        failure_rate: share of tasks that end in one of `failure_codes`.
        failure_codes: the codes of those failures, each with its weight.
        content_violation_rate: share of markers that end in CONTENT_VIOLATION.
    """

    def __init__(
        self,
        *,
        seed: int,
        failure_rate: float,
        failure_codes: Mapping[str, float],
        content_violation_rate: float,
    ) -> None:
        self._seed = seed
        self._violation_below = content_violation_rate
        self._failure_below = content_violation_rate + failure_rate
        self._codes = tuple(failure_codes)
        self._weights_below = tuple(accumulate(failure_codes.values()))

    def of(self, marker: str, attempt: int, prompt: str | None) -> str:
        """Return `SUCCESS` or the fail code: what the prompt's tag asks for, or else what is drawn.

        A failure that lasts follows the marker. One by chance follows the attempt as well, so that a retry may succeed.

        Args:
            marker: the request's name for itself.
            attempt: counts the accepted tasks of this marker, from 1.
            prompt: the request's prompt.
        """
        asked = asked_failure(prompt)
        if asked is not None and (asked.times is None or attempt <= asked.times):
            return asked.code
        first = self._drawn(marker)
        if attempt == 1 or is_lasting(first):
            return first
        return self._drawn(f"{marker}\x1f{attempt}")

    def _drawn(self, label: str) -> str:
        drawn = uniform(self._seed, "outcome", label)
        if drawn < self._violation_below:
            return _VIOLATION
        return self._failure(label) if drawn < self._failure_below else SUCCESS

    def _failure(self, label: str) -> str:
        drawn = uniform(self._seed, "fail_code", label) * self._weights_below[-1]
        return next(code for code, below in zip(self._codes, self._weights_below, strict=True) if drawn < below)
