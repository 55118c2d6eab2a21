"""Band keys in plain Python: the definition of right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamis_kernels.types import Uint32s, Uint64s

MASK = 0xFFFFFFFFFFFFFFFF


def keys(signatures: Uint32s, rows: int, out: Uint64s) -> None:
    """Write the key of each band of `rows` slots into `out`."""
    for i, signature in enumerate(signatures.tolist()):
        for band in range(out.shape[1]):
            key = splitmix64(band)
            for slot in signature[band * rows : (band + 1) * rows]:
                key = splitmix64(key ^ slot)
            out[i, band] = key


def splitmix64(value: int) -> int:
    """Return the output that splitmix64 gives for a state."""
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31
