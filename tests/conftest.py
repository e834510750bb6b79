from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from wanimate_devstack.processes import ReservedPort

if TYPE_CHECKING:
    from collections.abc import Iterator

# The same examples each time, and no bound on how long a busy machine takes for one.
settings.load_profile("ci")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A loopback port that refuses connections; no other process can take it meanwhile."""
    port = ReservedPort()
    yield port.number
    port.release()
