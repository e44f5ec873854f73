"""The panels of the Grafana dashboard, one row each; dashboard.py turns them into Grafana's JSON.

In expressions, `@` expands to the selectors of the dashboard's variables, and `@kind` adds the selector of the kind.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

_GREEN, _ORANGE, _RED, _BLUE = "green", "orange", "red", "blue"
_BY_CODE: Final = {"2..": _GREEN, "3..": _BLUE, "4..": _ORANGE, "5..": _RED}
_BY_PHASE: Final = {".* Ready": _GREEN, ".* NotReady": _ORANGE, ".* Failed": _RED}


@dataclass(frozen=True)
class Panel:
    """A row of the table: `queries` maps legends to expressions, `thresholds` maps colours to their lowest values.

    `colors` maps patterns of series names to colours; `alerts` names the alerts on the same metrics.
    """

    title: str
    description: str
    unit: str
    queries: dict[str, str]
    type: Literal["stat", "timeseries", "table"] = "timeseries"
    width: int = 8
    thresholds: dict[str, float] = field(default_factory=dict)
    colors: dict[str, str] = field(default_factory=dict)
    stacked: bool = False
    alerts: tuple[str, ...] = ()


def _stat(title: str, description: str, unit: str, expression: str, **more: Any) -> Panel:
    return Panel(title, description, unit, {title: expression}, "stat", 3, **more)


def _apart(aggregation: str, expression: str) -> dict[str, str]:
    """The expression by kind, with a separate series for deletions."""
    return {
        legend: f"{aggregation} by (resource_type) ({expression.replace('@kind', selector)})"
        for legend, selector in (
            ("{{resource_type}}", '@kind,is_delete="false"'),
            ("{{resource_type}} deletions", '@kind,is_delete="true"'),
        )
    }


# For gauges that are absent at zero: yields zero while the service is scraped, and nothing otherwise.
_ZERO: Final = "or 0 * max(hyperfleet_api_build_info{@})"
_PENDING: Final = "hyperfleet_api_resource_pending_reconciliation"
_STARTED: Final = "rate(hyperfleet_api_reconciliation_started_total{@kind}[$__rate_interval])"
_DURATION: Final = "rate(hyperfleet_api_request_duration_seconds_bucket{@}[$__rate_interval])"
_REQUESTS: Final = "rate(hyperfleet_api_requests_total{@}[$__rate_interval])"
_FAILED: Final = 'rate(hyperfleet_api_requests_total{@,code=~"5.."}[$__rate_interval])'
_POOL_WAIT: Final = "rate(hyperfleet_db_pool_wait_seconds_bucket{@}[$__rate_interval])"
_STATEMENTS: Final = "rate(hyperfleet_db_query_duration_seconds_{}{{@}}[$__rate_interval])"

NUMBERS: Final = (
    _stat(
        "Instances up",
        "Instances that answered the last scrape. Red: none.",
        "none",
        "sum(up{@})",
        thresholds={_RED: 0, _GREEN: 1},
        alerts=("HyperFleetDown", "HyperFleetInstanceDown"),
    ),
    _stat(
        "Resources",
        "Resources of the selected kinds, those being deleted included.",
        "short",
        "sum(max by (resource_type, phase) (hyperfleet_api_resources{@kind}))",
        thresholds={_BLUE: 0},
    ),
    _stat(
        "Pending",
        "Resources that are not reconciled yet, or are being deleted.",
        "short",
        f"sum(max by (resource_type, is_delete) ({_PENDING}{{@kind}})) {_ZERO}",
        thresholds={_BLUE: 0},
    ),
    _stat(
        "Stuck",
        "Resources that have been pending for longer than metrics.reconciliation_stuck_threshold.",
        "short",
        f"sum(max by (resource_type, is_delete) ({_PENDING}_stuck{{@kind}})) {_ZERO}",
        thresholds={_GREEN: 0, _ORANGE: 1},
        alerts=("HyperFleetResourceReconciliationStuckWarning",),
    ),
    _stat(
        "Oldest stuck",
        "How long the oldest of them has been pending. Red after half an hour.",
        "s",
        f"max({_PENDING}_stuck_duration_seconds{{@kind}}) {_ZERO}",
        thresholds={_GREEN: 0, _ORANGE: 1, _RED: 1800},
        alerts=("HyperFleetResourceReconciliationStuckCritical",),
    ),
    _stat("Requests", "Requests a second, by all callers.", "reqps", f"sum({_REQUESTS})", thresholds={_BLUE: 0}),
    _stat(
        "Errors",
        "The share of requests that were answered with 5xx. Red above 1 %.",
        "percentunit",
        f"(sum({_FAILED}) {_ZERO}) / sum({_REQUESTS})",
        thresholds={_GREEN: 0, _ORANGE: 0.001, _RED: 0.01},
        alerts=("HyperFleetErrorRate",),
    ),
    _stat(
        "Latency, p99",
        "99 of 100 requests are answered within this time. Red above a second.",
        "s",
        f"histogram_quantile(0.99, sum by (le) ({_DURATION}))",
        thresholds={_GREEN: 0, _ORANGE: 0.5, _RED: 1},
        alerts=("HyperFleetLatency",),
    ),
)
FLEET: Final = (
    Panel(
        "Resources by phase",
        "Read from the database every half minute; every instance shows the same numbers.",
        "short",
        {"{{resource_type}} {{phase}}": "max by (resource_type, phase) (hyperfleet_api_resources{@kind})"},
        stacked=True,
        colors=_BY_PHASE,
    ),
    Panel(
        "Pending",
        "Resources that wait for adapters; deletions apart.",
        "short",
        _apart("max", f"{_PENDING}{{@kind}}"),
    ),
    Panel(
        "Oldest stuck",
        "The longest wait of each kind. The line is the critical alert's half an hour.",
        "s",
        _apart("max", f"{_PENDING}_stuck_duration_seconds{{@kind}}"),
        thresholds={_GREEN: 0, _RED: 1800},
        alerts=("HyperFleetResourceReconciliationStuckWarning", "HyperFleetResourceReconciliationStuckCritical"),
    ),
    Panel(
        "Changes of desired state",
        "Resources created, changed or asked to go.",
        "ops",
        _apart("sum", _STARTED),
        width=6,
    ),
    Panel(
        "Reports by adapter",
        "All reports, stored or not. An adapter whose line ends has fallen silent.",
        "ops",
        {"{{adapter}}": "sum by (adapter) (rate(hyperfleet_api_reports_total{@kind}[$__rate_interval]))"},
        width=6,
        alerts=("HyperFleetAdapterSilent",),
    ),
    Panel(
        "Reports that change nothing",
        "Unchanged, outdated or invalid reports. Many outdated ones point to a wrong clock, or to adapters that work "
        "on old generations.",
        "ops",
        {
            "{{adapter}} {{result}}": (
                "sum by (adapter, result)"
                ' (rate(hyperfleet_api_reports_total{@kind,result!="stored"}[$__rate_interval]))'
            )
        },
        width=6,
    ),
    Panel(
        "Set aside",
        "Resources that could not be recomputed after a change of rules. The log names each with the reason.",
        "short",
        {"all kinds": f"sum(max by (resource_type) (hyperfleet_api_resources_set_aside{{@kind}})) {_ZERO}"},
        width=6,
        thresholds={_GREEN: 0, _RED: 1},
    ),
)
REQUESTS: Final = (
    Panel(
        "Requests by code",
        "Requests a second by the status of their answer.",
        "reqps",
        {"{{code}}": f"sum by (code) ({_REQUESTS})"},
        stacked=True,
        colors=_BY_CODE,
    ),
    Panel(
        "Latency",
        "The time until an answer is ready. The line is the alert's second.",
        "s",
        {
            name: f"histogram_quantile({quantile}, sum by (le) ({_DURATION}))"
            for name, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
        thresholds={_GREEN: 0, _RED: 1},
        alerts=("HyperFleetLatency",),
    ),
    Panel(
        "Errors by path",
        "Answers with 5xx. 500 is a fault, 503 overload or the database, 504 a deadline.",
        "reqps",
        {"{{path}} {{code}}": f"sum by (path, code) ({_FAILED})"},
        alerts=("HyperFleetErrorRate",),
    ),
    Panel(
        "Busiest paths",
        "The ten paths with the most requests.",
        "reqps",
        {"{{method}} {{path}}": f"topk(10, sum by (method, path) ({_REQUESTS}))"},
        width=8,
    ),
    Panel(
        "In flight",
        "Requests under way. Beyond server.max_in_flight a worker answers 503.",
        "short",
        {"{{instance}}": "sum by (instance) (hyperfleet_api_requests_in_flight{@})"},
        width=4,
    ),
    Panel(
        "Answers not read yet",
        "Bytes that callers have not taken. Beyond server.max_unsent_bytes a worker refuses new lists.",
        "bytes",
        {"{{instance}}": "sum by (instance) (hyperfleet_api_unsent_bytes{@})"},
        width=4,
    ),
    Panel(
        "Answers abandoned",
        "Connections closed in the last 15 minutes because a caller read too slowly.",
        "short",
        {"{{instance}}": "max by (instance) (increase(hyperfleet_api_answers_abandoned_total{@}[15m]))"},
        width=4,
    ),
    Panel(
        "Rules and specs, confined",
        "Evaluations of rules and checks of specs in their own process; time and memory are limits that ended some.",
        "ops",
        {"{{task}} {{result}}": "sum by (task, result) (rate(hyperfleet_api_confined_total{@}[$__rate_interval]))"},
        width=4,
    ),
)


DATABASE: Final = (
    Panel(
        "Statement latency, p95",
        "The ten slowest statements, by their names in the code.",
        "s",
        {
            "{{statement}}": (
                f"topk(10, histogram_quantile(0.95, sum by (le, statement) ({_STATEMENTS.format('bucket')})))"
            )
        },
    ),
    Panel(
        "Statements",
        "The ten most frequent statements.",
        "ops",
        {"{{statement}}": f"topk(10, sum by (statement) ({_STATEMENTS.format('count')}))"},
    ),
    Panel(
        "Database errors",
        "Statements and connections that failed. The line is the alert's threshold.",
        "ops",
        {"{{error_type}}": "sum by (error_type) (rate(hyperfleet_db_errors_total{@}[$__rate_interval]))"},
        thresholds={_GREEN: 0, _RED: 0.1},
        alerts=("HyperFleetDatabaseErrors",),
    ),
    Panel(
        "Connections",
        "Connections of all instances, open and busy.",
        "short",
        {
            "open": "sum(hyperfleet_db_connections_open{@})",
            "in use": "sum(hyperfleet_db_connections_in_use{@})",
        },
        width=6,
    ),
    Panel(
        "Waits for a connection",
        "How long requests waited for a free connection, where they had to. The line is the alert's threshold.",
        "s",
        {name: f"histogram_quantile({q}, sum by (le) ({_POOL_WAIT}))" for name, q in (("p50", 0.5), ("p95", 0.95))},
        width=6,
        thresholds={_GREEN: 0, _RED: 0.1},
        alerts=("HyperFleetPoolWait",),
    ),
    Panel(
        "Searches, waiting writes",
        "Searches under way and waiting for their turn; writes that wait for another write of the same resource.",
        "short",
        {
            "searches {{state}}": "sum by (state) (hyperfleet_db_searches{@})",
            "writes waiting": "sum(hyperfleet_db_writes_waiting{@})",
        },
        width=6,
    ),
    Panel(
        "Searches refused",
        "Searches given up at their deadline, or refused because too many wait.",
        "ops",
        {"{{reason}}": "sum by (reason) (rate(hyperfleet_db_searches_refused_total{@}[$__rate_interval]))"},
        width=6,
    ),
)


INSTANCES: Final = (
    Panel(
        "Instances",
        "What runs: version, commit and Python of each instance. Two versions are a rolling update.",
        "none",
        {"": "max by (instance, version, commit, python_version) (hyperfleet_api_build_info{@})"},
        "table",
    ),
    Panel(
        "Scrapes that fail",
        "1 while an instance does not answer.",
        "short",
        {"{{instance}}": "1 - max by (instance) (up{@})"},
        width=4,
        alerts=("HyperFleetInstanceDown",),
    ),
    Panel(
        "Workers replaced",
        "Worker processes that died, in the last 15 minutes.",
        "short",
        {"{{instance}}": "max by (instance) (increase(hyperfleet_api_workers_replaced_total{@}[15m]))"},
        width=4,
        thresholds={_GREEN: 0, _RED: 2},
        alerts=("HyperFleetWorkersDie",),
    ),
    Panel(
        "Fleet gauges not read",
        "Failed readings of resources, pending and stuck, in the last 15 minutes.",
        "short",
        {"{{instance}}": "max by (instance) (increase(hyperfleet_api_collector_errors_total{@}[15m]))"},
        width=4,
        thresholds={_GREEN: 0, _RED: 3},
        alerts=("HyperFleetCollectorErrors",),
    ),
    Panel(
        "Late reports",
        "The age on arrival of each adapter's last report that was more than 30 minutes old.",
        "s",
        {"{{adapter}}": "max by (adapter) (hyperfleet_api_report_clock_skew_seconds{@})"},
        width=4,
    ),
)
ROWS: Final = {"": NUMBERS, "Fleet": FLEET, "Requests": REQUESTS, "Database": DATABASE, "Instances": INSTANCES}
