"""If-Match and If-None-Match: versions that a caller names, as entity tags (RFC 9110, section 13; contract: Versions).

A resource has two tags at a time: `"<resource_version>"` changes with everything, a report included, `"g<generation>"`
with the desired state only, so that a writer is not refused because an adapter reported meanwhile.
"""

from collections.abc import Callable

from hyperfleet.errors import BadRequest, StaleVersion
from hyperfleet.http import entity_tags
from hyperfleet.model.resource import Precondition


def if_match(header: bytes | None) -> Precondition | None:
    """What `If-Match` demands, None without it; raises BadRequest for a value that is malformed.

    `*` demands nothing but the resource itself. Weak tags never match: the comparison is the strong one, and
    StaleVersion says so to a caller that has no other tag, or has the present one.
    """
    if header is None:
        return None
    tags = _tags("If-Match", header)
    if tags is None:
        return _anything

    def holds(resource_version: int, generation: int) -> bool:
        present = (b'"%d"' % resource_version, b'"g%d"' % generation)
        if not tags.isdisjoint(present):
            return True
        if any(b"W/" + tag in tags for tag in present) or all(tag.startswith(b"W/") for tag in tags):
            raise StaleVersion("Weak entity tags never match in If-Match; send the tag of a read without W/.")
        return False

    return holds


def if_none_match(header: bytes | None) -> Callable[[int], bool] | None:
    """Whether the caller has a version already, by `If-None-Match`; None without it.

    Raises BadRequest for a value that is malformed. Weak tags match like strong ones.
    """
    if header is None:
        return None
    tags = _tags("If-None-Match", header)
    if tags is None:
        return _anything
    known = entity_tags.without_weakness(tags)

    def is_known(resource_version: int) -> bool:
        return b'"%d"' % resource_version in known

    return is_known


def _anything(*_: int) -> bool:
    return True


def _tags(name: str, header: bytes) -> frozenset[bytes] | None:
    """The tags of a list, None for `*`."""
    tags = entity_tags.listed(header)
    if tags is None:
        raise BadRequest(
            f'{name} must be * or comma-separated entity tags in double quotes, such as "1842" for a '
            'resource_version or "g3" for a generation.',
            status=400,
        )
    return None if entity_tags.ANY in tags else tags
