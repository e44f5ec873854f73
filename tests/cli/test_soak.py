"""A soak of one minute: no resource of the process grows under a mixed load. `make soak` does the same for an hour."""

from drills.soak import soak
from testbed.serving import folder

SECONDS = 45.0


def test_memory_files_and_threads_do_not_grow() -> None:
    with folder() as place:
        rows, wrong = soak(place, SECONDS, callers=2)
    assert wrong == [], rows
    assert len(rows) == 3
