"""Long files walked by a block of threads together: the same of every file as a thread alone tells, whatever the pieces are."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import at_most
from damage import HELD_OUT, KINDS, damaged, photo
from jpegs import FAULTY, ODD, changed, codes, drawn, in_scans, made, picture, pictures, told
from tamis_kernels import jpeg, photos
from tamis_kernels.compiled import simulated
from tamis_kernels.jpeg.lane import AT, BIT, END_BIT
from tamis_kernels.jpeg.tables import MOST_BITS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.gpu

BYTE = 8


@contextmanager
def together(**limits: int) -> Iterator[list[int]]:
    """Set limits of who is walked by a block, and note how many blocks are launched each time."""
    module: Any = import_module("tamis_kernels.jpeg.cuda")
    launched: list[int] = []

    def launch_blocks(kernel: Any, blocks: int, threads: int, *arguments: Any) -> None:
        if kernel is module.walk_together:  # behind which the same blocks walk by intervals
            launched.append(blocks)
        launching(kernel, blocks, threads, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        launching = module.launch_blocks
        for name, value in {"launch_blocks": launch_blocks, **limits}.items():
            patch.setattr(module, name, value)
        yield launched


def walked_together(files: list[bytes], piece: int) -> list[jpeg.Walk]:
    """Walk all files by blocks, whose threads take pieces of so many bits."""
    with together(LEAST=1, SHARE=1 << 40, PIECES_TAKE=0, PIECE=piece):
        return jpeg.walk_many(files, backend="cuda")


def walked_apart(files: list[bytes]) -> list[jpeg.Walk]:
    """Walk all files by blocks, whose threads take restart intervals where there are some."""
    with together(LEAST=1, SHARE=1 << 40, PIECES_TAKE=1 << 40, PIECE=40 * BYTE):
        return jpeg.walk_many(files, backend="cuda")


@cache
def by_cpu(files: tuple[bytes, ...]) -> list[list[object]]:
    """Return what the CPU tells of files, which several tests ask for."""
    return [*map(told, jpeg.walk_many(files, backend="cpu"))]


def same(found: list[jpeg.Walk], files: list[bytes]) -> bool:
    return [*map(told, found)] == by_cpu(tuple(files))


@pytest.mark.parametrize("piece", [7, 5 * BYTE, 40 * BYTE, 512 * BYTE], ids="{} bits".format)
def test_whole_files_of_every_kind(piece: int) -> None:
    files = list(pictures()[piece % 2 :: 38])
    with together() as blocks:
        assert same(walked_together(files, piece), files)
    assert sum(blocks) == len(files)


@cache
def noise(mode: str = "RGB", subsampling: int = 0, restart: int = 0) -> bytes:
    return picture(64 if simulated() else 96, 80, mode, 90, subsampling, restart)


@pytest.mark.parametrize("piece", [pytest.param(24 * BYTE, marks=pytest.mark.slow), 100 * BYTE], ids="{} bits".format)
@pytest.mark.parametrize("kind", [*KINDS, *HELD_OUT])
def test_damage_of_every_kind(kind: str, piece: int) -> None:
    files = [
        damaged(kind, photo(noise("RGB", 2, restart)), photo(noise("RGB", 0)), seed, seed)
        for restart in (0, 7)
        for seed in range(at_most(2, 1))
    ]
    assert same(walked_together(files, piece), files)


@pytest.mark.parametrize("kind", [*KINDS, *HELD_OUT])
def test_damage_of_every_kind_in_intervals(kind: str) -> None:
    files = [
        damaged(kind, photo(noise("RGB", 2, restart)), photo(noise("RGB", 0)), seed, seed)
        for restart in (1, 7)
        for seed in range(at_most(2, 1))
    ]
    assert same(walked_apart(files), files)


def test_every_fault_and_odd_end() -> None:
    whole = picture(40, 33, restart=3)
    files = [change(whole) for change in (*FAULTY.values(), *(change for _, change in ODD.values()))]
    for piece in (BYTE, 60 * BYTE)[: at_most(2, 1)]:
        assert same(walked_together(files, piece), files)
    assert same(walked_apart(files), files)


@pytest.mark.emulated
def test_many_broken_files() -> None:
    rng = np.random.default_rng(2)
    files = [changed(rng) for _ in range(at_most(150, 20))]
    assert same(walked_together(files, 16 * BYTE), files)
    assert same(walked_apart(files), files)


@pytest.mark.emulated
@settings(max_examples=at_most(30, 15))
@given(data=st.data())
def test_pieces_of_any_size_and_damage_anywhere(data: st.DataObject) -> None:
    file = bytearray(noise("RGB", data.draw(st.sampled_from([0, 1, 2])), data.draw(st.sampled_from([0, 3, 30]))))
    for _ in range(data.draw(st.integers(0, 2))):
        place = data.draw(st.integers(bytes(file).index(b"\xff\xda") + 8, len(file) - 1))
        file[place] = data.draw(st.sampled_from([0, 0xFF, 0xD9, file[place] ^ 1, file[place] ^ 0x80]))
    del file[data.draw(st.sampled_from([len(file), len(file) - 2, len(file) // 2])) :]
    files = [bytes(file)]
    assert same(walked_together(files, data.draw(st.integers(30, 3000))) if data.draw(st.booleans()) else walked_apart(files), files)


def alone_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note at which MCUs of a file one thread goes on; the simulator tells, for it calls functions of the device by their names."""
    module: Any = import_module("tamis_kernels.jpeg.cuda_intervals")
    noted, walking = [], module.walk_alone

    def walk_alone(batch: Any, i: int, lane: Any, words: Any) -> Any:
        noted.append(int(lane.state[AT]))
        return walking(batch, i, lane, words)

    monkeypatch.setattr(module, "walk_alone", walk_alone)
    return noted


