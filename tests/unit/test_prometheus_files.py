"""The Grafana dashboard and the alert rules ask for metrics that the program really has, with labels that they have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import missing
from opencen.gateway.exposition import LinkMetrics, SpoolMetrics
from opencen.gateway.usage.spool import Spool
from opencen.serve import Metrics
from opencen.services.context import Context
from opencen.wire.gateway import InstanceReport, LinkReport

HERE = Path(__file__).parents[2] / "docs" / "prometheus"
RULES, DASHBOARD = HERE / "alert-rules.yml", HERE / "grafana-dashboard.json"
WORDS = frozenset({"rate", "increase", "sum", "max", "by", "histogram_quantile", "label_values"})
OUR_LABELS = frozenset({"job", "instance", "le"})
"""What Prometheus itself puts on every series, and on a histogram's buckets."""
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text()))


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in dashboard()["panels"] for target in panel["targets"])
    yield from (one["query"] for one in dashboard()["templating"]["list"] if one["type"] == "query")


def parts_of(expression: str) -> tuple[set[str], set[str]]:
    """The metrics and the labels that a PromQL expression names."""
    labels = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"", expression))
    labels |= {name for inner in re.findall(r"by \(([^)]*)\)", expression) for name in NAME.findall(inner)}
    labels |= set(re.findall(r"label_values\([^,]+,\s*(\w+)\)", expression))
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\$\w+', " ", expression)
    bare = re.sub(r"\{[^}]*\}|by \([^)]*\)|,\s*\w+\s*\)$", " ", bare)
    return set(NAME.findall(bare)) - WORDS, labels


@pytest.fixture
def exported(context: Context, tmp_path: Path) -> dict[str, set[str]]:
    """Each metric of a server's and a gateway's /metrics, with its labels."""
    found: dict[str, set[str]] = {"up": set()}
    server = Metrics(context)
    server.observe("Cbn", "CreateCen", "OK", 0.1)
    server.observe_duty("alarms", "done")
    links = LinkMetrics()
    link = LinkReport(peer_region_id="us-west-1", in_kernel_bps=10_000_000)
    links.note(InstanceReport(cen_id="cen-1", revision=1, links=[link]))
    for registry in (server.registry, links.registry, SpoolMetrics(Spool(tmp_path))):
        for family in registry.collect():
            labels = {label for sample in family.samples for label in sample.labels}
            names = {sample.name for sample in family.samples}
            for name in names:
                found.setdefault(name, set()).update(labels)
    return found


def test_every_metric_and_label_that_is_asked_for_exists(exported: dict[str, set[str]]) -> None:
    asked = 0
    for expression in expressions():
        metrics, labels = parts_of(expression)
        assert metrics, expression
        assert metrics <= exported.keys(), f"{expression}: {metrics - exported.keys()}"
        known = set().union(*(exported[name] for name in metrics)) | OUR_LABELS
        assert labels <= known, f"{expression}: {labels - known}"
        asked += len(metrics)
    assert asked > 20


def test_labels_in_sentences_and_legends_are_those_of_the_metrics(exported: dict[str, set[str]]) -> None:
    for rule in rules():
        metrics, _ = parts_of(rule["expr"])
        said = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert said <= set().union(*(exported[name] for name in metrics)) | OUR_LABELS, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("warning", "critical")
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            metrics, _ = parts_of(target["expr"])
            said = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert said <= set().union(*(exported[name] for name in metrics)) | OUR_LABELS, panel["title"]


def test_the_check_finds_what_does_not_exist() -> None:
    metrics, labels = parts_of('sum by (colour) (rate(opencen_no_such_total{code!="OK"}[5m])) > 2 * opencen_other')
    assert metrics == {"opencen_no_such_total", "opencen_other"}
    assert labels == {"colour", "code"}


def test_no_panel_lies_over_another_and_every_id_is_its_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_promtool_accepts_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool is not installed: apt-get install prometheus")
    assert promtool is not None
    done = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
