"""Traces of a running service, as a collector gets them: the caller's trace, the database statements, and no values."""

import http.client
import json
import time
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPMessage
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from hyperfleet.telemetry import tracing
from testbed.calls import CLUSTERS
from testbed.ports import free_ports
from testbed.serving import Service, folder
from testbed.waiting import eventually
from tests.cli.collecting import Collector, collecting, texts

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SECRET = "a-name-that-no-span-may-hold"


def ask(
    service: Service, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, HTTPMessage, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", service.api, timeout=30)) as connection:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, answer.headers, json.loads(text) if text else None


def parent(trace: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{CALLER}-{flags}"}


def traced(collector: Collector, **more: str) -> dict[str, str]:
    """The settings of a service that sends its traces to this collector."""
    return {
        "HYPERFLEET_TRACING_ENABLED": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        **more,
    }


def named(spans: list[Span]) -> list[str]:
    return [span.name for span in spans]


def test_a_request_and_its_statements_are_spans_of_the_callers_trace() -> None:
    with folder() as place, collecting() as collector:
        service = Service(place, variables=traced(collector)).start()
        try:
            service.ready()
            body = {"name": SECRET, "spec": {"password": SECRET}, "labels": {SECRET: SECRET}}
            status, headers, created = ask(service, "POST", CLUSTERS, body, parent(TRACE))
            assert status == 201
            _, _, root, flags = headers["traceresponse"].split("-")
            assert flags == "01"
            eventually(lambda: len(collector.trace(TRACE)) == 2, "the spans of a create")
            request, statement = collector.trace(TRACE)
            assert (request.name, request.kind) == ("POST /api/hyperfleet/v1/clusters", Span.SPAN_KIND_SERVER)
            assert request.parent_span_id.hex() == CALLER
            assert request.span_id.hex() == root
            told = texts(request.attributes)
            assert told["http.route"] == "/api/hyperfleet/v1/clusters"
            assert (told["http.request.method"], told["http.response.status_code"]) == ("POST", "201")
            assert (statement.name, statement.kind) == ("NEW_RESOURCE", Span.SPAN_KIND_CLIENT)
            assert statement.parent_span_id == request.span_id
            assert texts(statement.attributes) == {"db.system.name": "postgresql", "db.query.summary": "NEW_RESOURCE"}

            other = "1" * 32
            id = created["id"]
            assert ask(service, "PATCH", f"{CLUSTERS}/{id}", {"spec": {"a": 1}}, parent(other))[0] == 200
            eventually(lambda: len(collector.trace(other)) == 3, "the spans of a change")
            assert named(collector.trace(other))[0] == "PATCH /api/hyperfleet/v1/clusters/-"

            missing = "2" * 32
            status, _, problem = ask(service, "GET", f"{CLUSTERS}/{SECRET}", None, parent(missing))
            assert (status, problem["trace_id"]) == (404, missing)
            eventually(lambda: bool(collector.trace(missing)), "the span of a refusal")
            assert collector.trace(missing)[0].status.code == Status.STATUS_CODE_UNSET

            [line] = [each for each in service.lines("resource created") if each["id"] == id]
            assert line["trace_id"] == TRACE
            assert {resource["service.name"] for resource in collector.resources} == {"hyperfleet-api"}
            assert set(collector.paths) == {"/v1/traces"}
            assert not any(SECRET.encode() in body for body in collector.raw)
        finally:
            service.stop()


def test_the_standard_variables_and_the_callers_decision_count() -> None:
    with folder() as place, collecting() as collector:
        more = {"OTEL_SERVICE_NAME": "fleet-of-tests", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test"}
        service = Service(place, variables=traced(collector, **more)).start()
        try:
            service.ready()
            unsampled, sampled = "3" * 32, "4" * 32
            assert ask(service, "GET", CLUSTERS, None, parent(unsampled, "00"))[0] == 200
            assert ask(service, "GET", CLUSTERS, None, parent(sampled))[0] == 200
            status, headers, _ = ask(service, "GET", CLUSTERS, None, {"traceparent": "00-no-trace-at-all"})
            assert status == 200
            of_its_own = headers["traceresponse"].split("-")[1]
            # Spans that still wait are sent at the stop.
            service.signal()
            assert service.wait() == 0
            assert collector.trace(unsampled) == []
            assert named(collector.trace(sampled)) == ["GET /api/hyperfleet/v1/clusters", "RESOURCE_PAGE"]
            assert len(collector.trace(of_its_own)) == 2
            named_so = {"service.name": "fleet-of-tests", "deployment.environment": "test"}
            assert all(named_so.items() <= resource.items() for resource in collector.resources)
        finally:
            service.stop()


def test_a_collector_that_is_down_affects_neither_requests_nor_the_stop() -> None:
    with folder() as place:
        [nobody] = free_ports(1)
        service = Service(place, variables=traced(Collector(nobody))).start()
        try:
            service.ready()
            assert all(ask(service, "GET", CLUSTERS)[0] == 200 for _ in range(20))
            began = time.monotonic()
            service.signal()
            assert service.wait() == 0
            assert time.monotonic() - began < 10
        finally:
            service.stop()


def test_untraced_responses_do_not_mention_traces() -> None:
    with folder() as place:
        service = Service(place).start()
        try:
            service.ready()
            status, headers, problem = ask(service, "GET", f"{CLUSTERS}/nothing", None, parent(TRACE))
            assert status == 404
            assert "traceresponse" not in headers
            assert "trace_id" not in problem
        finally:
            service.stop()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_unsupported_standard_variables_are_a_mistake(variable: str, value: str) -> None:
    [(name, sentence)] = tracing.contradictions({variable: value})
    assert name == variable
    assert value in sentence
    assert "set it to" in sentence


@pytest.mark.parametrize("value", ["", "otlp", "none", "console"])
def test_known_exporters_are_accepted(value: str) -> None:
    assert list(tracing.contradictions({"OTEL_TRACES_EXPORTER": value})) == []
