"""N-gram hashes in plain Python: the definition of right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis_kernels.types import Bools, Int64s, Uint8s, Uint32s

CHARACTER = re.compile(
    rb"[\xC0-\xDF][\x80-\xBF]?|[\xE0-\xEF][\x80-\xBF]{0,2}|[\xF0-\xF7][\x80-\xBF]{0,3}|.",
    re.DOTALL,
)
WHITE_SPACE = re.compile(rb"(?:[\t-\r ]|\xC2[\x85\xA0]|\xE1\x9A\x80|\xE2\x80[\x80-\x8A\xA8\xA9\xAF]|\xE2\x81\x9F|\xE3\x80\x80)+")

PRIME1, PRIME2, PRIME3, PRIME4, PRIME5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
MASK = 0xFFFFFFFF


def count(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, out: Int64s) -> None:
    """Write the number of n-grams of each row into `out`."""
    for row in range(out.size):
        out[row] = len(row_ngrams(data, offsets, validity, unit, ngram, row))


def hashes(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, row_offsets: Int64s, out: Uint32s) -> None:
    """Write the hash of each n-gram of row i into `out[row_offsets[i]:row_offsets[i + 1]]`."""
    for row in range(offsets.size - 1):
        grams = row_ngrams(data, offsets, validity, unit, ngram, row)
        out[row_offsets[row] : row_offsets[row + 1]] = [xxh32(gram) for gram in grams]


def row_ngrams(data: Uint8s, offsets: Int64s, validity: Bools, unit: int, ngram: int, row: int) -> list[bytes]:
    """Return the n-grams of one row as bytes; none for a null."""
    return ngrams(data[offsets[row] : offsets[row + 1]].tobytes(), unit, ngram) if validity[row] else []


def ngrams(text: bytes, unit: int, ngram: int) -> list[bytes]:
    """Return the n-grams of one text as bytes."""
    units, joint = [(_bytes(text), b""), (CHARACTER.findall(text), b""), (_words(text), b" ")][unit]
    if not units:
        return []
    return [joint.join(units[i : i + ngram]) for i in range(max(1, len(units) - ngram + 1))]


def xxh32(key: bytes) -> int:
    """Return xxHash32 of the key with seed 0."""
    position = 0
    if len(key) >= 16:
        lanes = [(PRIME1 + PRIME2) & MASK, PRIME2, 0, -PRIME1 & MASK]
        while position + 16 <= len(key):
            for lane in range(4):
                word = int.from_bytes(key[position : position + 4], "little")
                lanes[lane] = _rotate(lanes[lane] + word * PRIME2, 13) * PRIME1 & MASK
                position += 4
        value = sum(_rotate(lane, turn) for lane, turn in zip(lanes, (1, 7, 12, 18), strict=True))
    else:
        value = PRIME5
    value = (value + len(key)) & MASK
    while position + 4 <= len(key):
        word = int.from_bytes(key[position : position + 4], "little")
        value = _rotate(value + word * PRIME3, 17) * PRIME4 & MASK
        position += 4
    for byte in key[position:]:
        value = _rotate(value + byte * PRIME5, 11) * PRIME1 & MASK
    value = (value ^ value >> 15) * PRIME2 & MASK
    value = (value ^ value >> 13) * PRIME3 & MASK
    return value ^ value >> 16


def _rotate(value: int, turn: int) -> int:
    value &= MASK
    return (value << turn | value >> (32 - turn)) & MASK


def _bytes(text: bytes) -> list[bytes]:
    return [text[i : i + 1] for i in range(len(text))]


def _words(text: bytes) -> list[bytes]:
    return [word for word in WHITE_SPACE.split(text) if word]
