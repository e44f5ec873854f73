"""Builds this server's OpenAPI document from the packaged one, the kinds of the Catalog, and the provider's schemas.

A configured kind is described by the text of a built-in kind with its names replaced: NodePool's if it has an owner,
else Cluster's. So the TypeSpec of those two describes every kind, and a route added to them is added to every kind.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import count
from typing import Any, Final

from hyperfleet.http.description import kind_schemas, provider_schemas
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import BUILT_IN, Kind
from hyperfleet.model.rendering import API_ROOT

Document = dict[str, Any]

_CLUSTER, _NODE_POOL = BUILT_IN
_COMMON_TAGS: Final = 3
"""How many tags at the end of the packaged document's list belong to no kind."""

_METHODS: Final = ("get", "post", "put", "patch", "delete")

_REPORT: Final = "NewReport"
"""The schema for reports on any kind."""

_SHOWN: Final = ("name_min_length", "name_max_length", "references", "mandatory_conditions")
"""Declarations of a kind that the packaged examples may contradict once the configuration changes them."""

_BUILT_IN_NAMES: Final = frozenset(kind.name for kind in BUILT_IN)


def packaged() -> Document:
    """The OpenAPI document in the package, as a copy that the caller may change."""
    whole: Document = json.loads(files(__package__).joinpath("openapi.json").read_bytes())
    return whole


def document(
    catalog: Catalog,
    provider: Mapping[str, Any] | None = None,
    *,
    token_headers: Sequence[str] = (),
    is_vouched: bool = False,
    forbids: bool = False,
) -> Document:
    """This server's document, as a copy that the caller may change. `provider` is a parsed OpenAPI document, or None.

    The provider's schemas of specs replace ours, together with everything that they reference (contract: Kinds).
    `token_headers` are the lower-case names of the headers that carry tokens, empty where no token is needed.
    `is_vouched` means that a gateway identifies callers, `forbids` that requests can be refused with 403.
    """
    whole = packaged()
    schemas = whole["components"]["schemas"]
    identifiers = {
        kind.name: kind.name if kind.name in _BUILT_IN_NAMES else _add(whole, kind, catalog.parent_of(kind))
        for kind in catalog.kinds
    }
    for kind in catalog.kinds:
        _declare(whole, kind, identifiers[kind.name], catalog.kinds)
    if provider is None:
        _share(schemas, _further(catalog.kinds, identifiers, schemas))
    else:
        _adopt(whole, provider, catalog.kinds, identifiers)
    _tell_of_tokens(whole, token_headers)
    is_open = not token_headers and not is_vouched
    if is_open:
        _drop_answer(whole, "401")
    if not forbids:
        # Without authentication, writes from pages of other sites are still refused.
        _drop_answer(whole, "403", ("get",) if is_open else _METHODS)
    return whole


def _tell_of_tokens(whole: Document, headers: Sequence[str]) -> None:
    """Describes how callers authenticate on this server; removes the security schemes where they need not."""
    schemes = {_scheme_name(header): _scheme(header) for header in headers}
    if schemes:
        whole["components"]["securitySchemes"] = schemes
        whole["security"] = [{name: []} for name in schemes]
        return
    del whole["components"]["securitySchemes"], whole["security"]
    for operation in _operations(whole["paths"]):
        operation.pop("security", None)


def _drop_answer(whole: Document, status: str, methods: Sequence[str] = _METHODS) -> None:
    for item in whole["paths"].values():
        for method in methods:
            item.get(method, {"responses": {}})["responses"].pop(status, None)


def _scheme_name(header: str) -> str:
    words = "Bearer" if header == "authorization" else "".join(map(_capital, re.findall("[a-z0-9]+", header)))
    return f"{words}Auth"


def _scheme(header: str) -> Document:
    if header == "authorization":
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return {"type": "apiKey", "in": "header", "name": header}


