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

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tamis_kernels.backend import Backend, BackendName, implementation
from tamis_kernels.jpeg import layout as _the
from tamis_kernels.jpeg.layout import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Sampling = tuple[tuple[int, int], ...]

__all__ = ["FAULTS", "Walk", "walk", "walk_many"]

GROUP_BYTES = 4 << 20


class _Room(threading.local):
    """Memory that a thread's walks use again: to clear new memory took as long as a tenth of the walk."""

    files = np.empty(0, np.uint8)
    planes = np.empty(0, np.uint8)


_ROOM = _Room()
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
        The picture at 1/8 scale, uint8[sum of height · width], component after component, 128 where it is lost.
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
    values: NDArray[np.uint8]

    @property
    def planes(self) -> tuple[NDArray[np.uint8], ...]:
        """The picture at 1/8 scale, uint8[height, width] per component."""
        ends = np.cumsum([height * width for height, width in self.sides]).tolist()
        return tuple(self.values[end - side[0] * side[1] : end].reshape(side) for end, side in zip(ends, self.sides, strict=True))

    @property
    def luma(self) -> NDArray[np.uint8] | None:
        """The grey picture at 1/8 scale; None where there is none, or where the first component is not sampled the most finely."""
        if not self.sides or not _first_is_finest(self.sampling):
            return None
        height, width = self.sides[0]
        return self.values[: height * width].reshape(height, width)

    @property
    def chroma(self) -> NDArray[np.uint8] | None:
        """The values of the second and third of three components at 1/8 scale; None where there are not three.

        Of YCbCr, which nearly every file of three components is, they are Cb and Cr: all 128 where a grey picture is stored in colour.
        """
        return self.values[self.sides[0][0] * self.sides[0][1] :] if len(self.sides) == 3 else None


def walk(data: bytes, *, backend: BackendName | Backend = "auto") -> Walk:
    """Walk one file; see `walk_many`, which is faster for two and more."""
    return walk_many([data], backend=backend)[0]


def walk_many(files: Sequence[bytes | memoryview], *, backend: BackendName | Backend = "auto") -> list[Walk]:
    """Walk files on one thread, which holds no lock: threads may walk side by side.

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
    walks: list[Walk] = []
    module = implementation("jpeg", backend)
    most = getattr(module, "GROUP_BYTES", GROUP_BYTES)
    for group in grouped(files, most):
        offsets = np.concatenate([[0], np.cumsum([len(file) for file in group])]).astype(np.int64)
        buffer, planes = _room(int(offsets[-1]), most)
        for file, start, stop in zip(group, offsets[:-1], offsets[1:], strict=True):
            buffer[start:stop] = np.frombuffer(file, np.uint8)
        facts = np.zeros((len(group), _the.FACTS), np.int64)
        module.walk_files(buffer[: offsets[-1]], offsets, facts, planes)
        walks += [walk_of(row, planes[4 * start :]) for row, start in zip(facts.tolist(), offsets[:-1].tolist(), strict=True)]
    return walks


def _room(size: int, most: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return room for files of so many bytes and for their pictures; the thread keeps it unless it is large."""
    if size <= _ROOM.files.size:
        return _ROOM.files, _ROOM.planes
    room = np.empty(max(size, most), np.uint8), np.empty(4 * max(size, most), np.uint8)  # a block has two bits at least
    if len(room[0]) <= GROUP_BYTES:
        _ROOM.files, _ROOM.planes = room
    return room


def grouped(files: Sequence[bytes | memoryview], most: int) -> Iterator[list[bytes | memoryview]]:
    """Part files into groups that fit into the room."""
    group: list[bytes | memoryview] = []
    size = 0
    for file in files:
        if group and size + len(file) > most:
            yield group
            group, size = [], 0
        group.append(file)
        size += len(file)
    if group:
        yield group


def walk_of(row: list[int], planes: NDArray[np.uint8] | None) -> Walk:
    """Return what a row of facts tells, and the planes where they are given."""
    sides = _pairs(*row[_the.SIDES : _the.SAMPLING]) if row[_the.MCUS] and planes is not None else ()
    return Walk(
        fault=FAULTS[row[_the.FAULT]],
        place=row[_the.PLACE],
        mcu=row[_the.MCU] if row[_the.FAULT] else -1,
        mcus=row[_the.MCUS],
        bad_mcus=row[_the.BAD],
        width=row[_the.WIDTH],
        height=row[_the.HEIGHT],
        components=row[_the.COMPONENTS],
        sampling=_factors(*row[_the.SAMPLING : _the.SAMPLING + 4]),
        scan=row[_the.SCAN],
        end=row[_the.END],
        junk=row[_the.JUNK],
        junk_at=row[_the.JUNK_AT],
        interval=row[_the.INTERVAL],
        zero_pads=row[_the.ZERO_PADS],
        sides=sides,
        values=_NO_VALUES if planes is None else planes[: sum([height * width for height, width in sides])].copy(),
    )


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
