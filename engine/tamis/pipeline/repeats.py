"""Which of very many keys may be there more than once: all that are, and few others.

Two Bloom filters whose bits of a key lie in one word, so that a key costs one access to memory (F. Putze, P. Sanders, J. Singler, Cache-,
hash- and space-efficient Bloom filters, 2007). A key that the first one seems to know already, be it there or not, is put into the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Bools, Uint64s

BITS = 4  # a key, at least: of those that are there once, one in twenty at most is taken for repeated
MOST_WORDS = 1 << 21
u64 = np.uint64
SEEN, AGAIN = u64(18), u64(36)  # bits of a key that are passed over before those that tell its word


class Repeats:
    """Keys on their way past: all are added before any is asked for.

    Parameters
    ----------
    records
        About how many keys there will be.

    Attributes
    ----------
    found
        Keys that seemed to have come before.
    """

    def __init__(self, records: int) -> None:
        words = min(1 << (BITS * records // 64).bit_length(), MOST_WORDS)
        self._seen, self._again = np.zeros(words, u64), np.zeros(max(1, words // 4), u64)
        self.found = 0

    def add(self, keys: Uint64s) -> None:
        """Take note of keys, which are hashes."""
        self.found += _add(keys, self._seen, self._again)

    def among(self, keys: Uint64s) -> Bools:
        """Return which keys may have been added more than once."""
        out = np.empty(keys.size, np.bool_)
        _among(keys, self._again, out)
        return out


@njit(cache=True, nogil=True)
def _place(key: np.uint64, skipped: np.uint64, words: int) -> tuple[np.uint64, np.uint64]:
    """Return a key's word, and its bits there."""
    bits = (u64(1) << (key & u64(63))) | (u64(1) << ((key >> u64(6)) & u64(63))) | (u64(1) << ((key >> u64(12)) & u64(63)))
    return (key >> skipped) & u64(words - 1), bits


@njit(cache=True, nogil=True)
def _add(keys: Uint64s, seen: Uint64s, again: Uint64s) -> int:
    found = 0
    for key in keys:
        word, bits = _place(key, SEEN, seen.size)
        if seen[word] & bits != bits:
            seen[word] |= bits
            continue
        found += 1
        word, bits = _place(key, AGAIN, again.size)
        again[word] |= bits
    return found


@njit(cache=True, nogil=True)
def _among(keys: Uint64s, again: Uint64s, out: NDArray[np.bool_]) -> None:
    for i in range(keys.size):
        word, bits = _place(keys[i], AGAIN, again.size)
        out[i] = again[word] & bits == bits
