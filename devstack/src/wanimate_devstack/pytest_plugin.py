"""Fixtures for pytest: your own code against the whole stack, with the simulator as the vendor.

pytest imports this module at every start, so all else is imported when a fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wanimate import Client

    from .simulator import Simulator
    from .stack import Stack, StackOptions
    from .testing import InitialState


@pytest.fixture(scope="session")
def wanimate_options() -> StackOptions:
    """What the stack is made of; override it for other settings, more workers or a store."""
    from .testing import OPTIONS

    return OPTIONS


@pytest.fixture(scope="session")
def wanimate_stack(wanimate_options: StackOptions) -> Iterator[Stack]:
    """Redis, simulator, worker and beat on free ports, started once and stopped at the end of the session."""
    from .stack import Stack

    with Stack(wanimate_options) as stack:
        yield stack


@pytest.fixture(scope="session")
def _wanimate_initial_state(wanimate_stack: Stack) -> Iterator[InitialState]:
    from .simulator import Simulator
    from .testing import InitialState

    with Simulator(wanimate_stack.simulator_url or "") as simulator:
        yield InitialState(wanimate_stack, simulator)


@pytest.fixture
def wanimate_environment(
    wanimate_stack: Stack, _wanimate_initial_state: InitialState, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The `WANIMATE_*` variables of the stack, set for this test alone, on a stack without jobs, events or faults."""
    from .stack import foreign_variables

    _wanimate_initial_state.restore()
    for name in foreign_variables():
        monkeypatch.delenv(name)
    for name, value in wanimate_stack.environment.items():
        monkeypatch.setenv(name, value)
    return wanimate_stack.environment


@pytest.fixture
def wanimate_simulator(wanimate_environment: dict[str, str]) -> Iterator[Simulator]:
    """The simulated vendor: set outcomes and faults, and read what it accepted and billed."""
    from .simulator import Simulator

    with Simulator(wanimate_environment["WANIMATE_API_BASE_URL"]) as simulator:
        yield simulator


@pytest.fixture
def wanimate_client(wanimate_environment: dict[str, str]) -> Iterator[Client]:
    """A client of the stack."""
    from pydantic import SecretStr
    from wanimate import Client, Settings

    with Client(Settings(redis_url=SecretStr(wanimate_environment["WANIMATE_REDIS_URL"]))) as client:
        yield client
