"""A JPEG made of nothing but chance, for machines that have no encoder: what `tamis_kernels.measure` walks.

Coefficients fall off with their frequency as those of photos do, three components at 4:2:0. There are as many codes of each length as
in the standard's tables, and the symbols are in the order of their size: the walk has as much to do as with a photo of as many bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tamis_kernels.types import Int64s

DC_COUNTS = (0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
AC_COUNTS = (0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125)
DC_SYMBOLS = tuple(range(12))
END, SIXTEEN_ZEROS = 0x00, 0xF0
_CODED = (SIXTEEN_ZEROS, *(run << 4 | size for run in range(16) for size in range(1, 11)))
AC_SYMBOLS = (END, *sorted(_CODED, key=lambda one: (one >> 4) + 2 * (one & 15)))
PARTS = (0, 0, 0, 0, 1, 2)
"""The component of each block of a unit of 16 x 16 pixels."""
DC_SPREAD, AC_SPREAD = 30.0, 4.0


def photo(random: np.random.Generator, height: int, width: int) -> bytes:
    """Return a whole baseline JPEG of that many pixels."""
    units = -(-height // 16) * -(-width // 16)
    spread = np.where(np.arange(64), AC_SPREAD / (1 + np.arange(64)), DC_SPREAD)
    blocks = np.rint(random.laplace(0, spread, (units, len(PARTS), 64))).astype(np.int64)
    blocks[..., 0] = blocks[..., 0].clip(-250, 250)
    blocks[..., 1:] = blocks[..., 1:].clip(-250, 250)
    bits = "".join(_words(blocks))
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    sides = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return b"".join((
        b"\xff\xd8",
        _segment(0xDB, bytes([0, *[4] * 64])),
        _segment(0xC0, b"\x08" + sides + bytes([3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0])),
        _segment(0xC4, bytes([0x00, *DC_COUNTS, *DC_SYMBOLS])),
        _segment(0xC4, bytes([0x10, *AC_COUNTS, *AC_SYMBOLS])),
        _segment(0xDA, bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])),
        scan,
        b"\xff\xd9",
    ))  # fmt: skip


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def _words(units: Int64s) -> Iterator[str]:
    """Yield the codes of all blocks, as digits of 0 and 1."""
    dc, ac = _codes(DC_COUNTS, DC_SYMBOLS), _codes(AC_COUNTS, AC_SYMBOLS)
    before = [0, 0, 0]
    for unit in units.tolist():
        for part, block in zip(PARTS, unit, strict=True):
            difference, before[part] = block[0] - before[part], block[0]
            yield dc[abs(difference).bit_length()] + _digits(difference)
            run = 0
            last = max((place for place in range(1, 64) if block[place]), default=0)
            for value in block[1 : last + 1]:
                if not value:
                    run += 1
                    continue
                yield ac[SIXTEEN_ZEROS] * (run // 16) + ac[run % 16 << 4 | abs(value).bit_length()] + _digits(value)
                run = 0
            if last < 63:
                yield ac[END]


def _digits(value: int) -> str:
    size = abs(value).bit_length()
    return f"{value if value > 0 else value + (1 << size) - 1:0{size}b}" if size else ""


def _codes(counts: Sequence[int], symbols: Sequence[int]) -> dict[int, str]:
    """Return the code of each symbol, given how many have each length."""
    codes: dict[int, str] = {}
    waiting, code = iter(symbols), 0
    for length, many in enumerate(counts, 1):
        for _ in range(many):
            codes[next(waiting)] = f"{code:0{length}b}"
            code += 1
        code <<= 1
    return codes
