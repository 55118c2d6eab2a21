"""The JPEG walker: every Huffman symbol of a file passed and checked, and only the DC terms kept, which are the picture at 1/8 scale.

Baseline and extended sequential Huffman coding (ITU-T T.81), 8 bits, one to four components, any sampling, restart markers, one or more
scans. What the standard demands is checked: segments and tables, every code, at most 64 coefficients a block, DC terms that 8-bit samples
can have, as many MCUs as the frame declares, the order of restart markers, nothing left over behind the last block but padding of 1 bits,
and the end marker. Two things are judged beyond it: an entry of a quantisation table that is far from all its neighbours, and a seam from
which on all levels are shifted, which damage leaves that is legal syntax (`seam.py`). Scans with restart markers are not tested for seams.
The 1/8 picture of the first component is bit for bit that of libjpeg's grey output at scale 1/8.

Whatever the bytes are, a walk ends with a verdict: it raises nothing, reads nothing outside of them and takes memory in proportion to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.backend import Backend, BackendName, implementation
from tamis_kernels.jpeg import layout as _the
from tamis_kernels.jpeg.layout import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["FAULTS", "Walk", "walk", "walk_many"]

GROUP_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Walk:
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
    planes
        The picture at 1/8 scale, uint8[height, width] per component, 128 where it is lost; empty where no frame was understood.
    """

    fault: str
    place: int
    mcu: int
    mcus: int
    bad_mcus: int
    width: int
    height: int
    components: int
    sampling: tuple[tuple[int, int], ...]
    scan: int
    end: int
    junk: int
    junk_at: int
    interval: int
    zero_pads: int
    planes: tuple[NDArray[np.uint8], ...]

    @property
    def luma(self) -> NDArray[np.uint8] | None:
        """The grey picture at 1/8 scale; None where there is none, or where the first component is not sampled the most finely."""
        finest = self.sampling and self.sampling[0] == tuple(map(max, zip(*self.sampling, strict=True)))
        return self.planes[0] if self.planes and finest else None

    @property
    def chroma(self) -> tuple[NDArray[np.uint8], ...]:
        """The second and third of three components at 1/8 scale, each in its own sampling; empty where there are not three.

        Of YCbCr, which nearly every file of three components is, they are Cb and Cr: all 128 where a grey picture is stored in colour.
        """
        return self.planes[1:] if len(self.planes) == 3 else ()


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
    buffer, planes = np.empty(0, np.uint8), np.empty(0, np.uint8)
    most = getattr(module, "GROUP_BYTES", GROUP_BYTES)
    for group in grouped(files, most):
        offsets = np.concatenate([[0], np.cumsum([len(file) for file in group])]).astype(np.int64)
        if offsets[-1] > buffer.size:
            buffer = np.empty(max(offsets[-1], most), np.uint8)
            planes = np.empty(4 * buffer.size, np.uint8)  # two bits a block at least, so four blocks a byte at most
        for file, start, stop in zip(group, offsets[:-1], offsets[1:], strict=True):
            buffer[start:stop] = np.frombuffer(file, np.uint8)
        facts = np.zeros((len(group), _the.FACTS), np.int64)
        module.walk_files(buffer[: offsets[-1]], offsets, facts, planes)
        walks += [walk_of(row, planes[4 * start :]) for row, start in zip(facts.tolist(), offsets[:-1].tolist(), strict=True)]
    return walks


def grouped(files: Sequence[bytes | memoryview], most: int) -> Iterator[list[bytes | memoryview]]:
    """Part files into groups that fit into a buffer, which is used again: fresh memory for 300 photos took a fifth of the time."""
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
    sides = [(row[_the.SIDES + 2 * i], row[_the.SIDES + 2 * i + 1]) for i in range(4)]
    pictures, begin = [], 0
    for height, width in sides if row[_the.MCUS] > 0 else ():
        if height and planes is not None:
            pictures.append(planes[begin : begin + height * width].reshape(height, width).copy())
            begin += height * width
    return Walk(
        fault=FAULTS[row[_the.FAULT]],
        place=row[_the.PLACE],
        mcu=row[_the.MCU] if row[_the.FAULT] else -1,
        mcus=row[_the.MCUS],
        bad_mcus=row[_the.BAD],
        width=row[_the.WIDTH],
        height=row[_the.HEIGHT],
        components=row[_the.COMPONENTS],
        sampling=tuple((one >> 4, one & 15) for one in row[_the.SAMPLING : _the.SAMPLING + 4] if one),
        scan=row[_the.SCAN],
        end=row[_the.END],
        junk=row[_the.JUNK],
        junk_at=row[_the.JUNK_AT],
        interval=row[_the.INTERVAL],
        zero_pads=row[_the.ZERO_PADS],
        planes=tuple(pictures),
    )
