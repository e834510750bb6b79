"""How long a motion video is, which decides what a task costs and how long it takes."""

from math import isfinite
from urllib.parse import parse_qs, urlsplit

from .draws import uniform

#: Query parameter of the video URL that gives its length in seconds.
_LENGTH_PARAMETER = "seconds"
#: Drawn lengths, in seconds: most are short, few are long. Assumed: the vendor publishes no such figure.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 5.0, 60.0
_SKEW = 3
#: Mean of the drawn lengths.
MEAN_VIDEO_SECONDS = _SHORTEST_SECONDS + (_LONGEST_SECONDS - _SHORTEST_SECONDS) / (_SKEW + 1)
#: Source: the vendor's page, "Tips": shorter is billed as 5 s, longer as 120 s.
_LEAST_BILLED_SECONDS, _MOST_BILLED_SECONDS = 5.0, 120.0


def stated_seconds(video_url: str) -> float | None:
    """Return the length that a video URL states, if it does.

    Raises:
        ValueError: it states no number of seconds above 0.
    """
    stated = parse_qs(urlsplit(video_url).query).get(_LENGTH_PARAMETER)
    if stated is None:
        return None
    seconds = float(stated[0])
    if not isfinite(seconds) or seconds <= 0:
        raise ValueError("no length above 0")
    return seconds


def drawn_seconds(seed: int, marker: str) -> float:
    """Return the length of a video whose URL does not state it, the same for the same marker."""
    share = uniform(seed, "video_seconds", marker) ** _SKEW
    return round(_SHORTEST_SECONDS + (_LONGEST_SECONDS - _SHORTEST_SECONDS) * share, 2)


def billed_seconds(video_seconds: float) -> float:
    """Return the seconds that a video of a length is billed as."""
    return min(max(video_seconds, _LEAST_BILLED_SECONDS), _MOST_BILLED_SECONDS)
