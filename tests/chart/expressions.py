"""The expressions of alerts and dashboard."""

import json
import re

import yaml

from tests.chart.manifests import CHART


def everything(expression: str, rate: str = "1m") -> str:
    """An expression of the dashboard as Grafana sends it when every variable says All."""
    return re.sub(r"\$(?:namespace|job|instance|kind)\b", ".*", expression).replace("$__rate_interval", rate)


def expressions() -> dict[str, str]:
    """Every expression of the alerts and of the dashboard."""
    alerts = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    found = {rule["alert"]: rule["expr"] for group in alerts["groups"] for rule in group["rules"]}
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            found[f"{panel['title']} ({panel['type']}) {target['refId']}"] = everything(target["expr"])
    return found
