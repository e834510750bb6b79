"""The callback receiver: the vendor tells that a task has ended, and its job is looked at at once.

Workers sign URLs and import nothing else from here; `server` and `receiver` bring the web framework with them.
"""

from __future__ import annotations

from .signature import SignedPath, Signer

__all__ = ["SignedPath", "Signer"]
