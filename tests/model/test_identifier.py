"""Ids have one spelling."""

from uuid import UUID

import pytest

from hyperfleet.model.identifier import uuid

ID = "0192f1c0-0000-7000-8000-00000000000a"


def test_an_id_has_one_spelling() -> None:
    assert uuid(ID) == UUID(ID)


@pytest.mark.parametrize(
    "text", ["", ID.upper(), ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", f" {ID}", ID + "\n", ID[:-1], ID + "0"]
)
def test_any_other_spelling_is_not_an_id(text: str) -> None:
    assert uuid(text) is None
