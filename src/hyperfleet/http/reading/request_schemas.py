"""The schemas of request bodies, as the packaged document describes them: what is wrong with a body, it says.

Made from the document's components, so that the document and the error messages agree. What a kind
declares of its own is written in, as it is in the document that is served; `spec` is any object here, because what is
in it is for the kind's own schema.
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
    """Of what is sent to create a resource of a kind."""
    schemas = _schemas()
    new: Schema = schemas["NewCluster"]
    new["properties"]["kind"]["enum"] = [kind.name, None]
    new["properties"]["references"] = kind_schemas.references(kind)
    schemas["ClusterName"] |= {"minLength": kind.name_min_length, "maxLength": kind.name_max_length}
    return _schema(schemas, "NewCluster")


@cache
def replacement(kind: Kind) -> RequestSchema:
    """Of a change as plain JSON, in which a label is never null."""
    schemas = _schemas()
    change: Schema = schemas["ClusterPatch"]
    change["properties"]["labels"] = schemas["NewCluster"]["properties"]["labels"]
    change["properties"]["references"] = kind_schemas.references(kind)
    return _schema(schemas, "ClusterPatch")


@cache
def merge(kind: Kind) -> RequestSchema:
    """Of a change as a merge patch."""
    schemas = _schemas()
    schemas["ClusterPatch"]["properties"]["references"] = kind_schemas.references(kind)
    return _schema(schemas, "ClusterPatch")


@cache
def report() -> RequestSchema:
    """Of an adapter's report."""
    return _schema(_schemas(), "NewReport")


@cache
def forced_deletion() -> RequestSchema:
    """Of the reason for a removal by force."""
    return _schema(_schemas(), "ForcedDeletion")


def _schema(schemas: Schema, name: str) -> RequestSchema:
    return RequestSchema({"openapi": "3.0.0", "components": {"schemas": schemas}}, name)


def _schemas() -> Schema:
    """The packaged document's components, as a tree of one's own."""
    schemas: Schema = json.loads(_packaged())
    return schemas


@cache
def _packaged() -> str:
    """The packaged document's components, without its paths and their examples."""
    return json.dumps(document.packaged()["components"]["schemas"])
