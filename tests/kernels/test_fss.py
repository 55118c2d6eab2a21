"""Fast Similarity Sketching: one signature a set on every backend, mergeable, and as good an estimate as MinHash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, COMPILED, arrow, assert_like_reference, at_most
from tamis_kernels import ArgumentError, minhash
from tamis_kernels.fss import EMPTY_SLOT, merge, mixes, signatures, text_signatures, token_signatures
from tamis_kernels.ngram_keys import keys, token_keys
from tamis_kernels.ngrams import Unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName

UNITS: tuple[Unit, ...] = get_args(Unit)
SIGNED: Any = np.zeros(1, np.int64)

# Worked out with Python's whole numbers by `by_hand` below, seed 1, 8 slots, the elements 0, 64, 128, 192, 256.
GOLDEN = [340296092, 1209676893, 1113497429, 2537826971, 2408941800, 43899501, 273522646, 389864317]
GOLDEN_MIXES = [7692698082559361259, 13287641507927168072, 2109959069025161, 5577051506714156677]


def by_hand(elements: list[int], num_perm: int, seed: int) -> list[int]:
    """Return the signature in plain whole numbers."""

    def mixed(element: int, number: int) -> int:
        value = (element + int(mixes(seed)[number])) % 2**64
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
        return value ^ value >> 31

    a, b = minhash.permutations(num_perm, seed)
    signature = []
    for slot in range(num_perm):
        values = [
            number << 30 | mixed(element, number) >> 34
            for number in range(3)
            for element in elements
            if mixed(element, number) % 2**32 * num_perm >> 32 == slot
        ]
        images = [(int(a[slot]) * (mixed(element, 3) % 2**32) + int(b[slot])) % 2**32 for element in elements]
        signature.append(min(values) if values else min(3 << 30 | min(images) >> 2, 0xFFFFFFFE) if images else EMPTY_SLOT)
    return signature


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_golden_signature_never_changes(backend: BackendName) -> None:
    elements = [0, 64, 128, 192, 256]
    assert mixes(1).tolist() == GOLDEN_MIXES
    assert by_hand(elements, 8, 1) == GOLDEN
    assert signatures(np.array(elements, np.uint64), np.array([0, 5]), num_perm=8, backend=backend).tolist() == [GOLDEN]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("num_perm", [1, 3, 16, 65])
@pytest.mark.parametrize("size", [0, 1, 15, 60])
def test_signatures_are_those_worked_out_by_hand(backend: BackendName, num_perm: int, size: int) -> None:
    elements = np.random.default_rng(size).integers(0, 2**64, size, np.uint64)
    found = signatures(elements, np.array([0, size]), num_perm=num_perm, seed=5, backend=backend)
    assert found.tolist() == [by_hand(elements.tolist(), num_perm, 5)]


@pytest.mark.parametrize("backend", COMPILED)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 2, 40, 127, 128, 700, 1023, 1024, 1025, 3000]), max_size=5),
    num_perm=st.sampled_from([1, 2, 16, 128, 200]),
    seed=st.sampled_from([0, 1, 2**32 - 1]),
    wide=st.booleans(),
    spread=st.sampled_from([1, 3, 2**32]),
)
def test_signatures_equal_the_reference(backend: BackendName, sizes: list[int], num_perm: int, seed: int, wide: bool, spread: int) -> None:
    rows = np.cumsum([0, *(at_most(size, 60) for size in sizes)])
    drawn = np.random.default_rng(len(sizes)).integers(0, spread, rows[-1], np.uint64)
    elements: NDArray[Any] = drawn * np.uint64(2**31 + 1) if wide else drawn.astype(np.uint32)
    assert_like_reference(backend, signatures, elements, rows, num_perm=num_perm, seed=seed)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("num_perm", [1, 12, 128, pytest.param(300, marks=pytest.mark.slow)])  # as 128 where kernels are interpreted
@pytest.mark.parametrize("distinct", [2, 40, 2**63])  # of which few leave slots empty, whatever the length
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_records_of_all_lengths_side_by_side_equal_the_reference(backend: BackendName, num_perm: int, distinct: int, dtype: Any) -> None:
    sizes = [0, 0, 1, 2, 31, 32, 33, 0, 127, 128, 129, 255, 256, 257, 700, 8191, 8192, 8193, 0, 20_000, 0, 1, 0]  # a warp's, and parts
    rows, num_perm = np.cumsum([0, *(at_most(size, 70) for size in sizes)]), at_most(num_perm, 30)
    elements = np.random.default_rng(distinct).integers(0, distinct, rows[-1]).astype(dtype)
    assert_like_reference(backend, signatures, elements, rows, num_perm=num_perm)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("size", [0, 1, 17, 64, 256, 9000])
def test_many_records_of_one_length_equal_the_reference(backend: BackendName, size: int) -> None:
    size, count = at_most(size, 35), at_most(100 if size < 9000 else 3, 10)
    elements = np.random.default_rng(size).integers(0, 2**64, size * count, np.uint64)
    assert_like_reference(backend, signatures, elements, np.arange(count + 1) * size, num_perm=32)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("unit", UNITS)
@given(rows=st.lists(st.one_of(st.binary(max_size=80), st.text(max_size=50).map(str.encode)), max_size=6), ngram=st.integers(1, 9))
def test_texts_have_the_signatures_of_their_ngram_keys(backend: BackendName, unit: Unit, rows: list[bytes], ngram: int) -> None:
    data, offsets = arrow(rows)
    arguments: dict[str, Any] = {"validity": np.arange(len(rows)) != 1, "unit": unit, "ngram": ngram}
    wanted = signatures(*keys(data, offsets, backend="cpu", **arguments), num_perm=16, backend="cpu")
    np.testing.assert_array_equal(text_signatures(data, offsets, num_perm=16, backend=backend, **arguments), wanted)


@pytest.mark.parametrize("part", [None, 1 / 32, 2.0])  # of slots: one, full after round 0; some, full after round 0 or 1; and never full
def test_texts_longer_than_what_is_held_are_read_again_round_by_round(held: int, part: float | None) -> None:
    num_perm = 1 if part is None else int(held * part)
    text = np.random.default_rng(7).integers(0, 256, held + 100, np.uint8)
    few = np.tile(text[:40], 2 * held // 40)  # long, but with few distinct n-grams
    for data in (text, few):
        found, wanted = (
            text_signatures(data, np.array([0, data.size]), num_perm=num_perm, backend=backend) for backend in ("cpu", "reference")
        )
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("backend", BACKENDS)
@given(rows=st.lists(st.lists(st.binary(max_size=20), max_size=40), max_size=5))
def test_rows_of_tokens_have_the_signatures_of_their_keys(backend: BackendName, rows: list[list[bytes]]) -> None:
    tokens = [token for row in rows for token in row]
    data, offsets = arrow(tokens)
    starts = np.cumsum([0, *map(len, rows)])
    wanted = signatures(token_keys(data, offsets), starts, num_perm=16, backend="cpu")
    np.testing.assert_array_equal(token_signatures(data, offsets, starts, num_perm=16, backend=backend), wanted)


@pytest.mark.parametrize("backend", COMPILED)
def test_texts_longer_than_a_block_equal_the_reference(backend: BackendName) -> None:
    text = " ".join(f"wört{i}" for i in range(1500)).encode()[: at_most(20_000, 300)]
    data, offsets = np.frombuffer(b"ab" + text + text[:200], np.uint8), np.cumsum([0, 2, len(text), 200])
    assert_like_reference(backend, text_signatures, data, offsets, num_perm=33)


@given(left=st.lists(st.integers(0, 2**64 - 1)), right=st.lists(st.integers(0, 2**64 - 1)), chance=st.randoms())
def test_merging_gives_the_union_whatever_order_and_repeats(left: list[int], right: list[int], chance: Any) -> None:
    def signature(elements: list[int]) -> NDArray[np.uint32]:
        return signatures(np.array(elements, np.uint64), np.array([0, len(elements)]), num_perm=16, backend="cpu")

    both = left + right + left
    chance.shuffle(both)
    np.testing.assert_array_equal(merge(signature(left), signature(right)), signature(both))


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 64, 256, 2048])
@pytest.mark.parametrize("similarity", [0.2, 0.5, 0.9])
def test_the_share_of_equal_slots_estimates_jaccard_no_worse_than_minhash(size: int, similarity: float) -> None:
    pairs, num_perm = 400, 128
    shared = round(2 * size * similarity / (1 + similarity))
    step = 2 * size - shared
    starts = np.arange(pairs) * step
    left = (starts[:, None] + np.arange(size)).ravel().astype(np.uint32)  # sequential numbers: the hard case
    right = (starts[:, None] + step - 1 - np.arange(size)).ravel().astype(np.uint32)
    rows = np.arange(0, pairs * size + 1, size)
    truth = shared / step

    def errors(sketch: Any) -> NDArray[np.float64]:
        first, second = (sketch(elements, rows, num_perm=num_perm, backend="cpu") for elements in (left, right))
        found: NDArray[np.float64] = (first == second).mean(axis=1) - truth
        return found

    found = errors(signatures)
    deviation = np.sqrt(truth * (1 - truth) / num_perm)  # of MinHash, from theory
    assert abs(found.mean()) < 4 * deviation / np.sqrt(pairs)
    assert np.sqrt(np.mean(found**2)) < 1.15 * deviation  # four standard errors of an RMSE over 400 pairs


@pytest.mark.gpu
def test_more_slots_than_shared_memory_holds_are_refused_on_cuda() -> None:
    with pytest.raises(ArgumentError, match="at most 8192 slots, got 8193; use backend='cpu'"):
        signatures(np.zeros(1, np.uint32), np.array([0, 1]), num_perm=8193, backend="cuda")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: signatures(SIGNED, np.array([0, 1])), "hashes must be uint32"),
        (lambda: signatures(np.zeros(1, np.uint32), np.array([0, 2])), "row_offsets must rise"),
        (lambda: signatures(np.zeros(1, np.uint32), np.array([0, 1]), num_perm=0), "num_perm .* got 0"),
        (lambda: text_signatures(np.zeros(1, np.uint8), np.array([0, 1]), seed=2**32), "seed"),
    ],
)
def test_unfit_arguments_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
