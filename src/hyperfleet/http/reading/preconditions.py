"""Parses the entity tags in `If-Match` and `If-None-Match` (RFC 9110, section 13; contract: Versions).

A resource has two tags at a time. `"<resource_version>"` changes with every change, reports included.
`"g<generation>"` changes only with the desired state, so that an adapter's report does not fail a writer's `If-Match`.
"""

from collections.abc import Callable

from hyperfleet.errors import BadRequest, StaleVersion
from hyperfleet.http import entity_tags
from hyperfleet.model.resource import Precondition


def if_match(header: bytes | None) -> Precondition | None:
    """The precondition in `If-Match`, or None; raises BadRequest for a malformed value.

    `*` only requires that the resource exists. The comparison is strong, so weak tags never match. The precondition
    raises StaleVersion with a hint when all tags are weak, or when one is a weak form of a current tag.
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
    """A function that returns whether `If-None-Match` names a version; None without the header.

    Raises BadRequest for a malformed value. Weak tags match like strong ones.
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
    """The tags in a header, or None for `*`; raises BadRequest."""
    tags = entity_tags.listed(header)
    if tags is None:
        raise BadRequest(
            f'{name} must be * or comma-separated entity tags in double quotes, such as "1842" for a '
            'resource_version or "g3" for a generation.',
            status=400,
        )
    return None if entity_tags.ANY in tags else tags
