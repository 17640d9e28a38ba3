"""Alerts and dashboards ask for metrics that there are, with labels that they have; mounts lead to files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from app import metrics
from app.observability.gauges import EVENTS
from config.settings import ROOT
from tests.house.test_compose import read

PROMETHEUS, GRAFANA = ROOT / "prometheus", ROOT / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
OPERATIONS = (ROOT.parent / "docs" / "operations.md").read_text(encoding="utf-8")

SCRAPED = {"instance", "job"}
FOREIGN: dict[str, set[str]] = {
    "up": set(),
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
}
"""Metrics that Prometheus and its client library make."""


def code() -> dict[str, MetricWrapperBase]:
    """The metrics of the code by name."""
    found = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    return {metric._name + ("_total" if isinstance(metric, Counter) else ""): metric for metric in found}


def series() -> dict[str, set[str]]:
    """Every series that is scraped, with its labels."""
    found = dict(FOREIGN)
    for name, metric in code().items():
        labels = set(metric._labelnames)
        if isinstance(metric, Histogram):
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    return found


SERIES = series()


@dataclass
class Question:
    """What an expression asks for. ``labels``: of its answer."""

    selectors: list[promql.VectorSelector] = field(default_factory=list)
    groups: list[tuple[promql.AggregateExpr, list[promql.VectorSelector]]] = field(default_factory=list)

    @property
    def labels(self) -> set[str]:
        found = {label for group, _ in self.groups for label in grouped(group)} - {"le"}
        if not self.groups:
            found = {label for one in self.selectors for label in SERIES[str(one.name)]} | SCRAPED
        return found


def ask(expression: promql.Expr) -> Question:
    question = Question()

    def visit(node: promql.Expr) -> bool:
        if isinstance(node, promql.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql.VectorSelector) and node not in question.selectors:
            question.selectors.append(node)
        elif isinstance(node, promql.AggregateExpr):
            question.groups.append((node, ask(node.expr).selectors))
        return True

    promql.walk(expression, visit)
    return question


def grouped(group: promql.AggregateExpr) -> list[str]:
    return [] if group.modifier is None else list(group.modifier.labels)


def check(expression: str) -> Question:
    """Parse it and look that all of it is there."""
    question = ask(promql.parse(expression.replace("$__rate_interval", "5m")))
    assert question.selectors, expression
    for selector in question.selectors:
        name = str(selector.name)
        assert name in SERIES, f"{name} in {expression}"
        matched = {matcher.name for matcher in selector.matchers.matchers}
        assert matched <= SERIES[name] | SCRAPED, expression
    for group, selectors in question.groups:
        for selector in selectors:
            assert set(grouped(group)) <= SERIES[str(selector.name)] | SCRAPED, expression
    return question


# Alerts


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


RULES = rules()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    question = check(rule["expr"])
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "action"}
    shown = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert shown <= question.labels
    assert f"### {rule['alert']}\n" in OPERATIONS


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    assert set(re.findall(r"^### (\w+)$", OPERATIONS, re.MULTILINE)) == set(names)


def test_what_the_issue_asks_for_is_watched() -> None:
    asked = {one.name for rule in RULES for one in check(rule["expr"]).selectors}
    assert asked >= {
        "trunkline_stage_seconds_bucket",
        "trunkline_calls_ended_total",
        "trunkline_calls_refused_total",
        "trunkline_engine_breaker",
        "trunkline_spool_waiting_events",
        "trunkline_outbox_overdue_seconds",
        "trunkline_webhooks_dead",
        "trunkline_recordings_failed_total",
        "trunkline_event_loop_lag_seconds_bucket",
        "trunkline_system_events",
        "up",
    }
    for rule in RULES:
        for one in check(rule["expr"]).selectors:
            named = {matcher.value for matcher in one.matchers.matchers if matcher.name == "name"}
            assert one.name != "trunkline_system_events" or named <= set(EVENTS)


def test_the_response_that_pages_is_a_bucket_of_the_histogram() -> None:
    """Between buckets a percentile is guessed; at 0.8 s it must not be."""
    assert 0.8 in metrics.STAGE_SECONDS._upper_bounds


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("RECORDER_LOST", {"reason": "overflow"}),
        ("RECORDINGS_FAILED", {"reason": "disk"}),
        ("CALLS_REFUSED", {"reason": "full"}),
        ("SPOOL_FAILURES", {"reason": "sync"}),
    ],
)
def test_the_first_event_is_an_increase(name: str, labels: dict[str, str]) -> None:
    """Prometheus sees no increase in a series that begins with it."""
    metric = getattr(metrics, name)
    assert labels in [sample.labels for family in metric.collect() for sample in family.samples]


# Dashboards


def panels(file: Path) -> Iterator[dict[str, Any]]:
    for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
        assert not panel.get("panels"), "rows are not collapsed"
        yield panel


def test_dashboards_have_names_of_their_own() -> None:
    contents = [json.loads(file.read_text(encoding="utf-8")) for file in DASHBOARDS]
    assert [content["title"] for content in contents] == [
        "Calls",
        "Engines",
        "Latency",
        "Records and work after calls",
    ]
    for key in ("uid", "title"):
        assert len({content[key] for content in contents}) == len(contents)
    assert all(re.fullmatch(r"[a-z-]{1,40}", content["uid"]) for content in contents)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_panels_ask_for_what_there_is(file: Path) -> None:
    found = list(panels(file))
    ids = [panel["id"] for panel in found]
    assert len(ids) == len(set(ids)) > 5
    for panel in found:
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0
        for target in panel["targets"]:
            question = check(target["expr"])
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert shown <= question.labels | ({"le"} if panel["type"] == "heatmap" else set()), panel[
                "title"
            ]


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_panels_lie_beside_each_other(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(file):
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_variables_are_declared(file: Path) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    declared = {variable["name"] for variable in content["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(content["panels"])))
    assert used <= declared
    for variable in content["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"])
            assert asked
            assert asked[2] in SERIES[asked[1]]


def test_every_metric_is_on_a_dashboard_and_in_the_documentation() -> None:
    expressions = " ".join(
        target["expr"] for file in DASHBOARDS for panel in panels(file) for target in panel.get("targets", ())
    )
    for name in code():
        assert re.search(rf"\b{name}(_bucket|_sum|_count)?\b", expressions), name
        assert f"`{name}`" in OPERATIONS, name
    documented = set(re.findall(r"`(trunkline_\w+)`", OPERATIONS))
    assert documented <= set(code()) | set(SERIES)


@pytest.mark.parametrize("name", sorted(code()))
def test_labels_are_documented(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \| ([^|]*) \|", OPERATIONS, re.MULTILINE)
    assert set(re.findall(r"\w+", row)) == set(code()[name]._labelnames)


# What compose starts


def test_prometheus_scrapes_services_on_ports_that_they_serve() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    services = read("docker-compose.yml")["services"]
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    worker = services["worker"]["environment"]
    port = worker["TRUNKLINE_AFTER_CALLS__METRICS_PORT"]
    assert jobs == {"trunkline-web": ["web:8000"], "trunkline-worker": [f"worker:{port}"]}
    assert worker["TRUNKLINE_AFTER_CALLS__METRICS_HOST"] == "0.0.0.0"
    assert services["worker"]["command"] == "trunkline worker"
    assert set(jobs) >= set(re.findall(r'job="([^"]+)"', " ".join(rule["expr"] for rule in RULES)))
    assert all((PROMETHEUS / file).is_file() for file in config["rule_files"])


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    services = read("docker-compose.yml")["services"]
    folder = GRAFANA / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    (provider,) = yaml.safe_load((folder / "dashboards" / "trunkline.yml").read_text())["providers"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert mounts["./config/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./config/grafana/provisioning"] == "/etc/grafana/provisioning"
    for file in DASHBOARDS:
        variables = json.loads(file.read_text(encoding="utf-8"))["templating"]["list"]
        chosen = next(one for one in variables if one["name"] == "datasource")["current"]["value"]
        assert chosen == source["uid"]
