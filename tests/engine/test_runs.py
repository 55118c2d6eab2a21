"""Runs of like readings beside a plain count, and which lengths are odd."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis.series.runs import SHORTEST, Lengths, odd_length, runs_of


@given(
    values=st.lists(st.sampled_from([0.0, 1.0, 1.0, 1.25, 2.0, math.nan]), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    tolerance=st.sampled_from([0.0, 0.25]),
)
def test_runs_are_those_of_a_plain_count_however_the_values_are_cut(values: list[float], cuts: list[int], tolerance: float) -> None:
    expected: list[list[float]] = []
    before = math.nan
    for value in (one for one in values if not math.isnan(one)):
        if abs(value - before) <= tolerance:
            expected[-1][1] += 1
        else:
            expected.append([value, 1])
        before = value
    edges = sorted({0, len(values), *(min(cut, len(values)) for cut in cuts)})
    parts = [np.array(values[a:b], np.float64) for a, b in pairwise(edges)]
    got = [[value, length] for run in runs_of(parts, tolerance) for value, length in zip(*(one.tolist() for one in run), strict=True)]
    assert got == expected


def counted(lengths: list[int]) -> int | None:
    return odd_length(*(one.astype(np.int64) for one in np.unique(lengths, return_counts=True)))


@pytest.mark.parametrize(
    ("lengths", "odd"),
    [
        ([1] * 500, SHORTEST),
        ([1] * 500 + [40], SHORTEST),  # one stuck spell in a series that never repeats
        ([1] * 500 + [40, 60, 70], SHORTEST),
        ([1] * 5000 + [2] * 500 + [3] * 50 + [4] * 5 + [60], 7),  # noise on a coarse grid
        ([1] * 400 + [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 19, 24, 30] * 4, 169),  # calm spells of all lengths
        ([1] * 4000 + [2] * 400 + [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 19, 24, 30], 169),  # fewer of them
        ([60, 61] * 20, None),
    ],
)
def test_odd_is_what_neither_chance_nor_calm_spells_explain(lengths: list[int], odd: int | None) -> None:
    assert counted(lengths) == odd


@given(st.lists(st.integers(1, 50), min_size=1, max_size=80), st.integers(1, 10))
def test_lengths_may_be_counted_in_parts(lengths: list[int], size: int) -> None:
    parts = Lengths()
    for start in range(0, len(lengths), size):
        parts.add(np.array(lengths[start : start + size], np.int64))
    assert parts.odd() == counted(lengths)


def test_no_runs_have_no_odd_length() -> None:
    assert Lengths().odd() is None


@given(st.floats(0.05, 0.9), st.integers(0, 30))
def test_runs_by_chance_alone_are_not_odd(share: float, seed: int) -> None:
    lengths = np.random.default_rng(seed).geometric(1 - share, 4_000)
    odd = counted(lengths.tolist())
    assert odd is None or lengths.max() < odd
