"""Union-find: the smallest member is the root, whatever the order and cut of the edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, CUDA, at_most
from tamis_kernels import ArgumentError
from tamis_kernels.components import roots, union

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName


Edges = list[tuple[int, int]]


def ends(edges: Edges) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = np.array(edges, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def smallest_reachable(n: int, edges: Edges) -> list[int]:
    """Spread the smallest number along the edges until nothing changes."""
    label = list(range(n))
    for _ in range(n):
        for one, other in edges:
            label[one] = label[other] = min(label[one], label[other])
    return label


@pytest.mark.parametrize("backend", BACKENDS)
@given(data=st.data(), n=st.integers(1, 25))
def test_roots_are_the_smallest_members_in_any_order_of_edges(backend: BackendName, data: st.DataObject, n: int) -> None:
    member = st.integers(0, n - 1)
    edges = data.draw(st.lists(st.tuples(member, member), max_size=30))
    shuffled = data.draw(st.permutations([(other, one) for one, other in edges]))
    at_once, piece_by_piece = np.arange(n), np.arange(n)
    union(at_once, *ends(edges), backend=backend)
    for edge in shuffled:
        union(piece_by_piece, *ends([edge]), backend=backend)
    assert roots(at_once, backend=backend).tolist() == smallest_reachable(n, edges)
    assert roots(piece_by_piece, backend=backend).tolist() == smallest_reachable(n, edges)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_long_chain_is_one_component(backend: BackendName) -> None:
    n = at_most(2000, 300)
    parent = np.arange(n)
    union(parent, np.arange(n - 1, 0, -1), np.arange(n - 2, -1, -1), backend=backend)
    union(parent, np.array([n - 1]), np.array([0]), backend=backend)
    assert not roots(parent, backend=backend).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_members_and_no_edges(backend: BackendName) -> None:
    none = np.empty(0, np.int64)
    union(none.copy(), none, none, backend=backend)
    assert roots(none, backend=backend).size == 0


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ([0], [3], "members 0 … 2, got 0 … 3"),
        ([-1], [0], "members 0 … 2, got -1 … 0"),
        ([0, 1], [2], r"right must be int64 of shape \(2,\), got int64 of shape \(1,\)"),
    ],
)
def test_unfit_edges_are_refused(left: list[int], right: list[int], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        union(np.arange(3), np.array(left), np.array(right))


@pytest.mark.parametrize("backend", BACKENDS)
def test_unfit_parents_are_refused(backend: BackendName) -> None:
    with pytest.raises(ArgumentError, match="int64"):
        roots(np.arange(3, dtype=np.int32), backend=backend)
    for parent in ([1, 0], [0, -1], [0, 1, -(2**63)], [3]):
        with pytest.raises(ArgumentError, match="no higher index"):
            roots(np.array(parent), backend=backend)


@pytest.mark.parametrize("backend", [CUDA])
def test_a_circle_of_parents_stops_no_device(backend: BackendName) -> None:
    for parent in ([0, 1, 5, 3, 4, 2], [0, -1, 2], [9, 1, 2]):
        with pytest.raises(ArgumentError, match="no higher index"):
            union(np.array(parent), np.array([2]), np.array([0]), backend=backend)
