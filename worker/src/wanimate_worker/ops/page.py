"""The limits page: one snapshot as HTML, without scripts."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from wanimate.contract.cost import format_usd

from . import words
from .problems import problems_of

if TYPE_CHECKING:
    from .snapshot import Snapshot

#: How often the page asks for itself again, in seconds.
REFRESH_SECONDS: Final = 5

_TEMPLATES: Final = Environment(
    loader=PackageLoader("wanimate_worker.ops", "templates"),
    # Labels and the vendor's messages are anybody's text.
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(span=words.span, number=words.number, percent=words.percent, usd=format_usd)


def limits_page(snapshot: Snapshot) -> str:
    """Return the page."""
    return _TEMPLATES.get_template("limits.html").render(
        now=snapshot,
        problems=problems_of(snapshot),
        state=words.state_of(snapshot),
        why_waiting=words.why_waiting(snapshot),
        balance=words.balance_of(snapshot.balance),
        balance_details=words.balance_details(snapshot.balance),
        refresh_seconds=REFRESH_SECONDS,
    )


def unavailable_page() -> str:
    """Return the page for the time in which Redis does not answer."""
    return _TEMPLATES.get_template("unavailable.html").render(refresh_seconds=REFRESH_SECONDS)


def stylesheet() -> str:
    """Return the style of both pages."""
    return (files("wanimate_worker.ops") / "templates" / "style.css").read_text()
