"""Another cache over the same requests: what it would have answered, and what it cannot say."""

from base64 import b64decode
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from plans.snapshot import CacheSettings
from plans.strictness import get_operating_points
from proxy.core.replay import (
    BOUNDED_REASON,
    MIN_SAMPLES,
    THRESHOLD_REASONS,
    RecordedRequest,
    find_neighbours,
    replay_requests,
)
from proxy.core.text.word_vectors import WORD_VECTOR_DIMENSION
from proxy.engines.inference.exported_models import MINILM_DIMENSION
from proxy.pipeline.ledger_records import pack_vector
from proxy.pipeline.question_matching import WORDS_REASON

DOLLAR = Decimal(1)
EXACT = CacheSettings(backend=None, ttl=100, ttl_jitter=0.0)
NEAR = CacheSettings(ttl=10_000, ttl_jitter=0.0, similarity_threshold=0.85)


def toward(cosine: float) -> Any:
    """A unit vector with that cosine to (1, 0)."""
    return np.array([cosine, (1 - cosine**2) ** 0.5], dtype=np.float32)


def by_words(cosine: float, size: int = WORD_VECTOR_DIMENSION) -> Any:
    """The same among so many numbers, as a look-up by words has."""
    return np.pad(toward(cosine), (0, size - 2))


def past(
    at: float, asked: str, *, does: str = "miss", vector: Any = None, **fields: Any
) -> RecordedRequest:
    """It costs a dollar when it is paid for."""
    hit = does != "miss"
    given: dict[str, Any] = {
        "at": at,
        "key": 1,
        "end_user": "",
        "request_digest": asked.encode(),
        "bucket": None if vector is None else b"bucket",
        "vector": vector,
        "tier": does,
        "reason": "",
        "similarity": None,
        "score": None,
        "baseline_cost": DOLLAR,
        "paid_cost": Decimal(0) if hit else DOLLAR,
        "saved_cost": DOLLAR if hit else Decimal(0),
    }
    return RecordedRequest(**(given | fields))


def judged(
    count: int = MIN_SAMPLES, *, cosine: float = 0.9, passes: int = MIN_SAMPLES
) -> list[RecordedRequest]:
    """Old requests whose neighbours the verifier judged, of which so many reached 0.85."""
    return [
        past(-1e9 + n, f"old {n}", similarity=cosine, score=0.95 if n < passes else 0.1)
        for n in range(count)
    ]


def test_the_settings_in_force_replay_to_what_happened_even_where_the_model_is_wrong() -> None:
    rows = [
        past(0, "a", does="exact"),
        past(50, "a", does="exact"),
        past(60, "b"),
        past(61, "b"),
        past(500, "b", does="semantic"),
    ]
    done = replay_requests(rows, EXACT, EXACT)
    assert (done.then.exact, done.then.semantic, float(done.then.saved), float(done.then.paid)) == (
        2,
        1,
        3,
        2,
    )
    assert done.now == done.then
    assert not done.changed_requests
    assert not done.keys


def test_a_shorter_life_loses_the_hits_that_come_later_and_pays_for_them() -> None:
    rows = [
        past(0, "a"),
        past(20, "a", does="exact"),
        past(90, "a", does="exact"),
        past(95, "a", does="exact"),
    ]
    done = replay_requests(rows, EXACT, replace(EXACT, ttl=30))
    # At 90 a new one is fetched, which answers at 95.
    assert (done.now.exact, done.then.exact) == (3, 2)
    assert (done.lost, done.gained, done.other) == (1, 0, 0)
    assert (float(done.then.saved), float(done.then.paid)) == (2, 2)


def test_a_longer_life_gains_some() -> None:
    done = replay_requests(
        [past(0, "a"), past(200, "a"), past(390, "a")], EXACT, replace(EXACT, ttl=400)
    )
    assert (done.gained, done.then.exact, float(done.then.saved), float(done.then.paid)) == (
        2,
        2,
        2,
        1,
    )