def test_a_thread_walks_alone_the_intervals_with_faults_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = alone_at(monkeypatch)
    whole = noise("RGB", 0, 2)
    marks = [at for at in range(len(whole) - 1) if whole[at] == 0xFF and 0xD0 <= whole[at + 1] < 0xD8]
    assert len(marks) == (39 if simulated() else 59)
    files = [whole, noise("L", restart=3), noise("CMYK", restart=1)]
    assert same(walked_apart(files), files)
    assert noted == []  # whole files have no such interval, be they longer than the block's threads are many
    broken = bytearray(whole)
    broken[marks[3] - 1] ^= 0xFF
    broken[marks[29] + 1] ^= 1  # a marker that is another one's, and not behind the last interval of a turn
    assert same(walked_apart([bytes(broken)]), [bytes(broken)])
    assert noted == ([6, 58] if simulated() else [])
    noted.clear()
    assert same(walked_apart([whole[: marks[25] + 2], whole[: marks[25]]]), [whole[: marks[25] + 2], whole[: marks[25]]])
    assert noted == ([52] if simulated() else [])


def test_intervals_filled_up_with_zeros_are_counted() -> None:
    """Some encoders fill up with 0: it is no fault, and how often is told."""
    whole = noise("L", restart=3)
    tail = bytearray(whole)
    files = []
    for at in range(len(whole) - 1):
        if whole[at] == 0xFF and 0xD0 <= whole[at + 1] < 0xDA and at > whole.index(b"\xff\xda"):
            byte = whole[at - 1]
            ones = 8 - len(f"{~byte & 0xFF:08b}".rstrip("0")) if byte != 0xFF else 8  # the last ones, of which some are the padding
            tail[at - 1] = byte & ~1 if 0 < ones < 8 else byte
    files.append(bytes(tail))
    (found,) = walked_apart(files)
    assert same([found], files)
    assert found.zero_pads > 3


@pytest.mark.emulated
def test_whole_files_of_every_kind_in_intervals() -> None:
    files = [one for one in pictures() if b"\xff\xdd" in one][::7]
    assert len(files) > 10
    assert same(walked_apart(files), files)


def test_scans_of_one_component_each_and_seams() -> None:
    grey = picture(40, 33, "L", restart=4)
    files = [
        in_scans(grey, 3),
        in_scans(grey, 2),
        in_scans(grey, 3)[:-90],
        drawn(12, 5, 30, 40),
        drawn(12, 5, 30, 40, 2),
        drawn(10, 6, 25, 24, 1, 20),
    ]
    for found in (*(walked_together(files, piece) for piece in (100, 16, 1024)[: at_most(3, 1)]), walked_apart(files)):
        assert same(found, files)
    assert [walk.fault for walk in found[:2]] == ["none", "missing_component"]
    assert "seam" in [walk.fault for walk in found]


def test_pieces_that_never_fall_into_step() -> None:
    """Bits that mean a block from wherever one begins: a wrong place stays wrong, and the pieces are put right one after another."""
    flat = made("00" * 2, 400, codes(("0", 0), ("10", 1)), codes(("00", 0), ("01", 1)))  # three bits a block, in fours: see below
    even = made("0" + "00", 900, codes(("0", 0), ("10", 1)), codes(("00", 0), ("01", 1)))
    odd = made("110" + "10" * 3, 300, codes(("0", 0), ("10", 1), ("110", 0)), codes(("0", 1), ("10", 0)))
    colours = made(("0" + "0") + ("1" + "11"), 1200, codes(("0", 0), ("1", 0)), codes(("0", 0), ("10", 1), ("11", 0)), 2)
    files = [flat, even, odd, colours]
    for piece in (31, 8, 64)[: at_most(3, 1)]:
        assert same(walked_together(files, piece), files)
    assert [walk.fault for walk in jpeg.walk_many([even, colours], backend="cpu")] == ["none", "none"]


def test_one_thread_alone_passes_no_more_than_the_last_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files that are whole; the simulator can tell, for it calls functions of the device by their names."""
    module: Any = import_module("tamis_kernels.jpeg.cuda_together")
    left, passing = [], module.pass_alone

    def pass_alone(lane: Any, *rest: Any) -> Any:
        left.append(int(lane.state[END_BIT] - lane.state[BIT]))
        return passing(lane, *rest)

    monkeypatch.setattr(module, "pass_alone", pass_alone)
    files = [noise("RGB", 2), noise("RGB", 0, 30), noise("CMYK"), noise("L")]
    found = walked_together(files, 300)
    assert [walk.fault for walk in found] == ["none"] * 4
    assert same(found, files)
    assert max(left, default=0) < 300 + 2 * MOST_BITS
    assert bool(left) == simulated()


def test_files_in_company_take_either_way() -> None:
    files = [picture(8, 8), noise("RGB", 2), b"", picture(9, 17, "L"), noise("CMYK"), noise("RGB", 0, 1), noise("RGB", 0, 20)]
    with together(LEAST=2000, PIECE=64 * BYTE) as blocks:
        found = photos.describe(files, backend="cuda")
    assert sum(blocks) == 4  # not the small ones; the one with a marker behind each MCU by its intervals
    whole = photos.describe(files, backend="cpu")
    assert [walk[:-1] for walk in found.walks] == [walk[:-1] for walk in whole.walks]
    np.testing.assert_array_equal(found.hashes, whole.hashes)
    for name, values in whole.figures.items():
        np.testing.assert_array_equal(found.figures[name], values)
    with together(LEAST=2000, SHARE=1) as blocks:  # alone none of them takes longer than all together
        assert same(jpeg.walk_many(files, backend="cuda"), files)
    assert not blocks
