from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wanimate_devstack import Stack

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def recipe(wanimate_stack: Stack, wanimate_environment: dict[str, str], tmp_path: Path) -> Iterator[Recipe]:
    recipe = Recipe(wanimate_environment, tmp_path)
    yield recipe
    recipe.stop()
