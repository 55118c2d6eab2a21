"""The JPEG walker: every Huffman symbol of a file passed and checked, and only the DC terms kept, which are the picture at 1/8 scale.

Baseline and extended sequential Huffman coding (ITU-T T.81), 8 bits, one to four components, any sampling, restart markers, one or more
scans. What the standard demands is checked: segments and tables, every code, at most 64 coefficients a block, DC terms that 8-bit samples
can have, as many MCUs as the frame declares, the order of restart markers, nothing left over behind the last block but padding of 1 bits,
and the end marker. Two things are judged beyond it: an entry of a quantisation table that is far from all its neighbours, and a seam from
which on all levels are shifted to the end of the restart interval, which damage leaves that is legal syntax (`seam.py`).
The 1/8 picture of the first component is bit for bit that of libjpeg's grey output at scale 1/8.

Whatever the bytes are, a walk ends with a verdict: it raises nothing, reads nothing outside of them and takes memory in proportion to them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tamis_kernels.backend import implementation
from tamis_kernels.jpeg import layout as _the
from tamis_kernels.jpeg.layout import FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Int64s, Uint8s

    Sampling = tuple[tuple[int, int], ...]

__all__ = ["FAULTS", "Walk", "walk", "walk_many"]

_NO_VALUES = np.empty(0, np.uint8)


class Walk(NamedTuple):
    """What a walk over one file found.

    Attributes
    ----------
    fault
        The first thing that was wrong, one of `FAULTS`: `none` where nothing was, `unsupported` where the file is of a kind that this
        walk does not know (progressive, arithmetic, lossless, 12 bits, height given later).
    place
        Byte at which the fault was noticed: of a symbol, its first; of `dc_range`, where the restart interval begins; of
        `odd_quantisation_table`, the entry; of `seam`, where the shift begins. These two are told where nothing else is wrong.
    mcu
        Number of the first bad MCU over all scans, or of the MCU behind the end of an interval; -1 where the fault is not in a scan.
    mcus, bad_mcus
        How many MCUs the scans declare, and how many of them are lost: those from a fault to the end of its restart interval.
    width, height, components
        As the frame declares; 0 where there is none.
    sampling
        Horizontal and vertical sampling factor of each component.
    scan, end
        Where the first scan's data begin, and where the byte behind the end marker is; 0 where there is none.
    junk, junk_at
        Bytes between segments that belong to none, and where the first of them is.
    interval
        MCUs between restart markers; 0 where there are none.
    zero_pads
        How many restart intervals are padded with 0 bits in place of 1 bits, as some encoders do.
    sides
        Height and width of each component at 1/8 scale; empty where no frame was understood.
    values
        The picture at 1/8 scale, uint8[sum of height · width], component after component, 128 where it is lost. From CUDA come parts of
        one array for many files.
    """

    fault: str
    place: int
    mcu: int
    mcus: int
    bad_mcus: int
    width: int
    height: int
    components: int
    sampling: Sampling
    scan: int
    end: int
    junk: int
    junk_at: int
    interval: int
    zero_pads: int
    sides: Sampling
    values: Uint8s

    @property
    def planes(self) -> tuple[Uint8s, ...]:
        """The picture at 1/8 scale, uint8[height, width] per component."""
        ends = np.cumsum([height * width for height, width in self.sides]).tolist()
        return tuple(self.values[end - side[0] * side[1] : end].reshape(side) for end, side in zip(ends, self.sides, strict=True))

    @property
    def first_is_finest(self) -> bool:
        """Whether no component is sampled more finely than the first: only then it may be a grey picture of the full size."""
        return bool(self.sampling) and _first_is_finest(self.sampling)

    @property
    def luma(self) -> Uint8s | None:
        """The grey picture at 1/8 scale; None where there is none, or where the first component is not sampled the most finely."""
        if not self.sides or not self.first_is_finest:
            return None
        height, width = self.sides[0]
        return self.values[: height * width].reshape(height, width)

    @property
    def chroma(self) -> Uint8s | None:
        """The values of the second and third of three components at 1/8 scale; None where there are not three.

        Of YCbCr, which nearly every file of three components is, they are Cb and Cr: all 128 where a grey picture is stored in colour.
        """
        return self.values[self.sides[0][0] * self.sides[0][1] :] if len(self.sides) == 3 else None


def walk(data: bytes, *, backend: AnyBackend = "auto") -> Walk:
    """Walk one file; see `walk_many`, which is faster for two and more."""
    return walk_many([data], backend=backend)[0]


def walk_many(files: Sequence[bytes | memoryview], *, backend: AnyBackend = "auto") -> list[Walk]:
    """Walk files; on the CPU on one thread, which holds no lock: threads may walk side by side.

    Parameters
    ----------
    files
        The whole content of each; anything that is no JPEG gets the fault `not_jpeg`.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    walks
        One for each file, in their order.
    """
    module = implementation("jpeg", backend, sum(map(len, files)))
    walks: list[Any] = [None] * len(files)

    def walk_some(first: int, last: int) -> None:
        facts = np.zeros((last - first, _the.FACTS), np.int64)
        pictures = module.walk_group(files[first:last], facts)
        walks[first:last] = walks_of(facts, pictures)

    module.in_groups(walk_some, files)
    return walks


def walks_of(facts: Int64s, pictures: Sequence[Uint8s] | None = None) -> list[Walk]:
    """Return what rows of facts tell, with the pictures where they are given."""
    column = facts.T.tolist()
    rows = zip(
        map(FAULTS.__getitem__, column[_the.FAULT]),
        column[_the.PLACE],
        [mcu if fault else -1 for fault, mcu in zip(column[_the.FAULT], column[_the.MCU], strict=True)],
        column[_the.MCUS],
        column[_the.BAD],
        column[_the.WIDTH],
        column[_the.HEIGHT],
        column[_the.COMPONENTS],
        map(_factors, *column[_the.SAMPLING : _the.SAMPLING + 4]),
        column[_the.SCAN],
        column[_the.END],
        column[_the.JUNK],
        column[_the.JUNK_AT],
        column[_the.INTERVAL],
        column[_the.ZERO_PADS],
        repeat(()) if pictures is None else sides_of(column),
        repeat(_NO_VALUES) if pictures is None else pictures,
        strict=False,
    )
    return [*map(Walk._make, rows)]


def sides_of(column: Sequence[Sequence[int]]) -> list[Sampling]:
    """Return height and width of each component's picture, of each file, by the columns of facts; none where no frame was understood."""
    sides = zip(*column[_the.SIDES : _the.SAMPLING], strict=True)
    return [_pairs(*some) if mcus else () for some, mcus in zip(sides, column[_the.MCUS], strict=True)]


@lru_cache(1024)  # photos have few sizes
def _pairs(*numbers: int) -> Sampling:
    """Return heights and widths of those components that there are."""
    return tuple(pair for pair in zip(numbers[::2], numbers[1::2], strict=True) if pair[0])


@lru_cache(1024)
def _factors(*sampling: int) -> Sampling:
    return tuple((one >> 4, one & 15) for one in sampling if one)


@lru_cache(1024)
def _first_is_finest(sampling: Sampling) -> bool:
    return sampling[0] == tuple(map(max, zip(*sampling, strict=True)))
