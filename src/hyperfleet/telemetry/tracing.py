"""Traces: a span for each request and each of its statements, exported as the standard `OTEL_*` variables say.

The library is imported only when `start` is called. Spans name routes and statements, never values. The sampler is the
SDK's, set by `OTEL_TRACES_SAMPLER`; by default a caller's decision is followed, and all other requests are sampled.
"""

import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

SERVICE_NAME: Final = "hyperfleet-api"
EXPORTERS: Final = ("otlp", "console", "none")
PROTOCOLS: Final = ("http/protobuf",)
STOP_SECONDS: Final = 3.0
"""How long to wait for the last spans at a stop; an unreachable collector must not delay it further."""


class _Library(NamedTuple):
    """The parts of the library in use, imported when tracing starts."""

    provider: Any
    tracer: Any
    api: Any
    propagate: Any
    context: Any


_used: _Library | None = None


def contradictions(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Values of standard variables that are not supported: the variable's name, and a sentence."""
    known = {
        "OTEL_TRACES_EXPORTER": EXPORTERS,
        "OTEL_EXPORTER_OTLP_PROTOCOL": PROTOCOLS,
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": PROTOCOLS,
    }
    for name, values in known.items():
        given = environ.get(name, "")
        if given and given not in values:
            yield name, f"{name} is {given!r}; set it to {' or '.join(values)}."


def is_on() -> bool:
    """Whether this process traces."""
    return _used is not None


def start(*, version: str, hostname: str = "") -> None:
    """Starts tracing in this process."""
    global _used
    from opentelemetry import context, propagate, trace
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider

    own = {
        "service.name": SERVICE_NAME,
        "service.version": version,
        "service.instance.id": f"{hostname or socket.gethostname()}-{os.getpid()}",
    }
    named = OTELResourceDetector().detect().attributes
    provider = TracerProvider(
        resource=Resource.create({key: value for key, value in own.items() if key not in named}),
        shutdown_on_exit=False,
    )
    processor = _processor(os.environ.get("OTEL_TRACES_EXPORTER") or EXPORTERS[0])
    if processor is not None:
        provider.add_span_processor(processor)
    _used = _Library(provider, provider.get_tracer("hyperfleet", version), trace, propagate, context)


def _processor(exporter: str) -> Any:
    from opentelemetry.sdk.trace import export

    if exporter == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return export.BatchSpanProcessor(OTLPSpanExporter())
    return export.BatchSpanProcessor(export.ConsoleSpanExporter()) if exporter == "console" else None


def stop() -> None:
    """Exports the remaining spans, within a bounded time, and ends tracing."""
    global _used
    used, _used = _used, None
    if used is not None:
        # In a thread that can be abandoned: the exporter's own limit does not apply while it retries a collector.
        last = threading.Thread(target=used.provider.shutdown, daemon=True)
        last.start()
        last.join(STOP_SECONDS)


def ids() -> tuple[str, str] | None:
    """The ids of the current trace and span, 32 and 16 hexadecimal digits; None without a current span."""
    if _used is None:
        return None
    here = _used.api.get_current_span().get_span_context()
    return (f"{here.trace_id:032x}", f"{here.span_id:016x}") if here.is_valid else None


class RequestSpan:
    """The span of a request; it is the current span until it ends."""

    __slots__ = ("_span", "_token", "_used")

    def __init__(self, used: _Library, span: Any, context: Any) -> None:
        self._used = used
        self._span = span
        self._token = used.context.attach(used.api.set_span_in_context(span, context))

    @property
    def response_header(self) -> tuple[bytes, bytes]:
        """The response header with the trace's id: `traceresponse`, from W3C Trace Context level 2."""
        here = self._span.get_span_context()
        return b"traceresponse", b"00-%032x-%016x-%02x" % (here.trace_id, here.span_id, here.trace_flags)

    def tell(self, method: str, template: str, status: int, size: int) -> None:
        """Sets the outcome of the request; a 5xx status marks the span as failed."""
        self._span.update_name(f"{method} {template}")
        self._span.set_attributes(
            {
                "http.request.method": method,
                "http.route": template,
                "http.response.status_code": status,
                "http.response.body.size": size,
            }
        )
        if status >= 500:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(self._used.api.StatusCode.ERROR)

    def end(self) -> None:
        """Ends the span."""
        self._used.context.detach(self._token)
        self._span.end()


def begin(method: str, headers: Iterable[tuple[bytes, bytes]]) -> RequestSpan | None:
    """The span of a new request, within the trace that its headers name; None if tracing is off."""
    if _used is None:
        return None
    carrier: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        carrier[key] = f"{carrier[key]},{text}" if key in carrier else text
    parent = _used.propagate.extract(carrier)
    return RequestSpan(_used, _used.tracer.start_span(method, parent, _used.api.SpanKind.SERVER), parent)


@contextmanager
def statement(name: str) -> Iterator[None]:
    """The span of a statement, if it belongs to a traced request."""
    used = _used
    if used is None or not used.api.get_current_span().is_recording():
        yield
        return
    attributes = {"db.system.name": "postgresql", "db.query.summary": name}
    span = used.tracer.start_span(name, None, used.api.SpanKind.CLIENT, attributes)
    try:
        # A driver's message may contain values, so only the class of a failure is recorded.
        with used.api.use_span(span, record_exception=False, set_status_on_exception=False):
            yield
    except BaseException as failure:
        span.set_attribute("error.type", type(failure).__name__)
        span.set_status(used.api.StatusCode.ERROR)
        raise
    finally:
        span.end()
