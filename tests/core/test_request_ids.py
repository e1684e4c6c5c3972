"""Request ids are UUIDs of version 7, in the order of their making."""

import time
import uuid

from proxy.core.request_ids import new_request_id


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_it() -> None:
    found = uuid.UUID(new_request_id())
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert abs((found.int >> 80) / 1000 - time.time()) < 5


def test_ids_differ_and_sort_by_time() -> None:
    ids = []
    for _ in range(5):
        ids.append(new_request_id())
        time.sleep(0.002)
    assert sorted(ids) == ids
    assert len({new_request_id() for _ in range(10_000)}) == 10_000