def test_without_a_cache_everything_is_paid_for() -> None:
    done = replay_requests([past(0, "a"), past(1, "a", does="exact")], EXACT, None)
    assert (done.then.hits, float(done.then.paid), done.lost) == (0, 2, 1)


def test_keys_that_no_longer_share_do_not_answer_each_other() -> None:
    rows = [past(0, "a"), past(1, "a", does="exact", key=2), past(2, "a", does="exact", key=2)]
    done = replay_requests(rows, EXACT, replace(EXACT, scope="key"))
    assert (done.then.exact, done.lost, done.keys) == (1, 1, {2})


def test_without_an_end_user_there_is_nobody_to_share_with() -> None:
    rows = [past(0, "a"), past(1, "a", does="exact")]
    assert replay_requests(rows, EXACT, replace(EXACT, scope="user")).then.exact == 0


def test_without_the_exact_tier_the_same_question_is_found_by_its_meaning() -> None:
    rows = [past(0, "a", vector=toward(1)), past(1, "a", does="exact")]
    done = replay_requests(rows, NEAR, replace(NEAR, exact=False))
    assert (done.then.exact, done.then.semantic, done.changed_requests) == (0, 1, 0)
    # It was never embedded.
    assert (
        replay_requests(
            [past(0, "b"), past(1, "b", does="exact")], NEAR, replace(NEAR, exact=False)
        ).lost
        == 1
    )


@pytest.mark.parametrize(("threshold", "hits"), [(0.80, 1), (0.92, 0), (0.85, 1)])
def test_a_pair_that_was_judged_is_decided_by_its_own_score(threshold: float, hits: int) -> None:
    rows = [
        past(0, "a", vector=toward(1)),
        past(1, "b", does="semantic", vector=toward(0.9), similarity=0.9, score=0.9),
    ]
    done = replay_requests(rows, NEAR, replace(NEAR, similarity_threshold=threshold))
    assert (done.then.semantic, done.guessed, done.open) == (hits, 0, 0)


def test_what_a_rule_objected_to_no_threshold_lets_through() -> None:
    rows = [
        past(0, "a", vector=toward(1)),
        past(1, "b", vector=toward(0.99), similarity=0.99, score=0.99, reason="numbers"),
    ]
    assert replay_requests(rows, NEAR, replace(NEAR, similarity_threshold=0.1)).gained == 0


def test_a_pair_that_nobody_judged_is_expected_by_those_as_near() -> None:
    """A longer life brings a neighbour that was gone by then.

    Of pairs as near, three in four passed.
    """
    rows = [
        *judged(40, passes=30),
        past(0, "a", vector=toward(1)),
        past(5_000, "b", vector=toward(0.9)),
    ]
    done = replay_requests(rows, replace(NEAR, ttl=100), NEAR)
    assert done.then.semantic == pytest.approx(0.75)
    assert done.guessed == pytest.approx(0.75)
    assert done.then.paid == 41 + Decimal("0.25")


def test_a_hit_from_before_these_days_stays_one_where_nothing_can_be_said_of_another() -> None:
    rows = [past(0, "a", vector=toward(1)), past(5_000, "b", does="exact", vector=toward(0.9))]
    done = replay_requests(rows, replace(NEAR, ttl=100), NEAR)
    assert (done.lost, done.then.exact, done.open) == (0, 1, 1)


def test_with_too_few_judged_nothing_is_guessed() -> None:
    rows = [
        *judged(MIN_SAMPLES - 1),
        past(0, "a", vector=toward(1)),
        past(5_000, "b", vector=toward(0.9)),
    ]
    done = replay_requests(rows, replace(NEAR, ttl=100), NEAR)
    assert (done.then.semantic, done.open, done.gained) == (0, 1, 0)


def test_a_nearer_pair_never_has_less_of_a_chance() -> None:
    rows = judged(30, cosine=0.80, passes=30) + judged(30, cosine=0.95, passes=10)
    near = [
        past(0, "a", vector=toward(1)),
        past(5_000, "b", vector=toward(0.96)),
        past(5_001, "c", vector=toward(0.80)),
    ]
    done = replay_requests([*rows, *near], replace(NEAR, ttl=100), NEAR)
    assert done.then.semantic >= 2 * 40 / 60 - 0.01


