"""Validates a spec against its kind's schema: in this process if surely quick, otherwise in one that can be stopped."""

from dataclasses import replace
from typing import Any, Final

import msgspec

from hyperfleet.errors import FieldError
from hyperfleet.model.kind import Kind
from hyperfleet.model.schemas import wording
from hyperfleet.model.schemas.spec_schema import CODE, FIELD
from hyperfleet.services import confining
from hyperfleet.services.confining import Overrun, Program
from hyperfleet.telemetry import logging

SECONDS: Final = 1.0
"""Processor time for the validation of a spec, including the explanation of its faults."""

_log = logging.get("specs")
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(list[FieldError]).decode


async def faults(kind: Kind, spec: Any, *, size: int) -> list[FieldError]:
    """The faults of a decoded spec; `size` is its size in bytes, or more.

    A spec that is not an object has none here: it fails the request schema. Raises DeadlineExceeded.
    """
    schema = kind.spec_schema
    if schema is None or not isinstance(spec, dict):
        return []
    if schema.is_light(size):
        return schema.faults(spec)
    try:
        [found] = await confining.run(Program("spec", schema, schema.component), _encode(spec), seconds=SECONDS)
    except Overrun as overrun:
        taken = f"{SECONDS:g} s of CPU time" if overrun.limit == "time" else f"{confining.MEMORY >> 20} MiB"
        _log.warning("a spec could not be validated within the limit", kind=kind.name, bytes=size, limit=taken)
        sentence = (
            f"takes more than {taken} to validate against the schema of {kind.plural}; shorten its strings and lists"
        )
        return [replace(wording.other(FIELD, sentence, f"at most {taken}"), code=CODE)]
    return _decode(found)
