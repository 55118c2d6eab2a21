"""The sort is stable and the runs are the groups of equal keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS
from tamis_kernels import ArgumentError, groups
from tamis_kernels.groups import sort_by_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName

TOP = 2**64 - 1


def assert_grouped(keys: NDArray[np.uint64], backend: BackendName) -> None:
    order, starts = sort_by_key(keys, backend=backend)
    np.testing.assert_array_equal(order, np.argsort(keys, kind="stable"))
    distinct, first = np.unique(np.sort(keys), return_index=True)
    assert starts.tolist() == [*first.tolist(), keys.size][: distinct.size + 1]
    assert (order.dtype.name, starts.dtype.name) == ("uint32", "int64")


@pytest.mark.parametrize("backend", BACKENDS)
@given(keys=st.lists(st.one_of(st.integers(0, 3), st.integers(0, TOP), st.sampled_from([2**11, 2**33, 2**63, TOP]))))
def test_order_is_stable_and_runs_are_groups(backend: BackendName, keys: list[int]) -> None:
    assert_grouped(np.array(keys, np.uint64), backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("keys", [[], [0], [TOP], [5] * 9, [TOP, 0], [2**63, 1, 2**63, 1]])
def test_few_and_equal_keys(backend: BackendName, keys: list[int]) -> None:
    assert_grouped(np.array(keys, np.uint64), backend)


@pytest.mark.parametrize("shift", range(0, 64, 3))
def test_keys_that_differ_in_a_few_bits_only(shift: int) -> None:
    few = np.random.default_rng(shift).integers(0, 8, 3000).astype(np.uint64)
    assert_grouped((few << np.uint64(shift)) + np.uint64(1), "cpu")


def test_many_keys() -> None:
    assert_grouped(np.random.default_rng(0).integers(0, TOP, 30_000, dtype=np.uint64) // np.uint64(2**50), "cpu")


@pytest.mark.parametrize("keys", [np.zeros(2, np.int64), np.zeros((2, 2), np.uint64)])
def test_other_keys_are_refused(keys: NDArray[np.uint64]) -> None:
    with pytest.raises(ArgumentError, match="keys must be uint64"):
        sort_by_key(keys)


def test_more_keys_than_positions_can_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST_KEYS", 2)
    with pytest.raises(ArgumentError, match="at most 2 keys can be sorted at a time, got 3"):
        sort_by_key(np.zeros(3, np.uint64))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("step", [1, 2**20, 2**39])
def test_keys_that_are_not_spread_out_are_sorted_all_the_same(backend: BackendName, step: int) -> None:
    assert_grouped(np.arange(400, dtype=np.uint64)[::-1] // np.uint64(2) * np.uint64(step), backend)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("byte", range(1, 8))
def test_keys_that_differ_in_two_bytes_alone(backend: BackendName, byte: int) -> None:
    falling, few = np.arange(400, dtype=np.uint64)[::-1] % np.uint64(200), np.arange(400, dtype=np.uint64) % np.uint64(3)
    assert_grouped(falling + (few << np.uint64(8 * byte)), backend)
