"""The banner on a terminal when the service is ready: addresses to open, and how to stop the service."""

from typing import Final

from hyperfleet.model.rendering import API_ROOT
from hyperfleet.settings import Health, Metrics, Server, Settings
from hyperfleet.telemetry import logging

_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})


def banner(configured: Settings, *, version: str, database: str) -> str:
    """The text, with addresses that a browser on this machine can open."""
    api = _base(configured.server)
    rows = {
        "Start page": f"{api}/",
        "REST API": f"{api}{API_ROOT}/",
        "Swagger UI": f"{api}/openapi-ui",
        "Health": f"{_base(configured.health)}/healthcheck",
        "Metrics": f"{_base(configured.metrics)}/metrics",
        "Database": database,
    }
    lines = [f"  {name:12}{value}" for name, value in rows.items()]
    callers = "Requests require a token." if configured.server.jwt.enabled else "Requests require no token."
    return "\n".join(["", f"HyperFleet API {version} is ready. {callers} Press Ctrl-C to stop.", "", *lines, "", ""])


def _base(listener: Server | Health | Metrics) -> str:
    host = "localhost" if listener.host in _WILDCARDS else listener.host
    scheme = "https" if listener.tls.enabled else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listener.port}"


def show(configured: Settings, *, version: str, database: str) -> None:
    """Prints the banner to the log's stream if that is a terminal with text logs."""
    output = logging.stream(configured.logging)
    if logging.is_for_people(configured.logging) and output.isatty():
        logging.drain()
        output.write(banner(configured, version=version, database=database).encode())
        output.flush()
