"""What a check found."""

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """Whether what was observed is what is documented."""

    CONFORMS = "conforms"
    #: The vendor's pages differ or do not say; one of the readings was observed.
    EITHER = "either"
    DIFFERS = "differs"
    NOT_CHECKED = "not checked"


class Finding(NamedTuple):
    """The result of one check.

    Args:
        subject: what was checked.
        documented: what the vendor's pages say.
        observed: what happened.
        verdict: whether both agree.
    """

    subject: str
    documented: str
    observed: str
    verdict: Verdict


def judged(subject: str, documented: str, observed: str, *, conforms: bool) -> Finding:
    """Return the finding of a check that knows only yes or no."""
    return Finding(subject, documented, observed, Verdict.CONFORMS if conforms else Verdict.DIFFERS)
