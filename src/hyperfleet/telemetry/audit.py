"""What every audit line says of who did it, and to what. A line is one of the ordinary log with `audit=true`."""

from uuid import UUID

from hyperfleet.model.caller import Caller


def who(caller: Caller) -> dict[str, object]:
    """The fields `caller` and, where tenants are told apart, `tenant`."""
    if not caller.tenancy:
        return {"caller": caller.identity}
    return {"caller": caller.identity, "tenant": dict(caller.tenancy)}


def which(kind: str, id: UUID, name: str, owner_kind: str | None, owner_id: UUID | None) -> dict[str, object]:
    """The fields `kind`, `id`, `name` and, for a resource that has one, `owner`."""
    found: dict[str, object] = {"kind": kind, "id": str(id), "name": name}
    if owner_id is not None:
        found["owner"] = {"kind": owner_kind, "id": str(owner_id)}
    return found
