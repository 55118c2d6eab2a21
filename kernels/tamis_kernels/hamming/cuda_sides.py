"""Sides of a Hamming search in CUDA: whole on the device, or on the host as pieces of them go there.

A side is whole on the device where it takes half of what is free at most. Else the CPU sorts and labels it; its pieces are runs of places.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.device import room, to_device, to_host, xp
from tamis_kernels.hamming import cpu
from tamis_kernels.hamming.layout import FOLDED, LENGTH, SHIFT, WORD, Piece, Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Int32s, Int64s, Uint64s

PLACE_BYTES, KEY_BYTES = 100, 24  # of the device that a place takes beside its words while it is sorted and labelled, and a key
i32, u64 = np.int32, np.uint64


@dataclass(slots=True)
class HeldSide:
    """A side of a search: `whole` on the device or, all of it, on the `host`, which knows the rows and keys of its places in any case."""

    hashes: Uint64s
    order: Int32s
    keys: Int32s
    whole: Piece | None = None
    host: Side | None = None
    found: tuple[Uint64s, Int32s] | None = None  # hits of the last count, and their distances

    @classmethod
    def of(cls, hashes: Uint64s, band: Int64s, probes: int, labelled: bool) -> HeldSide:
        """Return a side with the hashes sorted by the band's bits."""
        each = 2 * hashes[:1].nbytes + 8 * probes + PLACE_BYTES
        if len(hashes) * each + (KEY_BYTES << int(band[LENGTH])) <= room() // 2:
            with suppress(MemoryError):
                whole = _sorted(to_device(hashes), band, probes, labelled)
                return cls(hashes, on_host(whole.order), on_host(whole.keys), whole)
        side = cpu.sort_side(hashes, band, probes, labelled)
        return cls(hashes, side.order, side.keys, host=side)

    def label(self, roots: Int64s) -> None:
        """Note the component of each place, and where the next one begins."""
        if self.whole:
            try:
                self.whole = _labelled(self.whole, to_device(roots))
            except MemoryError:
                self.leave()
        if self.host:
            cpu.label(roots, self.host)

    def leave(self) -> bool:
        """Go to the host, for want of memory; return whether the side was not there."""
        if not self.whole:
            return False
        columns, order, keys, starts, labels, beyond = (on_host(array) for array in self.whole[1:7])
        self.host = Side(self.hashes, columns, order, keys, starts, labels, beyond, np.empty(starts.size - 1, np.bool_))
        self.whole = None
        return True

    def piece(self, first: int, last: int) -> Piece:
        """Return a piece on the device with the places from `first` to `last` - 1."""
        if self.whole:
            return self.whole
        assert self.host
        hashes, columns, order, keys, starts, labels, beyond, _ = self.host
        some, low = slice(first, last), int(keys[first])
        begins = np.clip(starts[low : int(keys[last - 1]) + 2] - first, 0, last - first)
        following = np.minimum(beyond[some], last) - first
        arrays = hashes[order[some]], columns[:, some], order[some], keys[some], begins, labels[some], following
        return Piece._make([*(to_device(np.ascontiguousarray(array)) for array in arrays), first, low])


def _sorted(hashes: Any, band: Int64s, probes: int, labelled: bool) -> Piece:
    full = (1 << int(band[LENGTH])) - 1
    keys = (hashes[:, int(band[WORD])] >> u64(band[SHIFT]) & u64(full)).astype(i32)
    if band[FOLDED]:
        keys = xp.minimum(keys, keys ^ i32(full))
    order = xp.argsort(keys, kind="stable")
    keys, hashes = keys[order], hashes[order]
    starts = xp.searchsorted(keys, xp.arange(full + 2)).astype(i32)
    columns = xp.ascontiguousarray(hashes[:, :probes].T)
    labels, beyond = (xp.empty(len(hashes) if labelled else 0, i32) for _ in range(2))
    return Piece(hashes, columns, order.astype(i32), keys, starts, labels, beyond, 0, 0)


def _labelled(whole: Piece, roots: Any) -> Piece:
    labels = roots[whole.order].astype(i32)
    changes = xp.append(xp.flatnonzero(labels[1:] != labels[:-1]) + 1, labels.size)
    beyond = changes[xp.searchsorted(changes, xp.arange(labels.size), side="right")]
    return whole._replace(labels=labels, beyond=beyond.astype(i32))


def on_host(array: Any) -> NDArray[Any]:
    """Return a copy on the host of an array on the device."""
    found = np.empty(array.shape, array.dtype)
    to_host(array, found)
    return found
