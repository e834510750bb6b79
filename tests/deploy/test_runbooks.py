from __future__ import annotations

import re
from typing import Any, Final

import pytest
import yaml
from manifests import DEPLOY
from pages import anchors_of, sections_of

ROOT: Final = DEPLOY.parent
RUNBOOKS: Final = "docs/runbooks.md"
SECTIONS: Final = sections_of(ROOT / RUNBOOKS)
#: The steps of each section, in their order.
STEPS: Final = ("**Check**", "**Do**", "**Resolves**")
_GROUPS: Final = yaml.safe_load((DEPLOY / "monitoring/rules/wanimate.yml").read_text())["groups"]
ALERTS: Final[dict[str, dict[str, Any]]] = {
    rule["alert"]: rule for group in _GROUPS for rule in group["rules"] if "alert" in rule
}


def anchor_of_alert(name: str) -> str:
    page, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    assert page == RUNBOOKS
    return str(anchor)


@pytest.mark.parametrize("name", ALERTS)
def test_the_runbook_of_an_alert_is_a_section_that_names_it(name: str) -> None:
    anchor = anchor_of_alert(name)
    assert anchor in anchors_of(ROOT / RUNBOOKS)
    assert f"`{name}`, {ALERTS[name]['labels']['severity']}:" in " ".join(SECTIONS[anchor].split())


def test_every_runbook_belongs_to_an_alert() -> None:
    assert set(SECTIONS) == {anchor_of_alert(name) for name in ALERTS}


@pytest.mark.parametrize("anchor", SECTIONS)
def test_a_runbook_says_what_to_check_and_do_with_commands(anchor: str) -> None:
    text = SECTIONS[anchor]
    places = [text.index(step) for step in STEPS]
    assert places == sorted(places)
    check, do = text[places[0] : places[1]], text[places[1] : places[2]]
    assert re.search(r"^\$ wanimate-worker ", check, re.MULTILINE)
    assert re.search(r"^(- |\| )", do, re.MULTILINE)


def test_the_lines_of_doctor_that_runbooks_name_exist() -> None:
    health = ROOT / "worker/src/wanimate_worker/health"
    sources = "".join(file.read_text() for file in health.glob("*.py"))
    named = re.findall(r"\blines? ([\w ,]+?)(?=:|$)", (ROOT / RUNBOOKS).read_text(), re.MULTILINE)
    names = {name for names in named for name in re.split(r", | and ", names)}
    assert {"gate", "api key", "late jobs"} <= names
    assert not {name for name in names if f'"{name}"' not in sources}


def test_the_list_of_alerts_has_each_with_its_runbook_and_severity() -> None:
    page = (ROOT / "docs/monitoring.md").read_text()
    listed = re.findall(r"^\| \[`(Wanimate\w+)`\]\(runbooks\.md#([\w-]+)\) \| (\w+) \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(
        (name, anchor_of_alert(name), ALERTS[name]["labels"]["severity"]) for name in ALERTS
    )
