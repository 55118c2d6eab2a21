"""Hamming distances and pairs against plain Python."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis_kernels import hamming
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BackendName = Literal["reference", "cpu"]
BACKENDS: tuple[BackendName, ...] = ("reference", "cpu")
METHODS: tuple[hamming.Method, ...] = ("all", "index")

both = pytest.mark.parametrize("backend", BACKENDS)


def hashes_with_neighbours(n: int, words: int, flips: int, seed: int = 0) -> NDArray[np.uint64]:
    """Draw random hashes of which the second half are copies of the first with up to `flips` bits turned."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, (n, words), dtype=np.uint64)
    half = n // 2
    hashes[half : 2 * half] = hashes[:half]
    for row in range(half, 2 * half):
        for bit in rng.integers(0, 64 * words, rng.integers(0, flips + 1)):
            hashes[row, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
    return hashes[rng.permutation(n)]


def distance(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> int:
    return sum((int(x) ^ int(y)).bit_count() for x, y in zip(a, b, strict=True))


def near_pairs(hashes: NDArray[np.uint64], limit: int) -> list[tuple[int, int, int]]:
    found = ((i, j, distance(hashes[i], hashes[j])) for i, j in combinations(range(len(hashes)), 2))
    return [pair for pair in found if pair[2] <= limit]


def as_list(pairs: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]) -> list[tuple[int, int, int]]:
    return list(zip(*(column.tolist() for column in pairs), strict=True))


@both
@pytest.mark.parametrize("words", [1, 2, 4, 5])
def test_distances_count_differing_bits(words: int, backend: BackendName) -> None:
    rng = np.random.default_rng(1)
    left, right = (rng.integers(0, 2**64, (50, words), dtype=np.uint64) for _ in range(2))
    right[0], left[1], right[1] = left[0], 0, np.uint64(2**64 - 1)
    found = hamming.distances(left, right, backend=backend)
    assert found.dtype == np.int32
    assert found.tolist() == [distance(a, b) for a, b in zip(left, right, strict=True)]
    assert found[:2].tolist() == [0, 64 * words]


@both
def test_within_marks_the_near_candidates(backend: BackendName) -> None:
    hashes = hashes_with_neighbours(40, 4, flips=40)
    left, right = np.triu_indices(40)
    found = hamming.within(hashes, left, right, 31, backend=backend)
    assert found.tolist() == [distance(hashes[i], hashes[j]) <= 31 for i, j in zip(left, right, strict=True)]


@both
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("words", "limit"), [(1, 0), (1, 3), (1, 7), (2, 15), (4, 0), (4, 15), (4, 16), (4, 31)])
def test_no_pair_is_missed_or_given_twice(words: int, limit: int, method: hamming.Method, backend: BackendName) -> None:
    hashes = hashes_with_neighbours(60, words, flips=limit + 4)
    hashes[:3] = hashes[3]  # equal hashes share every slot
    found = as_list(hamming.pairs(hashes, limit, method=method, backend=backend))
    assert found == near_pairs(hashes, limit)
    assert found


@both
def test_limits_beyond_the_index_compare_all(backend: BackendName) -> None:
    hashes = hashes_with_neighbours(30, 1, flips=30)
    assert as_list(hamming.pairs(hashes, 64, backend=backend)) == near_pairs(hashes, 64)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_many_hashes_cross_tiles_and_steps(method: hamming.Method) -> None:
    hashes = hashes_with_neighbours(20_011, 4, flips=2, seed=3)
    left, right, found = hamming.pairs(hashes, 31, method=method, backend="cpu")
    assert len(left) >= 10_005
    assert (left < right).all()
    assert found.tolist() == hamming.distances(hashes[left], hashes[right], backend="cpu").tolist()
    other = hamming.pairs(hashes, 31, method="index" if method == "all" else "all", backend="cpu")
    assert as_list((left, right, found)) == as_list(other)


@both
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("chunk", [1, 2, 7, 4096])
def test_chunks_are_bounded_and_add_up(chunk: int, method: hamming.Method, backend: BackendName) -> None:
    hashes = hashes_with_neighbours(40, 4, flips=20)
    hashes[:6] = hashes[6]
    whole = [pair for piece in hamming.pair_chunks(hashes, 31, method=method, backend=backend) for pair in as_list(piece)]
    pieces = [as_list(piece) for piece in hamming.pair_chunks(hashes, 31, chunk=chunk, method=method, backend=backend)]
    assert [pair for piece in pieces for pair in piece] == whole
    most_per_row = 6
    assert all(1 <= len(piece) <= max(chunk, most_per_row) for piece in pieces)


@both
@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("method", METHODS)
def test_fewer_than_two_hashes_make_no_pair(n: int, method: hamming.Method, backend: BackendName) -> None:
    assert as_list(hamming.pairs(np.zeros((n, 4), np.uint64), 31, method=method, backend=backend)) == []


@both
@given(data=st.data(), words=st.sampled_from([1, 2, 4]))
def test_band_keys_lose_no_pair(backend: BackendName, data: st.DataObject, words: int) -> None:
    limit = data.draw(st.integers(64 * words // 48, 31))
    seed = data.draw(st.integers(0, 2**32))
    hashes = hashes_with_neighbours(16, words, flips=limit, seed=seed)
    keys = hamming.candidate_bands(hashes, limit, backend=backend)
    assert keys.shape == (16, limit + 1)
    assert keys.tolist() == hamming.candidate_bands(hashes, limit, backend="reference").tolist()
    assert (keys >> np.uint64(48)).tolist() == [list(range(limit + 1))] * 16
    for i, j, _ in near_pairs(hashes, limit):
        assert (keys[i] == keys[j]).any()


@given(st.lists(st.integers(0, 2**128 - 1), max_size=12), st.integers(0, 15))
def test_any_hashes_give_the_same_pairs_on_every_path(numbers: list[int], limit: int) -> None:
    hashes = np.array([[number % 2**64, number >> 64] for number in numbers], np.uint64).reshape(-1, 2)
    expected = near_pairs(hashes, limit)
    for method in METHODS:
        for backend in BACKENDS:
            assert as_list(hamming.pairs(hashes, limit, method=method, backend=backend)) == expected


def test_wrong_arguments_are_refused() -> None:
    hashes = np.zeros((3, 4), np.uint64)
    rows = np.array([0, 1])
    with pytest.raises(ArgumentError, match="same shape"):
        hamming.distances(hashes, hashes[:2])
    with pytest.raises(ArgumentError, match="got int64"):
        hamming.distances(hashes.astype(np.int64), hashes.astype(np.int64))
    with pytest.raises(ArgumentError, match=r"0 … 2"):
        hamming.within(hashes, rows, rows + 2, 3)
    with pytest.raises(ArgumentError, match="equal length"):
        hamming.within(hashes, rows, rows[:1], 3)
    with pytest.raises(ArgumentError, match="0 or more"):
        hamming.pairs(hashes, -1)
    with pytest.raises(ArgumentError, match="below limit 32"):
        hamming.pairs(hashes, 32, method="index")
    with pytest.raises(ArgumentError, match="chunk must be at least 1"):
        list(hamming.pair_chunks(hashes, 3, chunk=0))
    with pytest.raises(ArgumentError, match="for hashes of 256 bits, got 4"):
        hamming.candidate_bands(hashes, 4)
    with pytest.raises(ArgumentError, match="got 256"):
        hamming.candidate_bands(hashes, 256)
