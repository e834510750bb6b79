"""How a task ends."""

from enum import StrEnum

from .draws import uniform

#: A prompt holding this text ends in CONTENT_VIOLATION.
_VIOLATION_TAG = "[violation]"
#: A prompt holding this text ends in GENERATION_FAILED.
_FAIL_TAG = "[fail]"


class Outcome(StrEnum):
    """The ends of a task; the failures are the vendor's fail codes. Source: the vendor's page, "Fail Code"."""

    SUCCESS = "success"
    CONTENT_VIOLATION = "CONTENT_VIOLATION"
    GENERATION_FAILED = "GENERATION_FAILED"

    @property
    def message(self) -> str:
        """The vendor's description of this end."""
        if self is Outcome.CONTENT_VIOLATION:
            return "Content violates safety guidelines"
        if self is Outcome.GENERATION_FAILED:
            return "Video generation failed"
        return "success"


class Outcomes:
    """Decides how each marker ends.

    Args:
        seed: the simulator's seed.
        failure_rate: share of markers that end in GENERATION_FAILED.
        content_violation_rate: share of markers that end in CONTENT_VIOLATION.
    """

    def __init__(self, *, seed: int, failure_rate: float, content_violation_rate: float) -> None:
        self._seed = seed
        self._violation_below = content_violation_rate
        self._failure_below = content_violation_rate + failure_rate

    def of(self, marker: str, prompt: str | None) -> Outcome:
        """Return the end of a request: what its prompt's tag asks for, or else what its marker draws."""
        if prompt is not None and _VIOLATION_TAG in prompt:
            return Outcome.CONTENT_VIOLATION
        if prompt is not None and _FAIL_TAG in prompt:
            return Outcome.GENERATION_FAILED
        drawn = uniform(self._seed, "outcome", marker)
        if drawn < self._violation_below:
            return Outcome.CONTENT_VIOLATION
        if drawn < self._failure_below:
            return Outcome.GENERATION_FAILED
        return Outcome.SUCCESS
