"""The account's figures: one snapshot, shown as a page, as JSON, as metrics and in the terminal."""

from __future__ import annotations

from .problems import Problem, problems_of, throttling_of
from .reading import Reader
from .snapshot import Snapshot

__all__ = ["Problem", "Reader", "Snapshot", "problems_of", "throttling_of"]
