"""The schemas that request bodies are checked against, built from the packaged OpenAPI document.

The schemas come from the document's components, so the document and the error messages agree. Each kind's own
declarations are added, as in the served document. `spec` may be any object here, because the kind's own schema checks
its content.
"""

import json
from functools import cache
from typing import Any

from hyperfleet.http.description import document, kind_schemas
from hyperfleet.model.kind import Kind
from hyperfleet.model.schemas.request_schema import RequestSchema

Schema = dict[str, Any]


@cache
def creation(kind: Kind) -> RequestSchema:
    """The schema of a body that creates a resource of a kind."""
    schemas = _schemas()
    new: Schema = schemas["NewCluster"]
    new["properties"]["kind"]["enum"] = [kind.name, None]
    new["properties"]["references"] = kind_schemas.references(kind)
    schemas["ClusterName"] |= {"minLength": kind.name_min_length, "maxLength": kind.name_max_length}
    return _schema(schemas, "NewCluster")


@cache
def replacement(kind: Kind) -> RequestSchema:
    """The schema of a PATCH body in plain JSON, in which a label is never null."""
    schemas = _schemas()
    change: Schema = schemas["ClusterPatch"]
    change["properties"]["labels"] = schemas["NewCluster"]["properties"]["labels"]
    change["properties"]["references"] = kind_schemas.references(kind)
    return _schema(schemas, "ClusterPatch")


@cache
def merge(kind: Kind) -> RequestSchema:
    """The schema of a merge patch."""
    schemas = _schemas()
    schemas["ClusterPatch"]["properties"]["references"] = kind_schemas.references(kind)
    return _schema(schemas, "ClusterPatch")


@cache
def report() -> RequestSchema:
    """The schema of an adapter's report."""
    return _schema(_schemas(), "NewReport")


@cache
def forced_deletion() -> RequestSchema:
    """The schema of a force-delete's body."""
    return _schema(_schemas(), "ForcedDeletion")


def _schema(schemas: Schema, name: str) -> RequestSchema:
    return RequestSchema({"openapi": "3.0.0", "components": {"schemas": schemas}}, name)


def _schemas() -> Schema:
    """The packaged document's components, as a copy that the caller may change."""
    schemas: Schema = json.loads(_packaged())
    return schemas


@cache
def _packaged() -> str:
    """The packaged document's components as JSON, without the paths and their examples."""
    return json.dumps(document.packaged()["components"]["schemas"])
