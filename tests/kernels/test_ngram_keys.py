"""64-bit keys of n-grams: one definition on every backend, each word read once."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, COMPILED, arrow, assert_like_reference
from tamis_kernels import ArgumentError, ngrams
from tamis_kernels.ngram_keys import keys, token_keys
from tamis_kernels.ngram_keys.cpu import SCANNED
from tamis_kernels.ngram_keys.reference import bytes_key, chain, words_key
from tamis_kernels.ngrams import Unit

if TYPE_CHECKING:
    from tamis_kernels.backend import BackendName

UNITS: tuple[Unit, ...] = get_args(Unit)
WHITE = ["\t", " ", "\x85", "\xa0", "\u1680", "\u2000", "\u200a", "\u2028", "\u202f", "\u205f", "\u3000"]

GOLDEN = ["0x3647b488bf23146b", "0x4df95ebe7b54838f", "0xa33643b9cb863a90"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_golden_keys_never_change(backend: BackendName) -> None:
    assert [hex(bytes_key(b"tamis")), hex(bytes_key(b"a fine sieve")), hex(words_key(b"a fine sieve"))] == GOLDEN
    found = [
        keys(*arrow([b"tamis", b"a fine sieve"]), ngram=12, backend=backend)[0].tolist(),
        keys(*arrow([b" a  fine\tsieve "]), unit="word", ngram=3, backend=backend)[0].tolist(),
    ]
    assert [hex(key) for row in found for key in row] == GOLDEN


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("unit", UNITS)
@given(
    rows=st.lists(st.one_of(st.binary(max_size=80), st.text(st.sampled_from(["a", "é", "語", *WHITE]), max_size=50).map(str.encode))),
    ngram=st.integers(1, 20),
)
def test_keys_equal_the_reference(backend: BackendName, unit: Unit, rows: list[bytes], ngram: int) -> None:
    data, offsets = arrow(rows)
    arguments: dict[str, Any] = {"validity": np.arange(len(rows)) != 1, "unit": unit, "ngram": ngram}
    assert_like_reference(backend, keys, data, offsets, **arguments)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("unit", UNITS)
def test_texts_are_told_apart_wherever_a_block_of_threads_ends(texts_at_block_ends: list[bytes], backend: BackendName, unit: Unit) -> None:
    data, offsets = arrow(texts_at_block_ends)
    assert_like_reference(backend, keys, data, offsets, unit=unit, ngram=3)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("ngram", [1, 3, 9])
def test_rows_longer_than_what_is_held_at_a_time(held: int, unit: Unit, ngram: int) -> None:
    words = ["w" * (1 + i % 13) + WHITE[i % len(WHITE)] for i in range(held + 3 * ngram)]
    data, offsets = arrow(["".join(words).encode(), b"", b"x" * (2 * SCANNED), "é".encode() * (held + ngram - 1)])
    assert_like_reference("cpu", keys, data, offsets, unit=unit, ngram=ngram)


@pytest.mark.parametrize("place", range(SCANNED - 4, SCANNED + 2))
def test_white_space_across_the_end_of_a_scan_parts_words(place: int) -> None:
    found, _ = keys(*arrow([("a" * place + "\u3000b").encode()]), unit="word", ngram=1, backend="cpu")
    assert found.tolist() == [words_key(b"a" * place), words_key(b"b")]


@given(st.sets(st.binary(min_size=1, max_size=8)))
def test_bytes_that_fit_a_piece_never_share_a_key(grams: set[bytes]) -> None:
    assert len({bytes_key(gram) for gram in grams}) == len(grams)


@pytest.mark.slow
def test_there_are_as_many_keys_as_distinct_ngrams_of_a_large_vocabulary() -> None:
    text = " ".join(f"{i} {i * 7919 % 100_003}" for i in range(100_000)).encode()
    found = keys(*arrow([text]), unit="word", ngram=2, backend="cpu")[0]
    wanted = ngrams.hashes(*arrow([text]), unit="word", ngram=2, backend="cpu")[0]
    words = text.split()
    distinct = len(set(pairwise(words)))
    assert found.size == wanted.size == len(words) - 1
    assert np.unique(found).size == distinct > np.unique(wanted).size


def test_a_chain_depends_on_the_order_and_number_of_its_pieces() -> None:
    assert len({chain(pieces, 2) for pieces in ([1, 2], [2, 1], [1, 2, 0], [1], [3, 0])}) == 5


@pytest.mark.parametrize("backend", BACKENDS)
@given(rows=st.lists(st.binary(max_size=40)))
def test_tokens_are_keyed_whole(backend: BackendName, rows: list[bytes]) -> None:
    assert token_keys(*arrow(rows), backend=backend).tolist() == [bytes_key(row) for row in rows]


def test_unfit_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match="unit must be one of"):
        keys(np.zeros(1, np.uint8), np.array([0, 1]), unit="line")  # type: ignore[arg-type]
