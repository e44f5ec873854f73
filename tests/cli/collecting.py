"""A trace collector on loopback: it decodes what an OTLP exporter sends over HTTP."""

import gzip
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """Received data in order: `paths` and `raw` bodies, the `spans` in them, the `resources` of the senders."""

    port: int = 0
    paths: list[str] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)

    def trace(self, id: str) -> list[Span]:
        """The spans of a trace, ordered by start."""
        return sorted((each for each in self.spans if each.trace_id.hex() == id), key=lambda s: s.start_time_unix_nano)

    def take(self, path: str, body: bytes) -> None:
        self.paths.append(path)
        self.raw.append(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(texts(group.resource.attributes))
            for scope in group.scope_spans:
                self.spans += scope.spans


def texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Attributes as texts."""
    return {each.key: str(getattr(each.value, each.value.WhichOneof("value") or "")) for each in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector, stopped at the end."""
    collector = Collector()

    class Handling(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handling)
    collector.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
