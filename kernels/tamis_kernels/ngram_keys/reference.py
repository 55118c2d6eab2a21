"""Keys of n-grams in plain Python: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis_kernels.ngrams.reference import row_ngrams

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint64s

WORD = 2
MULTIPLIER = 0xD6E8FEB86659FD93
MASK = 0xFFFFFFFFFFFFFFFF


def keys(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, row_offsets: Int64s, out: Uint64s) -> None:
    """Write the key of each n-gram of row i into `out[row_offsets[i]:row_offsets[i + 1]]`."""
    for row in range(offsets.size - 1):
        out[row_offsets[row] : row_offsets[row + 1]] = row_keys(data, offsets, validity, unit, ngram, row)


def token_keys(data: Uint8s, offsets: Int64s, out: Uint64s) -> None:
    """Write the key of each text as a whole."""
    for row in range(out.size):
        out[row] = bytes_key(data[offsets[row] : offsets[row + 1]].tobytes())


def row_keys(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, row: int) -> list[int]:
    """Return the keys of one row's n-grams; none for a null."""
    grams = row_ngrams(data, offsets, validity, unit, ngram, row)
    return [words_key(gram) if unit == WORD else bytes_key(gram) for gram in grams]


def words_key(gram: bytes) -> int:
    """Return the key of words joined by one space."""
    words = gram.split(b" ")
    return chain((bytes_key(word) for word in words), len(words))


def bytes_key(gram: bytes) -> int:
    """Return the key of bytes."""
    return chain((int.from_bytes(gram[at : at + 8], "little") for at in range(0, len(gram), 8)), len(gram))


def chain(pieces: Iterable[int], size: int) -> int:
    """Return one key for a sequence of pieces."""
    key = size
    for piece in pieces:
        key = (key ^ piece) * MULTIPLIER & MASK
        key ^= key >> 32
    return key
