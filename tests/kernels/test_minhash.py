"""MinHash signatures: bit for bit those of datasketch 2.0, on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, COMPILED, arrow, assert_like_reference, at_most
from tamis_kernels import ArgumentError
from tamis_kernels.minhash import EMPTY_SLOT, merge, permutations, signatures, text_signatures
from tamis_kernels.ngrams import Unit, hashes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName

UNITS: tuple[Unit, ...] = get_args(Unit)

# datasketch 2.0.0: MinHash(num_perm=8, seed=1, hashfunc=xxhash.xxh32_intdigest) over the five-byte windows of the sentence below.
GOLDEN_TEXT = b"the quick brown fox jumps over the lazy dog"
GOLDEN = [26606237, 1995283, 566253594, 24363998, 102755420, 11109055, 359254837, 101470516]
GOLDEN_A = [3582191691, 4270784983, 1892572953, 3715639441, 982527, 1100580627, 2597016983, 4286725387]
GOLDEN_B = [630311759, 1013994432, 396591248, 1703301249, 799981516, 1666063943, 1484172013, 2876537340]


def datasketch_signature(elements: list[bytes], num_perm: int, seed: int) -> NDArray[np.uint32]:
    from datasketch import MinHash

    sketch = MinHash(num_perm=num_perm, seed=seed, hashfunc=xxhash.xxh32_intdigest)
    for element in elements:
        sketch.update(element)
    values: NDArray[np.uint32] = sketch.hashvalues
    return values


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_golden_signature_never_changes(backend: BackendName) -> None:
    data, offsets = arrow([GOLDEN_TEXT])
    assert text_signatures(data, offsets, num_perm=8, backend=backend).tolist() == [GOLDEN]
    a, b = permutations(8, 1)
    assert (a.tolist(), b.tolist()) == (GOLDEN_A, GOLDEN_B)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("num_perm", [1, 3, 16, 128, 260])
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_text_signatures_are_those_of_datasketch(backend: BackendName, num_perm: int, seed: int) -> None:
    rows = [GOLDEN_TEXT, b"", b"abc", b"abcde", (bytes(range(256)) * 5)[: at_most(1280, 40)]]
    found = text_signatures(*arrow(rows), num_perm=num_perm, seed=seed, backend=backend)
    for row, signature in zip(rows, found, strict=True):
        windows = [row[i : i + 5] for i in range(max(1, len(row) - 4))] if row else []
        np.testing.assert_array_equal(signature, datasketch_signature(windows, num_perm, seed))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1023, 1024, 1025, 3000])
def test_signatures_of_ready_hashes_are_those_of_datasketch(backend: BackendName, size: int) -> None:
    from datasketch import MinHash

    size = at_most(size, 90)
    elements = np.arange(size, dtype=np.uint32) * np.uint32(64)  # structured on purpose
    sketch = MinHash(num_perm=20, seed=3, hashfunc=int)
    sketch.update_batch(elements.tolist())
    rows = np.array([0, size, size])
    found = signatures(elements, rows, num_perm=20, seed=3, backend=backend)
    np.testing.assert_array_equal(found[0], sketch.hashvalues)
    assert (found[1] == EMPTY_SLOT).all()


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("unit", UNITS)
@given(
    rows=st.lists(st.one_of(st.binary(max_size=80), st.text(max_size=50).map(str.encode)), max_size=6),
    ngram=st.integers(1, 20),
    num_perm=st.sampled_from([1, 5, 16, 33]),
    null=st.integers(0, 5),
)
def test_fused_equals_the_reference_and_the_two_steps(
    backend: BackendName, unit: Unit, rows: list[bytes], ngram: int, num_perm: int, null: int
) -> None:
    data, offsets = arrow(rows)
    validity = np.arange(len(rows)) != null
    arguments: dict[str, Any] = {"validity": validity, "unit": unit, "ngram": ngram}
    fused = text_signatures(data, offsets, num_perm=num_perm, backend=backend, **arguments)
    by_reference = text_signatures(data, offsets, num_perm=num_perm, backend="reference", **arguments)
    np.testing.assert_array_equal(fused, by_reference)
    in_two_steps = signatures(*hashes(data, offsets, backend=backend, **arguments), num_perm=num_perm, backend=backend)
    np.testing.assert_array_equal(fused, in_two_steps)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("unit", UNITS)
def test_rows_longer_than_a_block_equal_the_reference(backend: BackendName, unit: Unit) -> None:
    text = " ".join(f"wört{i}" for i in range(at_most(1500, 60))).encode()
    data, offsets = arrow([b"short", text, text[:9000], b""])
    assert_like_reference(backend, text_signatures, data, offsets, unit=unit, ngram=7, num_perm=9)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("num_perm", [1, 33, pytest.param(128, marks=pytest.mark.slow), pytest.param(300, marks=pytest.mark.slow)])
def test_rows_of_all_lengths_side_by_side_equal_the_reference(backend: BackendName, num_perm: int) -> None:
    sizes = [0, 0, 1, 5, 7, 8, 9, 31, 32, 33, 0, 255, 256, 257, 1, 2039, 2040, 2041, 0, 2048, 5, 7000, 0, 0, 1, 0]  # of tiles and blocks
    rows = np.cumsum([0, *(at_most(size, 90) for size in sizes)])
    elements = np.random.default_rng(num_perm).integers(0, 2**32, rows[-1], np.uint32)
    assert_like_reference(backend, signatures, elements, rows, num_perm=num_perm)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("size", [0, 1, 12, 24, 32, 33, 120])  # with what a row costs beside them, most divide what a block takes
def test_many_short_rows_equal_the_reference(backend: BackendName, size: int) -> None:
    count = at_most(400, 30)
    elements = np.random.default_rng(size).integers(0, 2**32, size * count, np.uint32)
    rows = np.arange(count + 1) * size
    assert_like_reference(backend, signatures, elements, rows, num_perm=16)


@given(left=st.lists(st.integers(0, 2**32 - 1)), right=st.lists(st.integers(0, 2**32 - 1)), chance=st.randoms())
def test_merging_gives_the_union_whatever_order_and_repeats(left: list[int], right: list[int], chance: Any) -> None:
    def signature(elements: list[int]) -> NDArray[np.uint32]:
        return signatures(np.array(elements, np.uint32), np.array([0, len(elements)]), num_perm=16, backend="cpu")

    both = left + right + left
    chance.shuffle(both)
    np.testing.assert_array_equal(merge(signature(left), signature(right)), signature(both))


@pytest.mark.slow
def test_the_share_of_equal_slots_estimates_jaccard_even_for_sequential_numbers() -> None:
    sets = np.concatenate([np.arange(0, 300), np.arange(100, 400)]).astype(np.uint32)
    left, right = signatures(sets, np.array([0, 300, 600]), num_perm=2000, backend="cpu")
    assert abs(np.mean(left == right) - 0.5) < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: signatures(np.zeros(1, np.uint64), np.array([0, 1])), "hashes must be uint32"),
        (lambda: signatures(np.zeros(1, np.uint32), np.array([0, 2])), "row_offsets must rise"),
        (lambda: signatures(np.zeros(1, np.uint32), np.array([0, 1]), num_perm=0), "num_perm .* got 0"),
        (lambda: signatures(np.zeros(1, np.uint32), np.array([0, 1]), seed=-1), "seed .* got -1"),
        (lambda: text_signatures(np.zeros(1, np.uint8), np.array([0, 1]), seed=2**32), "seed"),
        (lambda: merge(np.zeros((1, 2), np.uint32), np.zeros((1, 3), np.uint32)), "right must be uint32 of shape"),
        (lambda: merge(np.zeros((1, 2), np.uint64), np.zeros((1, 2), np.uint64)), "left must be uint32"),
        (lambda: merge([1], [2]), "left must be uint32 .* got list, which is no array of NumPy"),  # type: ignore[arg-type]
    ],
)
def test_unfit_arguments_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
