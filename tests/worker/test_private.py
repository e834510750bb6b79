"""What is used of Celery, kombu and Flower without being documented is there, and listed in one place."""

from __future__ import annotations

import ast
from functools import reduce
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
import wanimate_worker.bridge
from packaging.version import Version
from wanimate_worker.bridge.private import CHECKED, PRIVATE

ROOM = Path(wanimate_worker.bridge.__file__).parent
FOREIGN = ("celery", "kombu", "billiard", "flower")
NAMES = [each for names in PRIVATE.values() for each in names]


@pytest.mark.parametrize("private", NAMES)
def test_no_version_has_removed_what_is_used(private: str) -> None:
    module, _, path = private.partition(":")
    reduce(getattr, path.split("."), import_module(module))


@pytest.mark.parametrize("package", CHECKED)
def test_the_installed_version_is_one_that_was_checked(package: str) -> None:
    lowest, newest = map(Version, CHECKED[package])
    assert lowest <= Version(version(package)) <= newest, "look at each entry of the table, then raise the version"


def test_whatever_is_imported_with_an_underscore_is_listed() -> None:
    imported = {
        f"{node.module}:{alias.name}"
        for file in ROOM.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(FOREIGN)
        for alias in node.names
        if alias.name.startswith("_")
    }
    assert imported <= set(NAMES)


def test_whatever_is_overridden_with_an_underscore_is_listed() -> None:
    """Methods that call the same method of what they extend."""
    overridden = {
        node.func.attr
        for file in ROOM.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Call)
        and isinstance(node.func.value.func, ast.Name)
        and node.func.value.func.id == "super"
        and node.func.attr != "__init__"
    }
    listed = {each.rpartition(".")[2] for each in NAMES}
    public = {"basic_consume", "get", "post", "find_handler", "render", "transform_first_chunk"}
    assert overridden <= listed | public, overridden - listed - public


def test_only_the_bridge_knows_celery_and_its_kin() -> None:
    worker = ROOM.parent
    found = {
        f"{file.relative_to(worker)}: {name}"
        for file in worker.rglob("*.py")
        if ROOM not in file.parents
        for node in ast.parse(file.read_text()).body
        for name in _imported(node)
        if name.startswith(FOREIGN)
    }
    # Kombu's JSON keeps the types of what a caller passed on, as in any of Celery's messages.
    assert {each for each in found if not each.endswith(": kombu.utils.json")} <= {
        "cli/session.py: kombu.exceptions",
    }


def _imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""] if node.level == 0 else []
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
