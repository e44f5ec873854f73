"""The served document: the same at all its URLs, built once, and correct for the kinds and schemas of this server."""

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import httpx2
import pytest
import yaml
from openapi_spec_validator import validate
from starlette.types import ASGIApp

from hyperfleet.http.app import application
from hyperfleet.http.description import publications
from hyperfleet.http.description.document import document
from hyperfleet.http.media_types import HTML, JSON, YAML
from hyperfleet.http.routes import ROWS, routes
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN, Kind
from hyperfleet.model.rendering import API_ROOT
from hyperfleet.store.database import Database
from testbed.fleet import CATALOG
from tests.contract.conformity import UNDESCRIBED
from tests.http import asgi
from tests.http.conftest import SETTINGS

CHANNEL: Final = Kind("Channel", "channels", "channel", name_max_length=30)
VERSION: Final = Kind("Version", "versions", "version", parent="Channel")
POLICY: Final = Kind("UpgradePolicy", "upgrade-policies", "upgrade policy", parent="NodePool")
SERVICE: Final = Kind("Service", "services", "service")
MORE_KINDS: Final = Catalog([*BUILT_IN, CHANNEL, VERSION, POLICY, SERVICE])

LARGE: Final = [
    *(path for path, forms in publications.DOCUMENT.items() if HTML not in forms),
    *(path for path in publications.PARTS if "swagger-ui" in path),
]
"""Where more is answered than fits into the size from which compression pays."""

PROVIDER: Final = {
    "openapi": "3.0.3",
    "paths": {},
    "components": {
        "schemas": {
            "ClusterSpec": {
                "type": "object",
                "required": ["region", "network"],
                "properties": {
                    "region": {"$ref": "#/components/schemas/Region"},
                    "network": {"$ref": "#/components/schemas/Status"},
                    "first": {"$ref": "#/components/schemas/Network/properties/subnets/items"},
                    "parent": {"$ref": "#/components/schemas/ClusterSpec"},
                    "default": {"$ref": "#/x-parts/a~1b"},
                },
                "example": {"$ref": "is data"},
            },
            "ChannelSpec": {
                "oneOf": [{"$ref": "#/components/schemas/Fast"}, {"$ref": "#/components/schemas/Slow"}],
                "discriminator": {"propertyName": "pace", "mapping": {"f": "Fast", "s": "#/components/schemas/Slow"}},
            },
            "Region": {"type": "string", "enum": ["eu", "us"]},
            "Status": {"type": "object", "properties": {"network": {"$ref": "#/components/schemas/Network"}}},
            "Network": {"type": "object", "properties": {"subnets": {"type": "array", "items": {"type": "string"}}}},
            "Fast": {"type": "object"},
            "Slow": {"type": "object"},
            "Unused": {"type": "object"},
        }
    },
    "x-parts": {"a/b": {"type": "boolean"}},
}