def _declare(whole: Document, kind: Kind, identifier: str, kinds: tuple[Kind, ...]) -> None:
    """Adds the kind's own declarations to its schemas and operations."""
    schemas = whole["components"]["schemas"]
    resource, new, selected, _, name, _, patch = (schemas[name] for name in _schema_names(identifier))
    kind_schemas.add_name_lengths(kind, name)
    kind_schemas.add_references(kind, resource, selected, new, patch)
    items = {path: item for path, item in whole["paths"].items() if _kind_of(path, kinds) is kind}
    report = kind_schemas.report(kind, _REPORT)
    if report is not None:
        own = next(word for word in _numbered(f"New{identifier}Report") if word not in schemas)
        schemas[own] = report
        for schema in _body_schemas(items):
            if schema == {"$ref": provider_schemas.COMPONENTS + _REPORT}:
                schema["$ref"] = provider_schemas.COMPONENTS + own
    shown = next((built_in for built_in in BUILT_IN if built_in.name == kind.name), kind)
    if any(getattr(kind, member) != getattr(shown, member) for member in _SHOWN):
        for path in items:
            whole["paths"][path] = _without_examples(whole["paths"][path])


def _body_schemas(paths: Document) -> Iterator[Document]:
    for operation in _operations(paths):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield content["schema"]


def _adopt(
    whole: Document, provider: Mapping[str, Any], kinds: tuple[Kind, ...], identifiers: Mapping[str, str]
) -> None:
    """Copies the provider's schemas of specs into the document."""
    wanted: dict[str, str] = {}
    shared: dict[str, str] = {}
    for kind in kinds:
        spec = f"{identifiers[kind.name]}Spec"
        if wanted.setdefault(kind.spec_schema_name, spec) != spec:
            shared[spec] = kind.spec_schema_name
    replaced = provider_schemas.adopt(provider, whole["components"]["schemas"], wanted)
    taken = {spec: wanted[theirs] for spec, theirs in shared.items() if theirs in replaced}
    _share(whole["components"]["schemas"], taken)
    for path, item in whole["paths"].items():
        kind_there = _kind_of(path, kinds)
        if kind_there is not None and kind_there.spec_schema_name in replaced:
            _drop_examples_of_specs(item)


def _further(kinds: tuple[Kind, ...], identifiers: Mapping[str, str], schemas: Document) -> dict[str, str]:
    """For each kind whose `spec_schema_name` is another one of our own schemas: that name, by the kind's spec name."""
    return {
        f"{identifiers[kind.name]}Spec": kind.spec_schema_name
        for kind in kinds
        if kind.spec_schema_name != f"{kind.name}Spec" and kind.spec_schema_name in schemas
    }


def _share(schemas: Document, same: Mapping[str, str]) -> None:
    """Makes each schema of a spec a reference to another schema."""
    for spec, other in same.items():
        schemas[spec] = {"allOf": [{"$ref": provider_schemas.COMPONENTS + other}]}


def _template(whole: Document, kind: Kind) -> tuple[str, str]:
    """A built-in kind's paths and schemas, without their examples, as JSON."""
    paths = {path: item for path, item in whole["paths"].items() if _kind_of(path, BUILT_IN) is kind}
    schemas = {name: whole["components"]["schemas"][name] for name in _schema_names(kind.name)}
    return json.dumps(_without_examples(paths)), json.dumps(schemas)


def _schema_names(identifier: str) -> tuple[str, ...]:
    """The names of a kind's schemas, for its answers, bodies and lists."""
    forms = ("{}", "New{}", "Selected{}", "{}List", "{}Name", "{}Spec", "{}Patch")
    return tuple(form.format(identifier) for form in forms)


def _kind_of(path: str, kinds: tuple[Kind, ...]) -> Kind | None:
    """The kind whose plural comes last in a path, or None."""
    for word in reversed(path.removeprefix(API_ROOT).split("/")):
        for kind in kinds:
            if kind.plural == word:
                return kind
    return None


