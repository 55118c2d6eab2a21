"""Clusters hold verified edges only, and every record that goes has a keeper that is similar enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.near.clustering import band_components, stars
from tamis_kernels import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis.near.clustering import Clusters, Similarity

THRESHOLD = 0.5


def similarities(n: int, seed: int, density: float) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    upper = np.triu(np.where(generator.random((n, n)) < density, 0.5 + 0.5 * generator.random((n, n)), 0.2), 1)
    return upper + upper.T + np.eye(n)


def lookup(table: NDArray[np.float64]) -> Similarity:
    return lambda left, right: table[left, right]


def random_bands(n: int, seed: int, bands: int, buckets: int) -> list[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(bands):
        records = np.flatnonzero(generator.random(n) < 0.9)
        made.append((generator.integers(0, buckets, records.size).astype(np.uint64), records))
    return made


def greedy_keepers(table: NDArray[np.float64]) -> list[int]:
    """Let each record in turn go to the first keeper that is similar enough, or become one."""
    keepers: list[int] = []
    chosen = []
    for record in range(len(table)):
        similar = [keeper for keeper in keepers if table[keeper, record] >= THRESHOLD]
        if not similar:
            keepers.append(record)
        chosen.append(similar[0] if similar else record)
    return chosen


def assert_sound(clusters: Clusters, table: NDArray[np.float64]) -> None:
    keeper = clusters.keeper
    records = np.arange(len(table))
    gone = keeper != records
    assert (keeper[keeper] == keeper).all()
    assert (keeper <= records).all()
    assert (table[records[gone], keeper[gone]] >= THRESHOLD).all()
    np.testing.assert_array_equal(clusters.similarity[gone], table[records[gone], keeper[gone]])
    has_duplicates = np.isin(records, keeper[gone])
    assert (clusters.similarity[has_duplicates] == 1.0).all()
    assert np.isnan(clusters.similarity[~gone & ~has_duplicates]).all()


@settings(deadline=None, max_examples=50)
@given(n=st.integers(1, 40), seed=st.integers(0, 10_000), density=st.sampled_from([0.0, 0.03, 0.1, 0.4, 1.0]))
def test_one_bucket_of_all_records_gives_the_greedy_keepers_of_brute_force(n: int, seed: int, density: float) -> None:
    table = similarities(n, seed, density)
    everyone = (np.zeros(n, np.uint64), np.arange(n))
    roots, counters = band_components(n, [everyone], lookup(table), THRESHOLD, rounds=n)
    clusters = stars(roots, lookup(table), THRESHOLD)
    assert clusters.keeper.tolist() == greedy_keepers(table)
    assert counters["unsettled"] == 0
    assert_sound(clusters, table)


@settings(deadline=None, max_examples=50)
@given(
    n=st.integers(1, 60),
    seed=st.integers(0, 10_000),
    density=st.sampled_from([0.02, 0.1, 0.5]),
    buckets=st.integers(1, 20),
    rounds=st.integers(1, 4),
    hot=st.integers(1, 60),
)
def test_any_bands_give_sound_clusters_inside_true_components(
    n: int, seed: int, density: float, buckets: int, rounds: int, hot: int
) -> None:
    table = similarities(n, seed, density)
    bands = random_bands(n, seed, 3, buckets)
    roots, _ = band_components(n, bands, lookup(table), THRESHOLD, rounds=rounds, hot=hot)
    assert (roots[roots] == roots).all()
    assert (roots <= np.arange(n)).all()
    reachable = np.linalg.matrix_power((table >= THRESHOLD).astype(np.float64), n) > 0
    assert reachable[np.arange(n), roots].all()
    assert_sound(stars(roots, lookup(table), THRESHOLD), table)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 60), seed=st.integers(0, 10_000), pairs_at_a_time=st.sampled_from([1, 2, 7, 1000]))
def test_the_number_of_pairs_at_a_time_changes_nothing(n: int, seed: int, pairs_at_a_time: int) -> None:
    table = similarities(n, seed, 0.1)
    bands = random_bands(n, seed, 4, 5)
    whole, counters = band_components(n, bands, lookup(table), THRESHOLD)
    pieces, same_counters = band_components(n, bands, lookup(table), THRESHOLD, pairs_at_a_time=pairs_at_a_time)
    assert pieces.tolist() == whole.tolist()
    assert same_counters == counters
    at_once = stars(whole, lookup(table), THRESHOLD)
    bit_by_bit = stars(whole, lookup(table), THRESHOLD, pairs_at_a_time=pairs_at_a_time)
    assert bit_by_bit.keeper.tolist() == at_once.keeper.tolist()
    np.testing.assert_array_equal(bit_by_bit.similarity, at_once.similarity)


def test_similarity_is_never_asked_for_more_pairs_than_allowed() -> None:
    sizes: list[int] = []

    def similarity(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        assert left.size == right.size
        sizes.append(left.size)
        return np.ones(left.size)

    band_components(100, [(np.zeros(100, np.uint64), np.arange(100))], similarity, THRESHOLD, pairs_at_a_time=16)
    assert max(sizes) == 16
    assert sum(sizes) == 99


def test_a_chain_loses_its_middle_and_keeps_its_ends() -> None:
    table = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.8], [0.1, 0.8, 1.0]])
    clusters = stars(np.zeros(3, np.int64), lookup(table), THRESHOLD)
    assert clusters.keeper.tolist() == [0, 0, 2]
    np.testing.assert_array_equal(clusters.similarity, [1.0, 0.9, np.nan])


def test_records_that_share_a_key_but_are_unlike_stay_apart() -> None:
    roots, counters = band_components(3, [(np.zeros(3, np.uint64), np.arange(3))], lookup(np.eye(3)), THRESHOLD)
    assert roots.tolist() == [0, 1, 2]
    assert counters["pairs"] == 3


def test_a_nan_similarity_joins_nothing() -> None:
    table = np.full((2, 2), np.nan)
    roots, _ = band_components(2, [(np.zeros(2, np.uint64), np.arange(2))], lookup(table), THRESHOLD)
    assert roots.tolist() == [0, 1]


def test_a_pair_already_joined_is_not_compared_again() -> None:
    band = (np.array([7, 7], np.uint64), np.array([1, 2]))
    _, counters = band_components(3, [band, band, band], lookup(np.ones((3, 3))), THRESHOLD)
    assert counters["pairs"] == 1


def test_a_hot_bucket_is_parted_by_the_next_band_and_counted() -> None:
    table = np.eye(6)
    table[0, 1] = table[1, 0] = table[4, 5] = table[5, 4] = 1.0
    everyone = (np.zeros(6, np.uint64), np.arange(6))
    for hot, roots_wanted, hot_buckets, unsettled in (
        (3, [0, 0, 2, 3, 4, 5], 1, 4),
        (5, [0, 0, 2, 3, 4, 4], 1, 0),
        (6, [0, 0, 2, 3, 4, 4], 0, 0),
    ):
        roots, counters = band_components(6, [everyone], lookup(table), THRESHOLD, hot=hot)
        assert roots.tolist() == roots_wanted
        assert (counters["hot_buckets"], counters["unsettled"]) == (hot_buckets, unsettled)
    parting = (np.array([1, 1, 2, 2], np.uint64), np.array([2, 3, 4, 5]))
    roots, counters = band_components(6, [everyone, parting], lookup(table), THRESHOLD, hot=3, rounds=2)
    assert roots.tolist() == [0, 0, 2, 3, 4, 4]
    assert counters["unsettled"] == 0
    unknown = (np.array([1, 1], np.uint64), np.array([4, 5]))
    _, counters = band_components(6, [everyone, unknown], lookup(table), THRESHOLD, hot=3)
    assert counters["unsettled"] == 2
    nobody = (np.empty(0, np.uint64), np.empty(0, np.int64))
    _, counters = band_components(6, [everyone, nobody], lookup(table), THRESHOLD, hot=3)
    assert counters["unsettled"] == 4


def test_members_left_when_the_rounds_are_over_are_counted() -> None:
    everyone = (np.zeros(4, np.uint64), np.arange(4))
    _, counters = band_components(4, [everyone], lookup(np.eye(4)), THRESHOLD, rounds=2)
    assert counters == {"pairs": 5, "hot_buckets": 0, "unsettled": 2}


def test_no_records_and_no_bands_are_fine() -> None:
    roots, _ = band_components(0, [], lookup(np.empty((0, 0))), THRESHOLD)
    assert roots.size == 0
    assert stars(roots, lookup(np.empty((0, 0))), THRESHOLD).keeper.size == 0
    empty = (np.empty(0, np.uint64), np.empty(0, np.int64))
    assert band_components(2, [empty], lookup(np.ones((2, 2))), THRESHOLD)[0].tolist() == [0, 1]


@pytest.mark.parametrize("records", [[1, 0], [0, 0], [0, 2], [-1, 0], [0]])
def test_a_band_with_unfit_records_is_refused(records: list[int]) -> None:
    with pytest.raises(ArgumentError, match="rising records 0 … 1"):
        band_components(2, [(np.zeros(2, np.uint64), np.array(records))], lookup(np.eye(2)), THRESHOLD)


def test_numbers_below_one_are_refused() -> None:
    with pytest.raises(ArgumentError, match="rounds"):
        band_components(2, [], lookup(np.eye(2)), THRESHOLD, rounds=0)
