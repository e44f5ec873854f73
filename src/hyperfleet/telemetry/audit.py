"""What every audit line says of who did it. A line is one of the ordinary log with `audit=true`."""

from hyperfleet.model.resource import Caller


def who(caller: Caller) -> dict[str, object]:
    """The fields `caller` and, where tenants are told apart, `tenant`."""
    if not caller.tenancy:
        return {"caller": caller.identity}
    return {"caller": caller.identity, "tenant": dict(caller.tenancy)}
