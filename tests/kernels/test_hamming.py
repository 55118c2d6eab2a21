"""Hamming distances and pairs against plain Python."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, CUDA, at_most
from tamis_kernels import components, hamming
from tamis_kernels.errors import ArgumentError
from tamis_kernels.hamming import cpu, reference
from tamis_kernels.hamming.layout import CROWD, FOLDED, LENGTH, RADIUS, WORD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName

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


THRESHOLDS = [(1, 0), (1, 3), (1, 10), (1, 29), (2, 15), (3, 20), (3, 60), (4, 0), (4, 15), (4, 31), (4, 47), (4, 110), (5, 90)]


@both
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("words", "limit"), THRESHOLDS)
def test_no_pair_is_missed_or_given_twice(words: int, limit: int, method: hamming.Method, backend: BackendName) -> None:
    hashes = hashes_with_neighbours(at_most(30, 7), words, flips=limit + 4)
    hashes[:3] = hashes[3]  # equal hashes share every band
    found = as_list(hamming.pairs(hashes, limit, method=method, backend=backend))
    assert found == near_pairs(hashes, limit)
    assert found


@both
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("half", [False, True])
def test_two_sets_give_the_pairs_across(half: bool, method: hamming.Method, backend: BackendName) -> None:
    n = at_most(40, 12)
    hashes = hashes_with_neighbours(n, 4, flips=40)
    left, right = hashes[: 5 * n // 8], np.concatenate([hashes[n // 4 :], hashes[: n // 2]])
    pieces = hamming.pair_chunks(left, 31, against=right, half=half, method=method, backend=backend)
    expected = [(i, j, distance(left[i], right[j])) for i in range(len(left)) for j in range(i + 1 if half else 0, len(right))]
    assert sorted(pair for piece in pieces for pair in as_list(piece)) == [pair for pair in expected if pair[2] <= 31]


@both
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("words", "limit"), [(3, 20), (4, 60)])
def test_the_nearest_form_counts(words: int, limit: int, method: hamming.Method, backend: BackendName) -> None:
    forms = np.array([[False, False, False, False], [False, True, True, True], [True, False, True, False]])[:, :words]
    n = at_most(40, 12)
    hashes = hashes_with_neighbours(n, words, flips=limit + 4)
    for number, form in enumerate(np.random.default_rng(3).integers(0, 3, n)):
        hashes[number] ^= forms[form].astype(np.uint64) * np.uint64(2**64 - 1)
    turned = [hashes ^ form.astype(np.uint64) * np.uint64(2**64 - 1) for form in forms]
    nearest = [(i, j, min(distance(form[i], hashes[j]) for form in turned)) for i, j in combinations(range(n), 2)]
    pieces = hamming.pair_chunks(hashes, limit, forms=forms, method=method, backend=backend)
    found = sorted(pair for piece in pieces for pair in as_list(piece))
    assert found == [pair for pair in nearest if pair[2] <= limit]
    assert found


def crowd(n: int, many: int) -> NDArray[np.uint64]:
    """Draw random hashes of which the first `many` are one, with up to 9 bits turned over."""
    rng = np.random.default_rng(n)
    hashes = rng.integers(0, 2**64, (n, 4), dtype=np.uint64)
    hashes[:many] = hashes[0]
    for _ in range(9):
        hashes[np.arange(many), rng.integers(0, 4, many)] ^= np.uint64(1) << rng.integers(0, 64, many).astype(np.uint64)
    return hashes[rng.permutation(n)]


def joined_roots(hashes: NDArray[np.uint64], chunk: int, method: hamming.Method, backend: BackendName) -> tuple[list[int], int]:
    parent, pairs = np.arange(len(hashes)), 0
    for left, right, _ in hamming.pair_chunks(hashes, 31, joined=parent, chunk=chunk, method=method, backend=backend):
        components.union(parent, left, right, backend="cpu")
        pairs += len(left)
    return components.roots(parent, backend="cpu").tolist(), pairs


@both
@pytest.mark.parametrize("method", METHODS)
def test_what_is_joined_is_not_paired_again(method: hamming.Method, backend: BackendName) -> None:
    n, many = at_most(90, 13), at_most(70, 9)
    hashes = crowd(n, many)
    parent = np.arange(n)
    for i, j, _ in near_pairs(hashes, 31):
        components.union(parent, np.array([i]), np.array([j]), backend="cpu")
    for chunk in (1, 50, 1 << 20)[: at_most(3, 2)]:
        roots, pairs = joined_roots(hashes, chunk, method, backend)
        assert roots == components.roots(parent, backend="cpu").tolist()
        assert pairs < many * (many - 1) // 2 or chunk > many


@pytest.mark.parametrize("alike", [40, 63, 64, 65])
def test_what_a_side_knows_of_components_is_what_the_reference_knows(alike: int) -> None:
    """A pair is found without it too, but later."""
    rng = np.random.default_rng(alike)
    hashes = rng.integers(0, 2**64, (200, 2), dtype=np.uint64)
    hashes[30 : 30 + alike] = hashes[30]
    roots = np.where(np.arange(200) % 7 < 3, np.arange(200), np.arange(200) // 20 * 20)
    roots[30 : 30 + alike] = 30
    band = np.array([0, 8, 6, 0, 0])
    sides = [module.sort_side(hashes, band, 1, True) for module in (reference, cpu)]
    for module, side in zip((reference, cpu), sides, strict=True):
        module.label(roots, side)
    for name, wanted, found in zip(sides[0]._fields, *sides, strict=True):
        np.testing.assert_array_equal(found, wanted, name)
    assert sides[0].crowded.any() == (alike >= CROWD)


@pytest.mark.parametrize("turned", [False, True])
@given(limit=st.integers(0, 80), words=st.integers(2, 5), each=st.integers(1, 10), length=st.integers(6, 24))
def test_bands_differ_in_as_few_bits_as_will_do(turned: bool, limit: int, words: int, each: int, length: int) -> None:
    forms = np.array([[False] * words, [False, *[turned] * (words - 1)]])
    bands = hamming.cut(limit, forms, each, length)
    assert sum(band[RADIUS] + 1 for band in bands) == limit + 1  # one more than differ: some band differs in its radius at most
    assert np.ptp(bands[:, RADIUS]) <= 1
    assert (bands[:, LENGTH] == length).all()
    places = {(word, 64 * step // each) for word in range(words) for step in range(each)}
    assert len({(word, shift) for word, shift in bands[:, :2].tolist()} & places) == len(bands)
    assert ((bands[:, WORD] > 0) & turned == bands[:, FOLDED]).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_crowd_costs_a_few_pairs_a_hash(method: hamming.Method) -> None:
    roots, pairs = joined_roots(crowd(6_000, 4_000), 1 << 13, method, "cpu")
    assert len(set(roots)) == 2_001
    assert pairs < 20 * 4_000


@both
def test_limits_beyond_the_index_compare_all(backend: BackendName) -> None:
    hashes = hashes_with_neighbours(at_most(30, 8), 1, flips=30)
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
    hashes = hashes_with_neighbours(at_most(40, 7), 4, flips=20)
    hashes[:6] = hashes[6]
    whole = [pair for piece in hamming.pair_chunks(hashes, 31, method=method, backend=backend) for pair in as_list(piece)]
    pieces = [as_list(piece) for piece in hamming.pair_chunks(hashes, 31, chunk=chunk, method=method, backend=backend)]
    assert [pair for piece in pieces for pair in piece] == whole
    most_per_row = 20
    assert all(1 <= len(piece) <= max(chunk, most_per_row) for piece in pieces)


@both
@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("method", METHODS)
def test_fewer_than_two_hashes_make_no_pair(n: int, method: hamming.Method, backend: BackendName) -> None:
    few = np.zeros((n, 4), np.uint64)
    assert as_list(hamming.pairs(few, 31, method=method, backend=backend)) == []
    assert as_list(hamming.pairs(few[:1], 31, against=few, method=method, backend=backend)) == [(0, 0, 0)] * n
    assert as_list(hamming.pairs(few[:1] + np.uint64(1), 31, against=few[:0], method=method, backend=backend)) == []


@both
@given(numbers=st.lists(st.integers(0, 2**128 - 1), max_size=12), limit=st.integers(0, 15))
def test_any_hashes_give_the_same_pairs_on_every_path(numbers: list[int], limit: int, backend: BackendName) -> None:
    hashes = np.array([[number % 2**64, number >> 64] for number in numbers], np.uint64).reshape(-1, 2)
    expected = near_pairs(hashes, limit)
    for method in METHODS:
        assert as_list(hamming.pairs(hashes, limit, method=method, backend=backend)) == expected


@pytest.mark.parametrize("backend", [CUDA])
@pytest.mark.parametrize("words", [1, 4])
def test_an_index_of_any_size_fits_the_grid(monkeypatch: pytest.MonkeyPatch, words: int, backend: BackendName) -> None:
    from tamis_kernels.hamming import cuda

    class Recorder:
        def __init__(self, kernel: Any) -> None:
            self.kernel, self.grids = kernel, []  # type: ignore[var-annotated]

        def __getitem__(self, configuration: Any) -> Any:
            self.grids.append(configuration[0])
            return self.kernel[configuration]

    hashes = np.random.default_rng(3).integers(0, 2**64, (50, words), dtype=np.uint64)
    recorders = [Recorder(getattr(cuda, name)) for name in ("compare_one_word", "compare_two_words")]
    for name, recorder in zip(("compare_one_word", "compare_two_words"), recorders, strict=True):
        monkeypatch.setattr(cuda, name, recorder)
    hamming.pairs(hashes, 3, method="all", backend=backend)
    along_x, along_y = (recorders[0].grids + recorders[1].grids)[0]
    assert along_x == -(-50 // cuda.STRIP)  # 65,535 blocks along y at most, where the index may have 2 ** 31 places
    assert along_y == -(-50 // (cuda.OWN * cuda.THREADS))


def test_wrong_arguments_are_refused() -> None:
    hashes = np.zeros((3, 4), np.uint64)
    with pytest.raises(ArgumentError, match=r"right must be uint64 of shape \(3, 4\), got uint64 of shape \(2, 4\)"):
        hamming.distances(hashes, hashes[:2])
    with pytest.raises(ArgumentError, match="got int64"):
        hamming.distances(hashes.astype(np.int64), hashes.astype(np.int64))
    with pytest.raises(ArgumentError, match="limit must be a whole number from 0"):
        hamming.pairs(hashes, -1)
    with pytest.raises(ArgumentError, match="below limit 120"):
        hamming.pairs(hashes, 120, method="index")
    with pytest.raises(ArgumentError, match="chunk must be a whole number from 1"):
        list(hamming.pair_chunks(hashes, 3, chunk=0))
    with pytest.raises(ArgumentError, match="method must be one of auto, all, index, got 'none'"):
        hamming.pairs(hashes, 3, method="none")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="one word or more"):
        hamming.pairs(hashes[:, :0], 3)
    with pytest.raises(ArgumentError, match="as many words, got 4 and 1"):
        hamming.pairs(hashes, 3, against=np.zeros((3, 1), np.uint64))
    with pytest.raises(ArgumentError, match=r"forms must be .* got shape \(2, 3\)"):
        list(hamming.pair_chunks(hashes, 3, forms=np.zeros((2, 3), np.bool_)))
    with pytest.raises(ArgumentError, match="a parent for each of 3 rows, got 2"):
        list(hamming.pair_chunks(hashes, 3, joined=np.arange(2)))


def test_more_hashes_than_row_numbers_are_refused() -> None:
    many = np.broadcast_to(np.zeros((1, 1), np.uint64), (2**31, 1))
    with pytest.raises(ArgumentError, match="2147483647 hashes at most"):
        hamming._check(many, many, np.zeros((1, 1), np.bool_), None)
