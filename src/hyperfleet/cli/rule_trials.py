"""`rules test`: evaluates the configured rules on a resource, reports and a caller from files, without a service.

The files have the formats of the API: a resource as returned by GET, reports as adapters send them or as `/statuses`
lists them, and a caller as rules see it. Missing members get default values.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from hyperfleet.assembly import yaml_documents
from hyperfleet.errors import HyperFleetError
from hyperfleet.http.reading import bodies
from hyperfleet.model import rendering, standing
from hyperfleet.model.assessment import Assessment
from hyperfleet.model.caller import Attributes, Caller
from hyperfleet.model.catalog import Catalog
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Desired, Draft, Scope
from hyperfleet.model.rules.permission import VERBS, Permissions
from hyperfleet.model.status.report import Summary, summarize
from hyperfleet.services import assessing, confining
from hyperfleet.settings import BadSettings

NOBODY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Trial:
    """Lines to print; `succeeded` if every rule could be evaluated and the caller has the permission asked about."""

    lines: tuple[str, ...]
    succeeded: bool


def conditions(catalog: Catalog, resource: Path, reports: Path | None) -> Trial:
    """The conditions that the kind's rules derive from a resource and reports. Raises BadSettings for a wrong file."""
    given = _object(resource)
    kind = _kind(given, catalog, resource)
    now = datetime.now(UTC)
    found = asyncio.run(_assessed(kind, given, _reports(kind, reports, now), now))
    return Trial(tuple(_told(kind, found)), not found.failures)


def access(permissions: Permissions | None, caller: Path, verb: str, kind: Kind) -> Trial:
    """Whether the rules allow a caller an action. Raises BadSettings for a wrong file or verb."""
    if verb not in VERBS:
        raise BadSettings([f"--verb must be one of {', '.join(VERBS)}, not {verb!r}."])
    asking = _caller(_object(caller), caller)
    if permissions is None:
        return Trial(("Allowed: authorization is disabled, so every caller may do everything.",), succeeded=True)
    grants = permissions.grants(asking)
    lines = [f"Rule {failure.rule} could not be evaluated: {failure.reason}." for failure in grants.failed]
    known = next(each for each in VERBS if each == verb)
    allowed = kind.name in grants.kinds[known]
    holds = f"matching rules: {', '.join(grants.applied) or 'none'}"
    lines.append(f"{'Allowed' if allowed else 'Not allowed'}: {verb} {kind.name}; {holds}.")
    return Trial(tuple(lines), allowed and not grants.failed)


def _told(kind: Kind, found: Assessment) -> Iterator[str]:
    status = found.standing.computed
    by_type = {condition.type: condition for condition in status.conditions}
    yield f"{kind.name}: phase {status.phase}"
    for condition in status.conditions:
        words = " ".join(filter(None, (condition.reason or "", condition.message or "")))
        yield f"  {condition.type}: {condition.status}  {words}".rstrip()
    failed = {failure.type for failure in found.failures}
    for rule in kind.conditions:
        if rule.type not in by_type and rule.type not in failed:
            yield f"  {rule.type}: absent, {('its `when` is false' if by_type else 'because no adapter is counted')}"
    for failure in found.failures:
        yield f"  {failure.type}: evaluation failed: {failure.reason}"


async def _assessed(
    kind: Kind, given: Mapping[str, Any], reports: list[tuple[Summary, bytes]], now: datetime
) -> Assessment:
    created = _time(given.get("created_time"), now)
    spec = msgspec.json.encode(given.get("spec") or {})
    draft = Draft(str(given.get("name") or "example"), Desired(spec, dict(given.get("labels") or {}), {}))
    by = str(given.get("created_by") or "nobody")
    new = standing.fresh(Scope(kind), draft, NOBODY, by=by, now=created)
    # Members of the file override generated ones, including members that the API itself would set.
    whole = msgspec.json.decode(new.envelope.whole) | {name: value for name, value in given.items() if name != "status"}
    tried = msgspec.structs.replace(
        new.standing,
        generation=int(whole["generation"]),
        updated_time=_time(whole.get("updated_time"), now),
        is_deleting="deleted_time" in whole,
        envelope=msgspec.json.encode(whole),
    )
    for summary, served in reports:
        tried = tried.reported(summary, served)
    found = await assessing.assess(kind, tried)
    confining.stop()
    return found


def _reports(kind: Kind, file: Path | None, now: datetime) -> list[tuple[Summary, bytes]]:
    if file is None:
        return []
    content = _content(file)
    listed = content.get("items", [content]) if isinstance(content, dict) else content
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise BadSettings([f"{file}: must contain a report or a list of reports."])
    made = []
    for position, each in enumerate(listed):
        sent = {name: value for name, value in each.items() if name not in ("created_time", "last_report_time")}
        sent.setdefault("observed_time", each.get("last_report_time") or rendering.timestamp(now))
        sent.setdefault("observed_generation", 1)
        try:
            report = bodies.report(sent, kind, now=now)
        except HyperFleetError as wrong:
            told = [error.message for error in wrong.errors] or [wrong.detail]
            raise BadSettings([f"{file}, report {position + 1}: {sentence}" for sentence in told]) from None
        summary = summarize(report, None)
        made.append((summary, rendering.report(report, summary, None, now=now)))
    return made


def _caller(given: Mapping[str, Any], file: Path) -> Caller:
    known = {"identity", "issuer", "groups", "claims", "system", "tenancy"}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise BadSettings([f"{file}: unknown member {', '.join(unknown)}; a caller has {', '.join(sorted(known))}."])
    try:
        attributes = Attributes(tuple(map(str, given.get("groups") or ())), dict(given.get("claims") or {}))
        return Caller(
            str(given.get("identity") or ""),
            str(given.get("issuer") or ""),
            attributes=lambda: attributes,
            tenancy=tuple(sorted((str(key), str(value)) for key, value in dict(given.get("tenancy") or {}).items())),
            is_system=given.get("system") is True,
        )
    except (TypeError, ValueError):
        raise BadSettings([f"{file}: groups must be a list of strings, claims and tenancy must be objects."]) from None


def _kind(given: Mapping[str, Any], catalog: Catalog, file: Path) -> Kind:
    name = given.get("kind")
    if not isinstance(name, str) or name not in catalog.by_name:
        raise BadSettings([f"{file}: kind must be one of {', '.join(catalog.by_name)}, not {name!r}."])
    return catalog.by_name[name]


def _time(text: Any, otherwise: datetime) -> datetime:
    try:
        return otherwise if text is None else msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise BadSettings([f"{text!r} is not a valid time; write times as 2026-01-31T12:00:00Z."]) from None


def _object(file: Path) -> dict[str, Any]:
    content = _content(file)
    if not isinstance(content, dict):
        raise BadSettings([f"{file}: must contain one object."])
    return content


def _content(file: Path) -> Any:
    try:
        return yaml_documents.read(file)
    except yaml_documents.BadFile as wrong:
        raise BadSettings([f"{file} cannot be read: {wrong}."]) from None
