"""Makes prometheus-rule.yaml from the rules that Prometheus itself reads; `make docs` runs it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
RULES: Final = HERE.parent / "rules" / "wanimate.yml"
MADE: Final = HERE / "prometheus-rule.yaml"

HEAD: Final = """\
# Made by make_prometheus_rule.py from rules/wanimate.yml: change that, then run `make docs`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: wanimate
spec:
"""


def prometheus_rule() -> str:
    """Return the rules as an object for the Prometheus Operator: the same text, two columns further in."""
    rules = RULES.read_text()
    return HEAD + textwrap.indent(rules[rules.index("groups:") :], "  ")


if __name__ == "__main__":
    MADE.write_text(prometheus_rule())
