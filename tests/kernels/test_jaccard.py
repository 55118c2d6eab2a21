"""Exact Jaccard similarity equals that of Python's sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, assert_like_reference
from tamis_kernels import ArgumentError
from tamis_kernels.jaccard import pairs, sorted_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName


element = st.one_of(st.integers(0, 12), st.sampled_from([2**31, 2**32 - 1]))


def layout(rows: list[list[int]], lead: int = 0) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    flat = [0] * lead + [value for row in rows for value in row]
    return np.array(flat, np.uint32), lead + np.cumsum([0, *map(len, rows)])


@pytest.mark.parametrize("backend", BACKENDS)
@given(rows=st.lists(st.lists(element, max_size=20), min_size=1, max_size=6), lead=st.integers(0, 2))
def test_similarity_is_that_of_python_sets(backend: BackendName, rows: list[list[int]], lead: int) -> None:
    hashes, offsets = sorted_sets(*layout(rows, lead), backend=backend)
    assert [hashes[offsets[i] : offsets[i + 1]].tolist() for i in range(len(rows))] == [sorted(set(row)) for row in rows]
    left, right = (side.ravel() for side in np.indices((len(rows), len(rows))))
    found = pairs(hashes, offsets, left, right, backend=backend)
    sets = [set(row) for row in rows]
    expected = [len(a & b) / len(a | b) if a or b else 0.0 for a in sets for b in sets]
    assert found.tolist() == expected


@pytest.mark.parametrize("backend", BACKENDS)
def test_empty_sets_are_like_nothing(backend: BackendName) -> None:
    hashes, offsets = sorted_sets(*layout([[], [], [7]]), backend=backend)
    found = pairs(hashes, offsets, np.array([0, 0, 1]), np.array([1, 2, 2]), backend=backend)
    assert found.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_rows_and_no_pairs(backend: BackendName) -> None:
    hashes, offsets = sorted_sets(*layout([]), backend=backend)
    none = np.empty(0, np.int64)
    assert (hashes.size, offsets.tolist(), pairs(hashes, offsets, none, none, backend=backend).size) == (0, [0], 0)


def test_the_callers_hashes_are_left_alone() -> None:
    hashes, offsets = layout([[3, 1, 2, 1]])
    sorted_sets(hashes, offsets, backend="cpu")
    assert hashes.tolist() == [3, 1, 2, 1]


def test_large_rows_equal_the_reference() -> None:
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 9000, 20_000).astype(np.uint32)
    offsets = np.array([0, 6000, 6001, 20_000])
    assert_like_reference("cpu", sorted_sets, hashes, offsets)


HASHES, OFFSETS = np.array([1, 2], np.uint32), np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sorted_sets(np.array([1], np.uint64), np.array([0, 1])), "hashes must be uint32"),
        (lambda: sorted_sets(np.array([1], np.uint32), np.array([0, 2])), "row_offsets must rise"),
        (lambda: pairs(HASHES, OFFSETS, np.array([0]), np.array([2])), "rows 0 … 1, got 0 … 2"),
        (lambda: pairs(HASHES, OFFSETS, np.array([-1]), np.array([0])), "rows 0 … 1, got -1 … 0"),
        (lambda: pairs(HASHES, OFFSETS, np.array([0, 1]), np.array([0])), r"right must be int64 of shape \(2,\)"),
    ],
)
def test_unfit_arguments_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
