"""The options of a simulator."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from types import MappingProxyType

#: The options that a reset may change.
_CHANGEABLE = frozenset(
    {
        "cap",
        "rate",
        "speed",
        "seed",
        "mean_seconds",
        "sigma",
        "failure_rate",
        "failure_codes",
        "content_violation_rate",
        "length_share",
        "balance_usd",
        "price_480p",
        "price_720p",
        "result_ttl_seconds",
        "video_bytes",
    }
)
#: The default failure codes and their weights.
_FAILURE_CODES = MappingProxyType({"GENERATION_FAILED": 1.0})
#: Sizes that a video may have: it has room for its headers, and for its length in 32 bits.
MIN_VIDEO_BYTES, MAX_VIDEO_BYTES = 1000, 1_000_000_000


class InvalidOptionsError(ValueError):
    """An option is unknown, of the wrong type or out of range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The vendor's limits and the simulated rendering; the limits' source is the vendor's page, "Rate Limits".

    Args:
        cap: tasks that may be in flight at once.
        rate: requests allowed in 60 simulated seconds.
        speed: simulated seconds in one real second.
        seed: seed of every draw.
        api_keys: the keys that are accepted.
        mean_seconds: mean duration of animate at 480p, in simulated seconds.
        sigma: standard deviation of the duration's natural logarithm.
        failure_rate: share of tasks that end in one of `failure_codes`.
        failure_codes: the codes of those failures, each with its weight.
        content_violation_rate: share of markers that end in CONTENT_VIOLATION.
        length_share: share of the mean duration that is proportional to the video's length, between 0 and 1.
        balance_usd: balance to begin with, in US dollars; None for more than any run spends.
        price_480p: US dollars a billed second at 480p. Assumed, like the next: the vendor publishes none.
        price_720p: US dollars a billed second at 720p.
        result_ttl_seconds: simulated seconds from a task's end until its result URL answers 403.
        video_bytes: size of every video.
        public_url: base of result URLs; None for the address that the submission was sent to.
        allow_non_loopback: whether callbacks may leave this machine.
    """

    cap: int = 1000
    rate: int = 10_000
    speed: float = 1.0
    seed: int = 0
    api_keys: tuple[str, ...] = ("simulator-key",)
    mean_seconds: float = 41.0
    sigma: float = 0.3
    failure_rate: float = 0.0
    failure_codes: Mapping[str, float] = field(default_factory=lambda: _FAILURE_CODES)
    content_violation_rate: float = 0.0
    length_share: float = 0.8
    balance_usd: float | None = None
    price_480p: float = 0.04
    price_720p: float = 0.08
    result_ttl_seconds: float = 86_400.0
    video_bytes: int = 20_000
    public_url: str | None = None
    allow_non_loopback: bool = False

    def __post_init__(self) -> None:
        """Validate the options."""
        self._require(self.cap >= 1, "cap must be at least 1")
        self._require(self.rate >= 1, "rate must be at least 1")
        self._require(isfinite(self.speed) and self.speed > 0, "speed must be above 0")
        self._require(bool(self.api_keys) and all(self.api_keys), "api_keys must contain at least one non-empty key")
        self._require(isfinite(self.mean_seconds) and self.mean_seconds > 0, "mean_seconds must be above 0")
        self._require(isfinite(self.sigma) and self.sigma >= 0, "sigma must be at least 0")
        self._require(0 <= self.failure_rate <= 1, "failure_rate must be between 0 and 1")
        self._require(are_weights(self.failure_codes), "failure_codes must have a weight above 0 for each code")
        self._require(0 <= self.content_violation_rate <= 1, "content_violation_rate must be between 0 and 1")
        self._require(0 <= self.length_share <= 1, "length_share must be between 0 and 1")
        for name in ("balance_usd", "price_480p", "price_720p", "result_ttl_seconds"):
            value = getattr(self, name)
            self._require(value is None or (isfinite(value) and value >= 0), f"{name} must be at least 0")
        sizes = f"between {MIN_VIDEO_BYTES} and {MAX_VIDEO_BYTES}"
        self._require(MIN_VIDEO_BYTES <= self.video_bytes <= MAX_VIDEO_BYTES, f"video_bytes must be {sizes}")
        total = self.failure_rate + self.content_violation_rate
        self._require(total <= 1, "failure_rate plus content_violation_rate must be at most 1")

    def changed(self, changes: Mapping[str, object]) -> "Options":
        """Return these options with some values replaced.

        Raises:
            InvalidOptionsError: a name may not be changed, or a value is of the wrong type or range.
        """
        unknown = sorted(set(changes) - _CHANGEABLE)
        self._require(not unknown, f"unknown option: {', '.join(unknown)}")
        whole = {field.name for field in fields(self) if field.type is int}
        for name, value in changes.items():
            if name == "failure_codes" or (name == "balance_usd" and value is None):
                continue  # The first checks itself.
            kinds = (int,) if name in whole else (int, float)
            right = isinstance(value, kinds) and not isinstance(value, bool)
            self._require(right, f"{name} must be {'an integer' if name in whole else 'a number'}")
        return replace(self, **changes)  # type: ignore[arg-type]  # each value was checked just above

    @staticmethod
    def _require(held: bool, message: str) -> None:  # noqa: FBT001  # the one argument is the condition itself
        if not held:
            raise InvalidOptionsError(message)


def are_weights(codes: object) -> bool:
    """Tell whether a value gives at least one code, and each a weight above 0."""
    if not isinstance(codes, Mapping) or not codes:
        return False
    return all(
        isinstance(code, str) and code and _is_number(weight) and isfinite(weight) and weight > 0
        for code, weight in codes.items()
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
