"""Reads expressions of Prometheus with Prometheus's own grammar."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import promql_parser
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where .ci/tools puts it.
_BUILT: Final = Path(__file__).parents[2] / "build/tools/promtool"


def selectors(expression: str) -> Iterator[Any]:
    """Yield what an expression selects: its names and matchers.

    Args:
        expression: In PromQL. Grafana's own intervals are not understood.
    """
    yield from _below(promql_parser.parse(expression))


def _below(node: Any) -> Iterator[Any]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    elif isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
    elif isinstance(node, promql_parser.BinaryExpr):
        yield from _below(node.lhs)
        yield from _below(node.rhs)
    elif isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from _below(argument)
    elif isinstance(node, promql_parser.AggregateExpr | promql_parser.ParenExpr):
        yield from _below(node.expr)
    elif not isinstance(node, promql_parser.NumberLiteral | promql_parser.StringLiteral):
        pytest.fail(f"the tests know no {type(node).__name__}")


def promtool() -> str:
    """Return where promtool is; skip the test where it is not installed."""
    found = shutil.which("promtool") or (str(_BUILT) if _BUILT.exists() else None)
    if found is None and os.environ.get("WANIMATE_REQUIRE_PROMTOOL") == "1":
        pytest.fail("promtool is neither on PATH nor in build/tools, and WANIMATE_REQUIRE_PROMTOOL=1 insists")
    if found is None:
        pytest.skip("NOT CHECKED: rules and alerts; run .ci/tools, or install Prometheus")
    return found
