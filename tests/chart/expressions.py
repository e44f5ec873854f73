"""The expressions of alerts and dashboard."""

import json

import yaml

from tests.chart.manifests import CHART


def expressions() -> dict[str, str]:
    """Every expression of the alerts and of the dashboard."""
    alerts = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    found = {rule["alert"]: rule["expr"] for group in alerts["groups"] for rule in group["rules"]}
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        found |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    return found
