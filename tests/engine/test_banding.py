"""Bands from a goal: what is expected is what is found."""

from __future__ import annotations

import numpy as np
import pytest

from tamis.near.banding import Histogram, certain_shape, chosen_shape, estimated_recall, meeting, sampled_histogram
from tamis_kernels import ArgumentError, bands, fss

SIZE = 100


def corpus(seed: int, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the signatures of pairs of sets, and the exact similarity of each pair, spread from 0.3 to 1."""
    random = np.random.default_rng(seed)
    left = random.integers(0, 2**63, (pairs, SIZE)).astype(np.uint64)
    right = left.copy()
    changed = random.integers(0, 55, pairs)
    for row, count in enumerate(changed):
        right[row, :count] = random.integers(0, 2**63, count)
    both = np.concatenate([left, right])
    table = fss.signatures(both.ravel(), np.arange(0, both.size + 1, SIZE))
    return table, (SIZE - changed) / (SIZE + changed)


def test_the_sampled_histogram_counts_the_pairs_that_there_are() -> None:
    table, truth = corpus(1, 3000)
    histogram = sampled_histogram(table, np.arange(len(table)))
    for threshold in (0.6, 0.7, 0.8, 0.9):
        told = histogram.weight[histogram.similarity >= threshold].sum()
        assert told == pytest.approx(np.count_nonzero(truth >= threshold), rel=0.15)


@pytest.mark.parametrize("recall", [0.8, 0.95, 0.999])
def test_the_chosen_shape_reaches_the_recall_that_it_promises(recall: float) -> None:
    table, truth = corpus(2, 3000)
    shape, (expected, precision) = chosen_shape(sampled_histogram(table, np.arange(len(table))), 0.7, 128, recall)
    keys = bands.keys(table, bands=shape[0], rows=shape[1])
    met = (keys[:3000] == keys[3000:]).any(axis=1)
    assert expected >= recall
    assert met[truth >= 0.7].mean() == pytest.approx(expected, abs=0.03)
    assert (truth[met] >= 0.7).mean() == pytest.approx(precision, abs=0.06)


def test_a_corpus_without_pairs_gets_the_shape_that_holds_for_any() -> None:
    table = fss.signatures(np.arange(5000, dtype=np.uint64), np.arange(0, 5001, 50))
    histogram = sampled_histogram(table, np.arange(len(table)))
    shape, _ = chosen_shape(histogram, 0.8, 128, 0.95)
    assert shape == certain_shape(0.8, 128, 0.95)
    assert meeting(np.array([0.8]), *shape)[0] >= 0.95
    assert sampled_histogram(table[:0], np.arange(0)).weight.size == 0


def test_a_goal_out_of_reach_tells_the_best_there_is() -> None:
    histogram = Histogram(np.array([0.75, 0.95]), np.array([100.0, 100.0]))
    with pytest.raises(ArgumentError, match=r"recall 0.99 and precision 0.99 cannot be reached with 16 slots: the best is"):
        chosen_shape(histogram, 0.9, 16, 0.99, 0.99)
    with pytest.raises(ArgumentError, match="cannot be reached at threshold"):
        certain_shape(0.1, 16, 0.99)


def test_the_estimated_recall_covers_the_truth() -> None:
    random, shape = np.random.default_rng(3), (16, 8)
    inside = 0
    for _ in range(200):
        truth = random.uniform(0.7, 1.0, 400)
        found = truth[random.random(400) < meeting(truth, *shape)]
        estimate = estimated_recall(found, *shape)
        assert estimate is not None
        inside += estimate.low <= found.size / 400 <= estimate.high
    assert inside >= 180  # of a 95 % interval, 190 are expected
    assert estimated_recall(np.array([np.nan]), *shape) is None
