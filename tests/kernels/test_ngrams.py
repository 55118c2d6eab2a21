"""N-gram hashes: equal to xxHash32 of the n-grams on every backend, for any bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, COMPILED, assert_like_reference, at_most
from tamis_kernels import ArgumentError
from tamis_kernels.ngrams import Unit, hashes
from tamis_kernels.ngrams.cpu import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName

UNITS: tuple[Unit, ...] = get_args(Unit)
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"
TRICKY = [
    b"",
    b"a",
    b"abcd",
    b"abcde",
    b" ",
    b"  one  two\tthree\nfour ",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich".encode(),
    f"{WHITE_SPACE.join('äbç')}{WHITE_SPACE}".encode(),
    "日本語 のテキスト\u3000です 🎉🎉 x".encode(),
    b"\x80\x80\xbf",
    b"\xf0\x80\x80\x80\x80\x80",
    b"\xe2\x80",
    b"\xc2",
    b"\xf0\x9f\x8e",
    b"\xf8\xff\xfe\xc3(\xe3\x80",
    b"\xc3\xa9\xa9\xa9 \xe2\x80\xffx",
    b"\0\0\0\0\0\0",
    bytes(range(256)) * 9,
    b"word " * 700,
    "é".encode() * 2100,
]

texts = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=40).map(str.encode),
        st.text(alphabet="ab" + WHITE_SPACE, max_size=40).map(str.encode),
    ),
    max_size=6,
)


def buffers(rows: Sequence[bytes], lead: bytes = b"") -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    offsets = np.cumsum([len(lead), *map(len, rows)])
    return np.frombuffer(lead + b"".join(rows) + b"after", np.uint8), offsets


def expected(text: str, unit: Unit, ngram: int) -> list[int]:
    """Return the hashes of valid UTF-8 by way of Python strings: an independent definition."""
    raw = text.encode()
    units = {
        "byte": [raw[i : i + 1] for i in range(len(raw))],
        "char": [character.encode() for character in text],
        "word": [word.encode() for word in "".join(c if c not in "\x1c\x1d\x1e\x1f" else "_" for c in text).split()],
    }[unit]
    joint = b" " if unit == "word" else b""
    starts = range(max(1, len(units) - ngram + 1)) if units else range(0)
    return [xxhash.xxh32_intdigest(joint.join(units[i : i + ngram])) for i in starts]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("unit", UNITS)
@given(rows=st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x1c\x1d\x1e\x1f"), max_size=40)),
       ngram=st.integers(1, 9))  # fmt: skip
def test_hashes_are_xxh32_of_the_ngrams_of_a_python_string(backend: BackendName, unit: Unit, rows: list[str], ngram: int) -> None:
    data, offsets = buffers([row.encode() for row in rows])
    found, row_offsets = hashes(data, offsets, unit=unit, ngram=ngram, backend=backend)
    per_row = [found[row_offsets[i] : row_offsets[i + 1]].tolist() for i in range(len(rows))]
    assert per_row == [expected(row, unit, ngram) for row in rows]


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("unit", UNITS)
@given(rows=texts, ngram=st.integers(1, 40), lead=st.binary(max_size=3), chance=st.randoms(use_true_random=False))
def test_hashes_equal_the_reference_on_any_bytes(
    backend: BackendName, unit: Unit, rows: list[bytes], ngram: int, lead: bytes, chance: Any
) -> None:
    data, offsets = buffers(rows, lead)
    validity = np.array([chance.random() < 0.8 for _ in rows], np.bool_)
    assert_like_reference(backend, hashes, data, offsets, validity=validity, unit=unit, ngram=ngram)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("ngram", [1, 2, 5, 15, 16, 17, 24, 33, pytest.param(1500, marks=pytest.mark.slow)])
def test_hashes_equal_the_reference_on_tricky_texts(backend: BackendName, unit: Unit, ngram: int) -> None:
    data, offsets = buffers([text[: at_most(len(text), 90)] for text in TRICKY], b"\xe2\x80")
    want, want_offsets = hashes(data, offsets, unit=unit, ngram=ngram, backend="reference")
    found, found_offsets = hashes(data, offsets.astype(np.int32), unit=unit, ngram=ngram, backend=backend)
    np.testing.assert_array_equal(found_offsets, want_offsets)
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("unit", UNITS)
def test_texts_are_told_apart_wherever_a_block_of_threads_ends(texts_at_block_ends: list[bytes], backend: BackendName, unit: Unit) -> None:
    data, offsets = buffers(texts_at_block_ends)
    assert_like_reference(backend, hashes, data, offsets, unit=unit, ngram=3)


@pytest.mark.parametrize(("unit", "one"), [("byte", "a"), ("char", "é"), ("word", " a")])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_texts_that_end_with_a_block_of_ngrams(unit: Unit, one: str, more: int) -> None:
    data, offsets = buffers([one.encode() * (BLOCK + 5 - 1 + more)])
    assert_like_reference("cpu", hashes, data, offsets, unit=unit, ngram=5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("length", [*range(40), 63, 64, 65])
def test_a_short_text_is_one_ngram_hashed_by_xxh32(backend: BackendName, length: int) -> None:
    text = bytes(range(7, 7 + length))
    found, _ = hashes(*buffers([text]), ngram=100, backend=backend)
    assert found.tolist() == ([xxhash.xxh32_intdigest(text)] if length else [])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_broken_character_ends_where_its_continuation_bytes_do(backend: BackendName) -> None:
    found, _ = hashes(*buffers([b"\xa9\xe3\x80A\xc3\xa9\xa9\xff"]), unit="char", ngram=1, backend=backend)
    characters = [b"\xa9", b"\xe3\x80", b"A", b"\xc3\xa9", b"\xa9", b"\xff"]
    assert found.tolist() == [xxhash.xxh32_intdigest(character) for character in characters]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_row_never_reads_into_the_next(backend: BackendName) -> None:
    data = np.frombuffer(b"\xe3\x80\x80x", np.uint8)
    found, row_offsets = hashes(data, np.array([0, 2, 4]), unit="word", ngram=1, backend=backend)
    assert found.tolist() == [xxhash.xxh32_intdigest(b"\xe3\x80"), xxhash.xxh32_intdigest(b"\x80x")]
    assert row_offsets.tolist() == [0, 1, 2]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("unit", UNITS)
def test_null_empty_and_missing_rows_have_no_ngrams(backend: BackendName, unit: Unit) -> None:
    data, offsets = buffers([b"some text", b""])
    found, row_offsets = hashes(data, offsets, validity=np.array([False, True]), unit=unit, backend=backend)
    assert (found.size, row_offsets.tolist()) == (0, [0, 0, 0])
    found, row_offsets = hashes(data, offsets[:1], unit=unit, backend=backend)
    assert (found.size, row_offsets.tolist()) == (0, [0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": "line"}, "unit must be one of byte, char, word, got 'line'"),
        ({"ngram": 0}, "ngram .* got 0"),
        ({"ngram": True}, "ngram .* got True"),
        ({"data": np.zeros(3, np.int8)}, "data must be uint8"),
        ({"offsets": np.array([0, 9])}, "at most 3"),
        ({"offsets": np.array([-1, 2])}, "offsets must rise"),
        ({"offsets": np.array([2, 1])}, "offsets must rise"),
        ({"offsets": np.array([], np.int64)}, "offsets must rise .* got none"),
        ({"offsets": np.array([0.0, 1.0])}, "offsets must be int32 or int64"),
        ({"validity": np.array([True, True])}, r"validity must be bool of shape \(1,\)"),
        ({"validity": np.array([1], np.uint8)}, r"validity must be bool of shape \(1,\)"),
        ({"backend": "gpu"}, "backend must be one of"),
    ],
)
def test_unfit_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    arguments = {"data": np.zeros(3, np.uint8), "offsets": np.array([0, 3])} | change
    with pytest.raises(ArgumentError, match=message):
        hashes(arguments.pop("data"), arguments.pop("offsets"), **arguments)
