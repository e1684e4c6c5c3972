"""What is kept never exceeds the limit, and what was used last stays longest."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.lru import LRUCache


def test_the_longest_unused_goes_first() -> None:
    kept: LRUCache[str, int] = LRUCache(100)
    for number in range(20):
        kept.store_value(str(number), number, 5)
    assert kept.get("0") == 0
    kept.store_value("new", 20, 5)
    assert kept.get("1") is None
    assert kept.get("0") == 0


def test_one_large_value_does_not_drive_out_the_rest() -> None:
    kept: LRUCache[str, int] = LRUCache(160)
    kept.store_value("small", 1, 10)
    kept.store_value("large", 2, 11)
    assert (kept.get("small"), kept.get("large")) == (1, None)


def test_nothing_is_kept_under_a_limit_of_nothing() -> None:
    kept: LRUCache[str, int] = LRUCache(0)
    kept.store_value("a", 1, 1)
    assert (len(kept), kept.size_bytes) == (0, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("keep get drop clear".split()), st.integers(0, 9), st.integers(1, 40)
        ),
        max_size=60,
    )
)
def test_its_size_is_the_sum_of_what_it_holds_and_within_the_limit(
    steps: list[tuple[str, int, int]],
) -> None:
    kept, sizes = LRUCache[int, int](320), dict[int, int]()
    for step, key, size in steps:
        if step == "keep":
            kept.store_value(key, size, size)
            sizes[key] = size
        elif step == "get":
            assert kept.get(key) in (None, sizes.get(key))
        elif step == "drop":
            kept.remove(key)
            assert kept.get(key) is None
        else:
            kept.clear()
        held = [size for size in (kept.get(number) for number in range(10)) if size is not None]
        assert kept.size_bytes == sum(held) <= 320
        assert len(kept) == len(held)
