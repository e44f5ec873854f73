"""The Grafana dashboard of the chart, made from panels.py; `make docs` writes charts/files/dashboard.json."""

import json
from typing import Any, Final

from dev.panels import ROWS, Panel

RUNBOOK: Final = "https://github.com/openshift-hyperfleet/hyperfleet-api/blob/main/docs/runbook.md"
METRICS: Final = "https://github.com/openshift-hyperfleet/hyperfleet-api/blob/main/docs/metrics.md"
SELECTOR: Final = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"'
WIDTH: Final = 24
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def _expression(text: str) -> str:
    return text.replace("@kind", f'{SELECTOR},resource_type=~"$kind"').replace("@", SELECTOR)


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = [{"color": color, "value": value or None} for color, value in panel.thresholds.items()]
    found: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps or [{"color": "green", "value": None}]},
        "color": {"mode": "thresholds" if panel.type == "stat" else "palette-classic"},
    }
    if panel.type == "timeseries":
        found["custom"] = {
            "fillOpacity": 30 if panel.stacked else 8,
            "lineWidth": 1,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
        }
    return found


def _options(panel: Panel) -> dict[str, Any]:
    if panel.type == "stat":
        return {
            "colorMode": "value",
            "graphMode": "area",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    if panel.type == "table":
        return {"showHeader": True, "footer": {"show": False}}
    return {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "sortBy": "Max"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _panel(number: int, panel: Panel, x: int, y: int, height: int) -> dict[str, Any]:
    is_now = panel.type == "table"
    found: dict[str, Any] = {
        "id": number,
        "title": panel.title,
        "description": panel.description,
        "type": panel.type,
        "datasource": _DATASOURCE,
        "gridPos": {"h": height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {
            "defaults": _defaults(panel),
            "overrides": [
                {
                    "matcher": {"id": "byRegexp", "options": f"^{pattern}$"},
                    "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
                }
                for pattern, color in panel.colors.items()
            ],
        },
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "expr": _expression(expression),
                "legendFormat": legend,
                "instant": is_now,
                "range": not is_now,
                "format": "table" if is_now else "time_series",
            }
            for place, (legend, expression) in enumerate(panel.queries.items())
        ],
        "links": [
            {"title": f"Runbook: {alert}", "url": f"{RUNBOOK}#{alert.lower()}", "targetBlank": True}
            for alert in panel.alerts
        ],
    }
    if is_now:
        hidden = {"Time": True, "Value": True}
        found["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
    return found


def _panels() -> list[dict[str, Any]]:
    """Every panel with its position, from left to right, below the title of its row."""
    found: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        if title:
            place = {"h": 1, "w": WIDTH, "x": 0, "y": y}
            found.append(
                {
                    "id": len(found) + 1,
                    "title": title,
                    "type": "row",
                    "collapsed": False,
                    "gridPos": place,
                    "panels": [],
                }
            )
            y += 1
        x, height = 0, 8 if title else 4
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            found.append(_panel(len(found) + 1, panel, x, y, height))
            x += panel.width
        y += height
    return found


def _variable(name: str, label: str, query: str, *, multi: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": multi,
        "includeAll": True,
        # Also matches series without the label, from a Prometheus outside Kubernetes.
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard() -> dict[str, Any]:
    """The dashboard in the format that Grafana imports."""
    seen = 'namespace=~"$namespace",job=~"$job"'
    return {
        "title": "HyperFleet API",
        "uid": "hyperfleet-api",
        "description": "The fleet, its requests and its database. Gauges of the fleet are the same on every instance.",
        "tags": ["hyperfleet"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [
            {"title": title, "type": "link", "url": url, "icon": "doc", "targetBlank": True}
            for title, url in (("Runbook", RUNBOOK), ("Metrics", METRICS))
        ],
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("namespace", "Namespace", "label_values(hyperfleet_api_build_info, namespace)"),
                _variable("job", "Job", 'label_values(hyperfleet_api_build_info{namespace=~"$namespace"}, job)'),
                _variable("instance", "Instance", f"label_values(hyperfleet_api_build_info{{{seen}}}, instance)"),
                _variable("kind", "Kind", f"label_values(hyperfleet_api_resources{{{seen}}}, resource_type)"),
            ]
        },
        "panels": _panels(),
    }


def page() -> str:
    """The content of charts/files/dashboard.json."""
    return json.dumps(dashboard(), indent=2) + "\n"
