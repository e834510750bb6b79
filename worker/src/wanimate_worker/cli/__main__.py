"""`python -m wanimate_worker.cli`."""

from __future__ import annotations

from . import main

main()
