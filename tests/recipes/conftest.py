from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import Vendor, stack_settings
from recipe import Recipe
from wanimate_devstack import Stack, StackOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
CAP = 5
WEBHOOK_SECRET = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    settings = stack_settings(CAP, webhook_secret=WEBHOOK_SECRET, webhook_networks="127.0.0.1/32")
    options = StackOptions(has_flower=False, simulator={"cap": str(CAP), "speed": "40"}, settings=settings)
    with Stack(options) as stack:
        yield stack
        assert stack.ended() is None, "a process of the stack ended by itself"


@pytest.fixture
def vendor(stack: Stack) -> Iterator[Vendor]:
    assert stack.simulator_url is not None
    vendor = Vendor(stack.simulator_url)
    vendor.reset()
    yield vendor
    vendor.close()


@pytest.fixture
def recipe(stack: Stack, tmp_path: Path) -> Iterator[Recipe]:
    recipe = Recipe(stack, tmp_path)
    yield recipe
    recipe.stop()
