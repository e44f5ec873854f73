"""The fields of every audit line: who acted, on which resource. An audit line is a log line with `audit=true`."""

from hyperfleet.model.caller import Caller
from hyperfleet.model.standing import Node, Standing


def who(caller: Caller) -> dict[str, object]:
    """The fields `caller` and, with tenancy enabled, `tenant`."""
    if not caller.tenancy:
        return {"caller": caller.identity}
    return {"caller": caller.identity, "tenant": dict(caller.tenancy)}


def which(resource: Standing | Node) -> dict[str, object]:
    """The fields `kind`, `id`, `name` and, for a resource that has one, `owner`."""
    found: dict[str, object] = {"kind": resource.kind, "id": str(resource.id), "name": resource.name}
    if resource.owner_id is not None:
        found["owner"] = {"kind": resource.owner_kind, "id": str(resource.owner_id)}
    return found
