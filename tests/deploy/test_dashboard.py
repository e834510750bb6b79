from __future__ import annotations

import json
from typing import Any, Final

import yaml
from exported_metrics import series
from manifests import DEPLOY
from promql import selectors

GRAFANA: Final = DEPLOY / "monitoring/grafana"
DASHBOARD: Final[dict[str, Any]] = json.loads((GRAFANA / "dashboards/wanimate.json").read_text())
#: Grafana's grid is 24 columns wide.
COLUMNS: Final = 24
UNITS: Final = {"short", "s", "percentunit", "none", "currencyUSD"}


def recorded() -> set[str]:
    groups = yaml.safe_load((DEPLOY / "monitoring/rules/wanimate.yml").read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


def expressions() -> list[tuple[str, str]]:
    return [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_every_panel_asks_for_one_account_and_for_what_there_is() -> None:
    for title, expression in expressions():
        found = list(selectors(expression))
        assert found, title
        for selector in found:
            assert selector.name in series() or selector.name in recorded(), (title, selector.name)
            matchers = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
            assert matchers["account"] == "$account", title


def test_panels_lie_beside_each_other_and_none_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_panel_is_one_that_grafana_has_and_says_what_it_shows_in_which_unit() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in DASHBOARD["panels"]:
        assert panel["type"] in {"timeseries", "stat", "state-timeline"}, panel["title"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in {"short", "s", "percentunit", "none", "currencyUSD"}, panel[
            "title"
        ]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references), panel["title"]
        for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
            assert source == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


def test_grafana_is_told_where_the_dashboard_and_its_source_are() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/wanimate.yml").read_text())["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "account"]


def test_the_dashboard_shows_every_figure_that_an_operator_asks_for() -> None:
    shown = {selector.name for _, expression in expressions() for selector in selectors(expression)}
    for name in (
        "slots_used",
        "slots_effective_cap",
        "waiting_jobs",
        "oldest_waiting_seconds",
        "budget_used_ratio",
        "gate_closed",
        "throttled_total",
        "unknown_jobs",
        "dead_letters",
        "day_billed_seconds",
        "day_billed_usd",
        "balance_usd",
        "due_lag_seconds",
    ):
        assert f"wanimate_{name}" in shown
    assert {"wanimate:submits:rate5m", "wanimate:polls:rate5m", "wanimate:detection_lag_seconds:p95_5m"} <= shown