def test_under_cosine_what_is_too_far_is_no_hit() -> None:
    cosine = replace(NEAR, match="cosine")
    rows = [past(0, "a", vector=toward(1)), past(1, "b", vector=toward(0.75))]
    done = replay_requests(rows, replace(cosine, ttl=0), cosine)
    assert (done.gained, done.open) == (0, 0)


def test_neighbours_are_earlier_others_of_the_same_bucket_nearest_first() -> None:
    rows = [
        past(0, "a", vector=toward(1)),
        past(1, "b", vector=toward(0.95)),
        past(2, "a", does="exact"),
        past(3, "c", vector=toward(0.9)),
        past(4, "d", vector=toward(1), bucket=b"another"),
        past(5, "e", vector=toward(-0.2)),
    ]
    found = find_neighbours(rows)
    assert found[0] == found[4] == found[5] == []
    assert [index for index, _ in found[1]] == [0]
    # Itself is none; it has the vector of the one asked the same.
    assert [index for index, _ in found[2]] == [1]
    assert [index for index, _ in found[3]] == [1, 0]
    assert found[3][1][1] == pytest.approx(0.9, abs=1e-6)


def test_many_questions_have_the_neighbours_that_a_search_one_by_one_finds() -> None:
    dice = np.random.default_rng(5)
    vectors = dice.normal(size=(1_500, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [past(n, str(n), vector=vector) for n, vector in enumerate(vectors)]
    found = find_neighbours(rows)
    for index in (0, 1, 2, 511, 512, 513, 1_499):
        cosines = vectors[:index] @ vectors[index]
        best = [other for other in np.argsort(-cosines)[:4] if cosines[other] >= 0.7]
        assert [other for other, _ in found[index]] == best


def test_a_packed_vector_keeps_its_direction() -> None:
    vector = np.random.default_rng(1).normal(size=384).astype(np.float32)
    vector /= np.linalg.norm(vector)
    again = np.frombuffer(b64decode(pack_vector(vector)), dtype=np.int8).astype(np.float32)
    assert float(vector @ again / np.linalg.norm(again)) > 0.999


def test_a_name_in_place_of_the_number_is_replayed_by_its_threshold() -> None:
    points = get_operating_points().points
    between = (points["strict"].threshold + points["balanced"].threshold) / 2
    rows = [
        past(0, "a", vector=toward(1.0)),
        past(10, "b", vector=toward(0.9), reason="verifier", similarity=0.9, score=between),
    ]
    hits = {
        name: replay_requests(rows, NEAR, replace(NEAR, strictness=name)).gained
        for name in (None, *points)
    }
    assert hits == {None: 0, "strict": 0, "balanced": 1, "wide": 1}


def test_vectors_of_two_lengths_in_one_bucket_are_not_compared() -> None:
    """Before an upgrade the model found the neighbours, after it words do."""
    rows = [
        past(0, "a", vector=by_words(1.0, MINILM_DIMENSION)),
        past(1, "b", vector=by_words(1.0)),
        past(2, "c", vector=by_words(0.95, MINILM_DIMENSION)),
        past(3, "d", vector=by_words(0.9)),
        past(4, "e", vector=toward(1.0)),
    ]
    found = find_neighbours(rows)
    assert [[index for index, _ in each] for each in found] == [[], [], [0], [1], []]
    assert found[3][0][1] == pytest.approx(0.9, abs=1e-6)
    done = replay_requests(rows, NEAR, replace(NEAR, similarity_threshold=0.1))
    assert (done.requests, done.gained, done.open) == (5, 0, 0)  # nobody judged: open both times


def test_a_question_asked_before_and_after_an_upgrade_counts_by_its_latest_vector() -> None:
    rows = [
        past(0, "a", vector=by_words(1.0, MINILM_DIMENSION)),
        past(1, "b", vector=by_words(0.9, MINILM_DIMENSION)),
        past(2, "c", vector=by_words(1.0)),
        past(3, "b", vector=by_words(0.95)),
    ]
    found = find_neighbours(rows)
    assert [[index for index, _ in each] for each in found] == [[], [], [1], [2]]
    assert found[3][0][1] == pytest.approx(0.95, abs=1e-6)


def test_a_draft_by_cosine_says_nothing_of_what_was_looked_up_by_words() -> None:
    cosine = replace(NEAR, match="cosine")
    for vector, expected in ((by_words, (0, 1)), (toward, (1, 0))):
        rows = [
            *judged(40),
            past(0, "a", vector=vector(1.0)),
            past(1, "b", vector=vector(0.9), similarity=0.9, score=0.1, reason="verifier"),
        ]
        done = replay_requests(rows, NEAR, cosine)
        assert (done.gained, done.open) == expected
        assert done.guessed == 0


def test_a_hit_found_by_words_counts_as_lost_and_open_under_a_draft_by_cosine() -> None:
    rows = [
        past(0, "a", vector=by_words(1.0)),
        past(1, "b", does="semantic", vector=by_words(0.9), similarity=0.9, score=0.9),
        past(2, "a", does="semantic", vector=by_words(1.0)),
    ]
    done = replay_requests(rows, NEAR, replace(NEAR, match="cosine"))
    assert (done.now.semantic, done.then.semantic, done.lost, done.open) == (2, 1, 1, 1)


@pytest.mark.parametrize(("threshold", "left_open"), [(0.5, 0), (0.41, 0), (0.4, 1), (0.3, 1)])
def test_a_bound_tells_of_a_threshold_above_it_and_nothing_of_one_below(
    threshold: float, left_open: int
) -> None:
    """No rule has looked at the pair, and the score may be anything up to the bound."""
    rows = [
        past(0, "a", vector=by_words(1.0)),
        past(1, "b", vector=by_words(0.9), similarity=0.9, score=0.4, reason=WORDS_REASON),
    ]
    done = replay_requests(rows, NEAR, replace(NEAR, similarity_threshold=threshold))
    assert (done.gained, done.open) == (0, left_open)


def test_bounds_below_the_threshold_are_evidence_that_pairs_as_near_do_not_pass() -> None:
    bounded = [
        past(-1e9 + n, f"far {n}", similarity=0.9, score=0.4, reason=WORDS_REASON)
        for n in range(60)
    ]
    near = [past(0, "a", vector=toward(1)), past(5_000, "b", vector=toward(0.9))]
    shown = {}
    for threshold in (0.5, 0.3):
        draft = replace(NEAR, similarity_threshold=threshold)
        # Of those that a verifier judged, a score of .95 passes both thresholds.
        done = replay_requests([*judged(20), *bounded, *near], replace(draft, ttl=100), draft)
        shown[threshold] = done.then.semantic
    assert shown == {0.5: pytest.approx(0.25), 0.3: pytest.approx(1.0)}


@pytest.mark.parametrize("bound", [0.4, 0.95])
def test_a_bound_of_the_verifiers_says_nothing_of_cosines(bound: float) -> None:
    """Where the model finds what the verifier decides, as beside another embedder."""
    rows = [
        past(0, "a", vector=toward(1)),
        past(1, "b", vector=toward(0.9), similarity=0.9, score=bound, reason=WORDS_REASON),
    ]
    strict = replace(NEAR, similarity_threshold=0.99)
    done = replay_requests(rows, strict, replace(NEAR, match="cosine"))
    assert (done.gained, done.open) == (0, 1)
    far = replace(NEAR, match="cosine", similarity_threshold=0.95)
    assert replay_requests(rows, strict, far).open == 0  # too far by any rule


def test_the_reason_with_a_bound_is_the_one_that_requests_are_recorded_with() -> None:
    assert BOUNDED_REASON == WORDS_REASON
    assert BOUNDED_REASON not in THRESHOLD_REASONS