def _without_examples(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_examples(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_examples(item) for key, item in value.items() if key != "examples"}
    return value


def _add(whole: Document, kind: Kind, owner: Kind | None) -> str:
    """Adds a kind's paths, schemas and tag; returns its identifier in the names of schemas and operations.

    The identifier is the kind's name, followed by a number if one of the derived names is taken.
    """
    said_of_paths, said_of_schemas = _template(whole, _CLUSTER if owner is None else _NODE_POOL)
    schemas = whole["components"]["schemas"]
    taken = {operation["operationId"] for operation in _operations(whole["paths"])} | schemas.keys()
    for identifier in _numbered(kind.name):
        words = _words(kind, identifier, owner)
        paths, added = _reworded(said_of_paths, words), _reworded(said_of_schemas, words)
        if taken.isdisjoint({operation["operationId"] for operation in _operations(paths)} | added.keys()):
            break
    resource, new, selected, page, *_ = _schema_names(identifier)
    for schema in (resource, selected):
        added[schema]["properties"]["kind"]["enum"] = [kind.name]
    added[new]["properties"]["kind"]["enum"] = [kind.name, None]
    added[page]["properties"]["kind"]["enum"] = [f"{kind.name}List"]
    schemas.update(added)
    whole["paths"].update(paths)
    _tag(whole, kind, owner, _operations(paths))
    return identifier


def _numbered(word: str) -> Iterator[str]:
    """The word, then the word followed by 2, 3 and so on."""
    yield word
    yield from (f"{word}{number}" for number in count(2))


def _tag(whole: Document, kind: Kind, owner: Kind | None, operations: list[Document]) -> None:
    """Puts a kind's operations under its own tag; common tags are kept."""
    common = [tag["name"] for tag in whole["tags"][-_COMMON_TAGS:]]
    own = _capital(_titles(kind))
    if own in common:
        own = f"{own} ({kind.name})"
    for operation in operations:
        operation["tags"] = [name if name in common else own for name in operation["tags"]]
    owned = f", each owned by {owner.one}" if owner else ""
    tag = {"name": own, "description": f"Resources of kind {kind.name}{owned}."}
    whole["tags"].insert(-_COMMON_TAGS, tag)


def _operations(paths: Document) -> list[Document]:
    return [operation for item in paths.values() for operation in item.values()]


def _words(kind: Kind, identifier: str, owner: Kind | None) -> dict[str, str]:
    """The replacement for each word of the built-in kinds."""
    if owner is None:
        return _spellings(_CLUSTER, kind, identifier)
    return _spellings(_CLUSTER, owner, owner.name) | _spellings(_NODE_POOL, kind, identifier)


def _spellings(old: Kind, new: Kind, identifier: str) -> dict[str, str]:
    return dict(zip(_forms(old, old.name), _forms(new, identifier), strict=True))


def _forms(kind: Kind, identifier: str) -> tuple[str, ...]:
    """Every form of a kind's name in identifiers, paths and sentences."""
    is_regular = kind.plural == f"{kind.name.lower()}s"
    many = (
        f"{kind.name}s" if is_regular else "".join(map(_capital, kind.plural.split("-")))
    ) + identifier.removeprefix(kind.name)
    one = kind.one
    return (
        *(identifier, many, f"{kind.name.lower()}_id", f"/{kind.plural}"),
        *(kind.title, _titles(kind), one, _capital(one), kind.not_found_code),
    )


def _titles(kind: Kind) -> str:
    """The plural title."""
    is_regular = kind.plural.replace("-", "") == kind.title.replace(" ", "") + "s"
    return f"{kind.title}s" if is_regular else kind.plural.replace("-", " ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _reworded(text: str, words: Mapping[str, str]) -> Document:
    """Parses a JSON text with all words replaced in one pass; of words with a common prefix the longest matches."""
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    found: Document = json.loads(re.sub(pattern, lambda match: json.dumps(words[match[0]])[1:-1], text))
    return found


def _drop_examples_of_specs(item: Document) -> None:
    """Removes a path's examples that show a `spec`, because the provider's schema differs from ours."""
    for operation in item.values():
        answers = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (each for answer in answers for each in answer.get("content", {}).values()):
            kept = {
                title: example
                for title, example in content.pop("examples", {}).items()
                if '"spec": ' not in json.dumps(example)
            }
            if kept:
                content["examples"] = kept
