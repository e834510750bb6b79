from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml
from manifests import DEPLOY

if TYPE_CHECKING:
    from pathlib import Path

ROOT: Final = DEPLOY.parent
RUNBOOKS: Final = ROOT / "docs/runbooks"


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "monitoring/rules/wanimate.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def runbook_of(rule: dict[str, Any]) -> Path:
    return ROOT / rule["annotations"]["runbook_url"]


def test_the_runbook_that_an_alert_names_exists_and_speaks_of_it() -> None:
    assert alerts()
    for name, rule in alerts().items():
        assert f"`{name}`" in runbook_of(rule).read_text(), name


def test_every_runbook_is_that_of_an_alert() -> None:
    pages = {page for page in RUNBOOKS.glob("*.md") if page.name != "README.md"}
    assert pages == {runbook_of(rule) for rule in alerts().values()}


def test_the_index_has_every_alert_with_its_page_and_severity() -> None:
    index = (RUNBOOKS / "README.md").read_text().splitlines()
    for name, rule in alerts().items():
        (line,) = [line for line in index if f"`{name}`" in line]
        assert f"({runbook_of(rule).name})" in line
        assert f"| {rule['labels']['severity']} |" in line
