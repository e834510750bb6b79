"""The pictures that the docs show; tests make them, so that they show what is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

#: Where they are.
IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"


def pictures_wanted() -> bool:
    """Whether they are to be made anew: `WANIMATE_PICTURES=1`."""
    return os.environ.get("WANIMATE_PICTURES") == "1"
