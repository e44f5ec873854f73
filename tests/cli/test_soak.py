"""The soak of a minute: nothing of a service grows under a mixed load. `make soak` is the same for an hour."""

from drills.soak import soak
from testbed.serving import folder

SECONDS = 45.0


def test_memory_files_and_threads_stay_what_they_were() -> None:
    with folder() as place:
        rows, wrong = soak(place, SECONDS, callers=2)
    assert wrong == [], rows
    assert len(rows) == 3
