"""What a job will probably cost, in seconds of video that the vendor bills."""

from __future__ import annotations

from typing import Final

#: Shorter videos are billed as this, in seconds (vendor document, "Tips").
SHORTEST_BILLED_SECONDS: Final = 5.0
#: Longer videos are billed as this, in seconds (vendor document, "Tips").
LONGEST_BILLED_SECONDS: Final = 120.0


def billed_seconds(video_seconds: float | None) -> float:
    """Return an estimate of the seconds that the vendor bills for one task.

    Args:
        video_seconds: The length of the motion video; None if it is not known, which counts as the longest.
    """
    if video_seconds is None:
        return LONGEST_BILLED_SECONDS
    return max(SHORTEST_BILLED_SECONDS, min(LONGEST_BILLED_SECONDS, video_seconds))
