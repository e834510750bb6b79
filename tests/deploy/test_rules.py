from __future__ import annotations

import re
import runpy
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from exported_metrics import GATE_REASONS, METRICS, series
from manifests import DEPLOY
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from promql import promtool, selectors
from wanimate.contract import Keys
from wanimate_devstack import RedisServer
from wanimate_worker.database import open_database
from wanimate_worker.health import outputs
from wanimate_worker.health import rules as health_rules
from wanimate_worker.health.exports import SnapshotCollector
from wanimate_worker.health.finding import BlockReason
from wanimate_worker.health.reading import Reader
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

MONITORING: Final = DEPLOY / "monitoring"
DOCS: Final = DEPLOY.parent / "docs"
UNIT_TESTS: Final = Path(__file__).with_name("rules_test.yml")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "rules/wanimate.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def run(*arguments: str) -> None:
    done = subprocess.run([promtool(), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def collector() -> Iterator[SnapshotCollector]:
    with RedisServer(is_durable=False) as server:
        money = {"price_480p_usd_per_second": 0.04, "price_720p_usd_per_second": 0.08, "daily_billed_usd": 500}
        thresholds = {"balance_warn_usd": 100, "balance_hold_usd": 20}
        settings = WorkerSettings(
            _env_file=None, redis_url=server.url, daily_billed_seconds=1000, **money, **thresholds
        )
        redis, ledger = open_database(settings)
        ledger.limits.fill(settings.account_limits())
        ledger.balance.record(50_000_000, 0)
        redis.zadd(Keys(settings.account).keeping, {"job": ledger.records.now_ms() + 86_400_000})
        yield SnapshotCollector(Reader(redis, settings).snapshot())
        redis.close()
        redis.connection_pool.disconnect()


def test_the_exporter_gives_the_metrics_that_rules_and_dashboard_are_checked_against(
    collector: SnapshotCollector,
) -> None:
    given = {}
    for family in collector.collect():
        assert isinstance(family, CounterMetricFamily) == (f"{family.name}_total" in METRICS), family.name
        name = f"{family.name}_total" if isinstance(family, CounterMetricFamily) else family.name
        assert isinstance(family, HistogramMetricFamily) == (f"{name}_bucket" in series()), name
        given[name] = frozenset(family._labelnames) - {"account"}
    assert given == METRICS
    assert {reason.value for reason in BlockReason} == GATE_REASONS


def test_every_rule_asks_for_what_the_exporter_gives_or_another_rule_records() -> None:
    for rule in rules():
        for selector in selectors(rule["expr"]):
            if selector.name in recorded():
                continue
            assert selector.name in series(), rule
            for matcher in selector.matchers.matchers:
                assert matcher.name in series()[selector.name], rule
                if matcher.name == "reason":
                    assert set(matcher.value.split("|")) <= GATE_REASONS, rule


def test_every_reason_of_a_closed_gate_has_an_alert() -> None:
    matched = {
        matcher.value
        for rule in alerts().values()
        for selector in selectors(rule["expr"])
        for matcher in selector.matchers.matchers
        if matcher.name == "reason"
    }
    assert matched == GATE_REASONS


def test_alerts_compare_with_the_thresholds_of_the_rules_of_health() -> None:
    thresholds = {
        # An alert does not know how often beat ticks, and waits longer than the page until a balance is old.
        "WanimateBeatDead": 2 * health_rules.MAX_SILENCE_SECONDS,
        "WanimateBalanceOld": 3 * health_rules.MAX_BALANCE_AGE_SECONDS,
        "WanimateDueLagHigh": health_rules.MAX_DUE_LAG_SECONDS,
        "WanimateOldestWaiting": health_rules.MAX_WAIT_SECONDS,
        "WanimateQueueBehind": health_rules.MAX_QUEUE_MESSAGES,
        "WanimateThrottled": health_rules.MAX_THROTTLED_RATIO,
        "WanimateWebhooksUndelivered": outputs.MAX_WEBHOOK_SECONDS,
        "WanimateCopiesBehind": outputs.MIN_EXPIRY_SECONDS,
        "WanimateVideosExpire": outputs.MIN_LAST_EXPIRY_SECONDS,
        **dict.fromkeys(("WanimateUnknownJobs", "WanimateSlotsLeaked", "WanimateDeadLetters"), 0.0),
        "WanimateWebhooksGivenUp": 0.0,
    }
    compared = {
        name: float(found[1])
        for name, rule in alerts().items()
        if "wanimate_gate_closed" not in rule["expr"] and (found := re.search(r"[<>] ([\d.]+)", rule["expr"]))
    }
    assert compared == thresholds


def test_every_alert_says_what_it_is_and_what_to_do_and_how_bad_it_is() -> None:
    for name, rule in alerts().items():
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, name


def test_rules_and_configuration_are_what_prometheus_reads() -> None:
    run("check", "rules", str(MONITORING / "rules/wanimate.yml"))
    run("check", "config", "--syntax-only", str(MONITORING / "prometheus.yml"))


def test_rules_record_and_alerts_come_and_stay_away_as_they_should() -> None:
    run("test", "rules", str(UNIT_TESTS))


def test_every_alert_is_seen_to_come_and_every_rule_to_record() -> None:
    seen = set()
    for case in yaml.safe_load(UNIT_TESTS.read_text())["tests"]:
        for asked in case["promql_expr_test"]:
            for selector in selectors(asked["expr"]) if asked["exp_samples"] else ():
                names = [matcher.value for matcher in selector.matchers.matchers if matcher.name == "alertname"]
                seen.update(names or [selector.name])
    assert seen == set(alerts()) | recorded()


def test_kubernetes_gets_the_same_rules() -> None:
    folder = MONITORING / "kubernetes"
    made = runpy.run_path(str(folder / "make_prometheus_rule.py"))["prometheus_rule"]()
    assert (folder / "prometheus-rule.yaml").read_text() == made, "run make docs"
    same = yaml.safe_load((MONITORING / "rules/wanimate.yml").read_text())["groups"]
    assert yaml.safe_load(made)["spec"]["groups"] == same


def test_the_documentation_tells_of_every_metric_and_of_no_other() -> None:
    rows = re.findall(r"^\| `(wanimate_\w+)(?:{([\w,]+)})?` \|", (DOCS / "monitoring.md").read_text(), re.MULTILINE)
    assert {name: frozenset(filter(None, labels.split(","))) for name, labels in rows} == METRICS
