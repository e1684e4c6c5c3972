"""Request ids are UUIDs of version 7, in the order of their making."""

import os
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


def test_a_forked_worker_gives_other_ids_than_its_parent() -> None:
    new_request_id()  # random bytes are in stock now
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "\n".join(new_request_id() for _ in range(50)).encode())
        os._exit(0)
    ours = {new_request_id()[-17:] for _ in range(50)}
    os.waitpid(child, 0)
    theirs = {text[-17:] for text in os.read(reading, 65_536).decode().split("\n")}
    assert len(theirs) == len(ours) == 50
    assert not ours & theirs