def schemas(whole: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = whole["components"]["schemas"]
    return found


def references(value: Any) -> Iterator[str]:
    """Every reference in a document, except members of examples."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in ("$ref", "f", "s") and isinstance(item, str) and item != "is data":
                yield item
            yield from references(item)


@pytest.fixture
def app() -> ASGIApp:
    """An application whose tested routes need no database."""
    return application(Database(SETTINGS.database), CATALOG, SETTINGS)


async def test_every_address_of_a_form_gives_the_same_bytes_and_tag(app: ASGIApp) -> None:
    for form in (JSON, YAML, HTML):
        addresses = [address for address, forms in publications.DOCUMENT.items() if form in forms]
        answers = [await asgi.send(app, "GET", address, headers=[("Accept", form)]) for address in addresses]
        assert {answer.status for answer in answers} == {200}
        assert len({(answer.body, answer.headers["etag"]) for answer in answers}) == 1
        assert answers[0].headers["content-type"].partition(";")[0] == form


async def test_json_and_yaml_are_the_same_document(app: ASGIApp) -> None:
    as_json = json.loads((await asgi.send(app, "GET", "/openapi")).body)
    assert yaml.safe_load((await asgi.send(app, "GET", "/openapi.yaml")).body) == as_json
    assert as_json == document(CATALOG)


async def test_multi_line_texts_stay_multi_line_in_yaml(app: ASGIApp) -> None:
    text = (await asgi.send(app, "GET", "/openapi.yaml")).body.decode()
    assert "\n  description: |-\n    The source of truth" in text
    assert not re.search(r"[&*]id0", text)


@pytest.mark.parametrize("path", [*publications.DOCUMENT, *publications.PARTS])
async def test_a_caller_with_a_current_copy_gets_304_without_a_body(app: ASGIApp, path: str) -> None:
    first = await asgi.send(app, "GET", path)
    tag = first.headers["etag"]
    assert re.fullmatch('"[^",]+"', tag)
    for method in ("GET", "HEAD"):
        for named in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            again = await asgi.send(app, method, path, headers=[("If-None-Match", named)])
            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == tag
            several = len(publications.DOCUMENT.get(path, ())) > 1
            assert again.headers["vary"] == ("Accept, Accept-Encoding" if several else "Accept-Encoding")
            assert not {"content-type", "content-length", "content-encoding"} & again.headers.keys()
    for other in ('"x"', "", "W/", tag[1:-1]):
        assert (await asgi.send(app, "GET", path, headers=[("If-None-Match", other)])).status == 200


@pytest.mark.parametrize("path", LARGE)
async def test_gzip_is_used_for_callers_that_accept_it_and_has_its_own_tag(app: ASGIApp, path: str) -> None:
    plain = await asgi.send(app, "GET", path)
    zipped = await asgi.send(app, "GET", path, headers=[("Accept-Encoding", "gzip;q=0.5, identity;q=0.1")])
    assert zipped.headers["content-encoding"] == "gzip"
    assert int(zipped.headers["content-length"]) == len(zipped.body) < len(plain.body)
    assert gzip.decompress(zipped.body) == plain.body
    assert zipped.headers["etag"] != plain.headers["etag"]
    for refused in ("gzip;q=0", "br", "identity, gzip;q=0.5", "gzip;q=2"):
        answer = await asgi.send(app, "GET", path, headers=[("Accept-Encoding", refused)])
        assert "content-encoding" not in answer.headers
        assert (answer.body, answer.headers["etag"]) == (plain.body, plain.headers["etag"])
    # The tags of both forms name the same document.
    headers = [("Accept-Encoding", "gzip"), ("If-None-Match", plain.headers["etag"])]
    assert (await asgi.send(app, "GET", path, headers=headers)).status == 304


async def test_the_document_is_compressed_once_and_not_for_each_request(app: ASGIApp) -> None:
    middleware: Any = app
    made = middleware._publications["/openapi", JSON]
    answers = [await asgi.send(app, "GET", "/openapi", headers=[("Accept-Encoding", "gzip")]) for _ in range(2)]
    assert all(answer.body == made.packed for answer in answers)
    assert made.packed == gzip.compress(made.body(), 9, mtime=0)


@pytest.mark.parametrize("path", [*publications.DOCUMENT, *publications.PARTS])
async def test_head_options_and_other_methods_work_as_everywhere(app: ASGIApp, path: str) -> None:
    get, head = await asgi.send(app, "GET", path), await asgi.send(app, "HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers | {"x-request-id": ""} == get.headers | {"x-request-id": ""}
    options = await asgi.send(app, "OPTIONS", path)
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    refused = await asgi.send(app, "POST", path)
    assert (refused.status, refused.problem["code"]) == (405, "HYPERFLEET-VAL-005")
    unknown = await asgi.send(app, "GET", f"{path}?a=1")
    assert (unknown.status, unknown.problem["code"]) == (400, "HYPERFLEET-VAL-002")
    assert (await asgi.send(app, "GET", f"{path}/")).status == 404


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/openapi", "application/json", 200),
        ("/openapi", "application/vnd.oai.openapi+json", 200),
        ("/openapi", "application/yaml", 200),
        ("/openapi", "text/html", 406),
        ("/openapi.yaml", "application/yaml", 200),
        ("/openapi.yaml", "application/json", 406),
        ("/openapi-ui", "text/html,application/xhtml+xml", 200),
        ("/openapi-ui", "application/json", 406),
        ("/openapi-ui/swagger-ui.css", "text/css,*/*;q=0.1", 200),
        ("/favicon.ico", "image/avif,image/*", 200),
    ],
)
async def test_a_media_type_other_than_those_offered_is_refused(
    app: ASGIApp, path: str, accept: str, status: int
) -> None:
    answer = await asgi.send(app, "GET", path, headers=[("Accept", accept)])
    assert answer.status == status
    if status == 406:
        assert all(form in answer.problem["detail"] for form in publications.DOCUMENT[path])


@pytest.mark.parametrize("path", ["/openapi", f"{API_ROOT}/openapi"])
async def test_the_document_is_served_in_yaml_to_callers_that_prefer_it(app: ASGIApp, path: str) -> None:
    for accept, form in (("application/yaml, */*;q=0.1", YAML), ("*/*", JSON), ("application/json", JSON)):
        answer = await asgi.send(app, "GET", path, headers=[("Accept", accept)])
        assert (answer.status, answer.headers["content-type"], answer.headers["vary"]) == (
            200,
            form,
            "Accept, Accept-Encoding",
        )
        read = yaml.safe_load if form == YAML else json.loads
        assert read(answer.body) == document(CATALOG)


async def test_the_page_may_load_only_its_own_files(app: ASGIApp) -> None:
    page = await asgi.send(app, "GET", "/openapi-ui")
    policy = dict(rule.strip().split(" ", 1) for rule in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == ("'self'",) * 3
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    for address in ("/openapi-ui", "/api/hyperfleet/v1/openapi.html"):
        for link in linked:
            found = str(httpx2.URL(f"http://test{address}").join(link).path)
            assert (await asgi.send(app, "GET", found)).status == 200, found
    assert not re.search(r"<script>|<style|style=|https?://", page.body.decode())


async def test_the_features_mention_the_document(client: httpx2.AsyncClient) -> None:
    assert "openapi" in (await client.get("/compatibility")).json()["features"]


def test_a_kind_gets_its_paths_from_its_entry_alone() -> None:
    whole = document(MORE_KINDS)
    described = {
        (re.sub(r"\{[a-z_]+\}", "-", path), method.upper()) for path, item in whole["paths"].items() for method in item
    }
    rows = (row for row in ROWS if row.path not in UNDESCRIBED)
    routed = {(route.template, method) for row in rows for route in routes(row, MORE_KINDS) for method in route.methods}
    assert described == routed


def test_a_kind_gets_its_schemas_from_its_entry_alone() -> None:
    found = schemas(document(MORE_KINDS))
    assert (found["ChannelName"]["minLength"], found["ChannelName"]["maxLength"]) == (1, 30)
    for name, or_null in (("Version", []), ("NewVersion", [None]), ("SelectedVersion", [])):
        assert found[name]["properties"]["kind"]["enum"] == ["Version", *or_null]
        assert found[name]["properties"]["name"] == {"$ref": "#/components/schemas/VersionName"}
    assert found["VersionList"]["properties"]["kind"]["enum"] == ["VersionList"]
    assert found["VersionList"]["properties"]["items"]["items"] == {"$ref": "#/components/schemas/SelectedVersion"}
    assert "owner_references" in found["Version"]["required"]
    assert "owner_references" not in found["Channel"]["properties"]


def test_a_kind_whose_name_is_used_elsewhere_in_the_document_keeps_its_name_in_bodies() -> None:
    found = schemas(document(MORE_KINDS))
    assert found["Service"] == schemas(document(CATALOG))["Service"]
    assert found["Service2"]["properties"]["kind"]["enum"] == ["Service"]


def test_the_description_of_another_kind_has_no_word_of_a_built_in_kind() -> None:
    whole, base = document(MORE_KINDS), document(CATALOG)
    added = {path: item for path, item in whole["paths"].items() if path not in base["paths"]}
    more = {name: schema for name, schema in schemas(whole).items() if name not in schemas(base)}
    text = json.dumps([added, more])
    # A child of a node pool names its owner.
    for word in ("NodePool", "node pool", "nodepool", "NTF-003"):
        text = text.replace(word, "")
    assert not re.search("cluster|node ?pool|NTF-00[23]", text, re.IGNORECASE)
    of_channels = json.dumps([item for path, item in added.items() if "nodepools" not in path and "polic" not in path])
    assert not re.search("cluster|node ?pool|NTF-00[23]", of_channels, re.IGNORECASE)
    assert "an upgrade policy" in text
    assert "a upgrade" not in text
    assert any(path.endswith("/upgrade-policies") for path in added)


def test_operations_and_tags_have_unique_names() -> None:
    whole = document(MORE_KINDS)
    operations = [operation for item in whole["paths"].values() for operation in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    tags = [tag["name"] for tag in whole["tags"]]
    assert len(set(tags)) == len(tags)
    assert {name for operation in operations for name in operation["tags"]} == set(tags)
    assert "listUpgradePolicies" in {operation["operationId"] for operation in operations}


@pytest.mark.parametrize("catalog", [CATALOG, MORE_KINDS], ids=["built-in", "more"])
@pytest.mark.parametrize("provider", [None, PROVIDER], ids=["plain", "provider"])
def test_it_is_a_valid_document_whose_references_stay_inside(catalog: Catalog, provider: dict[str, Any] | None) -> None:
    whole = document(catalog, provider)
    validate(whole)
    found = set(references(whole))
    assert len(found) > 20
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in schemas(whole), reference


def test_a_providers_schema_replaces_ours_with_its_references() -> None:
    whole, base = document(CATALOG, PROVIDER), document(CATALOG)
    found = schemas(whole)
    spec = found["ClusterSpec"]
    assert spec["required"] == ["region", "network"]
    assert spec["example"] == {"$ref": "is data"}
    assert found["Region"] == {"type": "string", "enum": ["eu", "us"]}
    assert spec["properties"]["parent"] == {"$ref": "#/components/schemas/ClusterSpec"}
    assert found[spec["properties"]["default"]["$ref"].rpartition("/")[2]] == {"type": "boolean"}
    assert found[spec["properties"]["first"]["$ref"].rpartition("/")[2]] == {"type": "string"}
    assert found["NodePoolSpec"] == schemas(base)["NodePoolSpec"]
    assert "Unused" not in found


def test_a_providers_schema_with_the_name_of_one_of_ours_is_renamed() -> None:
    found = schemas(document(CATALOG, PROVIDER))
    assert found["Status"] == schemas(document(CATALOG))["Status"]
    assert found["ClusterSpec"]["properties"]["network"] == {"$ref": "#/components/schemas/ProviderStatus"}
    assert found["ProviderStatus"]["properties"]["network"] == {"$ref": "#/components/schemas/Network"}


def test_a_provider_describes_further_kinds_as_well() -> None:
    found = schemas(document(MORE_KINDS, PROVIDER))
    assert found["ChannelSpec"]["discriminator"]["mapping"] == {
        "f": "#/components/schemas/Fast",
        "s": "#/components/schemas/Slow",
    }


def test_examples_of_specs_that_a_provider_describes_are_left_out() -> None:
    def shown(whole: dict[str, Any], path: str) -> str:
        return json.dumps(whole["paths"][f"/api/hyperfleet/v1/{path}"])

    whole, base = document(CATALOG, PROVIDER), document(CATALOG)
    assert '"spec": {"region"' in shown(base, "clusters")
    assert '"spec": {"region"' not in shown(whole, "clusters")
    assert "A search with a mistake" in shown(whole, "clusters")
    assert shown(whole, "nodepools") == shown(base, "nodepools")
    pools = "clusters/{cluster_id}/nodepools"
    assert shown(whole, pools) == shown(base, pools)
