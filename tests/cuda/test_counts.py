"""What the emulator counts of kernels whose costs are known by hand: PTX of a few lines, whose accesses to memory a GPU's rules decide."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from emulator import counts, grid, machine_code, ptx
from numba import cuda, float64

if TYPE_CHECKING:
    from numpy.typing import NDArray

WARP, LINE = machine_code.WARP, counts.LINE
PARAMETERS = ",\n".join(f".param .u64 p{number}" for number in range(7))  # of an array of one dimension; its address is the fifth


def aligned(size: int) -> NDArray[np.uint8]:
    """Return bytes that begin with a line of memory."""
    room = np.zeros(size + LINE, np.uint8)
    begin = -room.ctypes.data % LINE
    return room[begin : begin + size]


@cache
def program(body: str, *, counted: bool = True) -> grid.Program:
    """Return a kernel: %r1 is the thread, %rd1 where its array begins."""
    text = f""".visible .entry hand(
{PARAMETERS}
)
{{
.reg .pred %p<9>;
.reg .b32 %r<19>;
.reg .f64 %fd<9>;
.reg .b64 %rd<29>;
.shared .align 16 .b8 room[16384];
mov.u32 %r1, %tid.x;
ld.param.u64 %rd1, [p4];
{body}
ret;
}}"""
    head, shared, rest = text.partition(".shared")
    array, _, rest = rest.partition("\n")
    text = f"{shared}{array}\n{head}{rest.lstrip()}"  # as NVVM writes it: before the entry
    return grid.translated("hand", text, touch=counts.trace.address if counted else None, visited=counted)


def machine(made: grid.Program) -> machine_code.Machine:
    """Return a machine that takes one instruction for one of PTX: a product, or what the unit for logic does."""
    names = [["IMAD" if one.opcode[0] == "mul" else "IADD3" for one in block] for block in made.blocks]
    times = [sum(map(machine_code.time_of, block), np.zeros(len(machine_code.UNITS))) for block in names]
    loads = [35.0 * sum(one.opcode[:2] == ("ld", "global") for one in block) for block in made.blocks]
    return machine_code.Machine(np.array([[*units, near, 20 * near] for units, near in zip(times, loads, strict=True)]), registers=32)


def costs(body: str, threads: int = WARP, size: int = 1 << 16) -> counts.Costs:
    """Return what one block of a kernel costs beyond the three instructions that all have: its number, its array and its end."""
    made = program(body)
    found, _ = counts.counted(grid.Grid(made, (1, 1, 1), (threads, 1, 1), 0, [aligned(size)], checked=False), 0, machine(made), 0)
    found.slots -= 3 * -(-threads // WARP)
    found.lanes -= 3 * threads
    return found


def at(base: str, stride: int, first: int = 0) -> str:
    """Return lines that put into %rd9 an address of each thread's own; they make no access."""
    return f"mul.wide.u32 %rd8, %r1, {stride};\nadd.s64 %rd9, %rd8, {first};\nadd.s64 %rd9, {base}, %rd9;\n"


@pytest.mark.parametrize(
    ("stride", "first", "kind", "lines", "sectors"),
    [
        (4, 0, "u32", 1, 4),
        (4, 4, "u32", 2, 5),  # one word over the end of a line
        (4, 64, "u32", 2, 4),  # half a line each
        (0, 0, "u32", 1, 1),  # all want the same
        (1, 0, "u8", 1, 1),
        (1, 31, "u8", 1, 2),
        (8, 0, "u64", 2, 8),
        (8, 8, "u64", 3, 9),
        (8, 0, "u32", 2, 8),  # every other word
        (32, 0, "u32", 8, 32),
        (128, 0, "u32", 32, 32),
        (132, 0, "u32", 32, 32),
        (24, 16, "u64", 6, 24),  # one word in three, up to the end of the sixth line
    ],
)
@pytest.mark.parametrize("access", ["ld.global.{kind} {register}, [%rd9];", "st.global.{kind} [%rd9], {register};"])
def test_a_request_of_a_warp_touches_lines_and_sectors(access: str, stride: int, first: int, kind: str, lines: int, sectors: int) -> None:
    line = access.format(kind=kind, register="%rd7" if kind == "u64" else "%r7")
    found = costs(at("%rd1", stride, first) + line)
    assert (found.requests, found.lines, found.sectors, found.footprint) == (1, lines, sectors, sectors)
    assert (found.shared, found.atomics) == (0, 0)


def test_warps_ask_apart_and_memory_that_is_asked_for_twice_comes_once() -> None:
    load = "ld.global.u32 %r7, [%rd9];\n"
    found = costs(at("%rd1", 4) + load, threads=2 * WARP)
    assert (found.requests, found.lines, found.sectors, found.footprint) == (2, 2, 8, 8)
    found = costs(at("%rd1", 4) + 3 * load)
    assert (found.requests, found.lines, found.sectors, found.footprint) == (3, 3, 12, 4)
    found = costs(at("%rd1", 0) + load, threads=2 * WARP)
    assert (found.requests, found.lines, found.sectors, found.footprint) == (2, 2, 2, 1)
    assert costs(at("%rd1", 4) + load, threads=WARP + 8).sectors == 4 + 1


def test_lanes_that_do_not_work_touch_nothing() -> None:
    found = costs(at("%rd1", 128) + "setp.lt.u32 %p1, %r1, 5;\n@%p1 ld.global.u32 %r7, [%rd9];")
    assert (found.requests, found.lines, found.sectors) == (1, 5, 5)
    found = costs(at("%rd1", 4) + "setp.lt.u32 %p1, %r1, 8;\n@!%p1 ld.global.u32 %r7, [%rd9];")
    assert (found.requests, found.lines, found.sectors) == (1, 1, 3)
    found = costs(at("%rd1", 4) + "setp.lt.u32 %p1, %r1, 0;\n@%p1 ld.global.u32 %r7, [%rd9];")
    assert (found.requests, found.lines, found.sectors) == (0, 0, 0)


LOOP = """mov.u32 %r2, 0;
again:
ld.global.u32 %r7, [%rd9];
add.s32 %r2, %r2, 1;
setp.le.u32 %p1, %r2, %r1;
@%p1 bra again;"""
"""Thread n comes through it n + 1 times."""


def test_the_accesses_that_threads_make_for_the_nth_time_are_one_request() -> None:
    found = costs(at("%rd1", 4) + LOOP)
    assert (found.requests, found.lines) == (WARP, WARP)
    assert found.sectors == sum(4 - first // 8 for first in range(WARP))  # threads `first` … 31 are there still
    assert found.footprint == 4


@pytest.mark.parametrize(
    ("stride", "kind", "turns"),
    [
        (4, "u32", 1),
        (8, "u32", 2),
        (64, "u32", 16),
        (128, "u32", 32),
        (132, "u32", 1),
        (0, "u32", 1),
        (8, "u64", 2),
        (1, "u8", 1),
        (16, "u64", 4),
    ],
)
def test_shared_memory_takes_a_turn_for_each_word_of_a_bank(stride: int, kind: str, turns: int) -> None:
    register = "%rd7" if kind == "u64" else "%r7"
    for line in (f"ld.shared.{kind} {register}, [%rd9];", f"st.shared.{kind} [%rd9], {register};"):
        found = costs("mov.u64 %rd2, room;\n" + at("%rd2", stride) + line)
        assert found.shared == turns
        assert (found.requests, found.lines, found.sectors, found.atomics) == (0, 0, 0, 0)
    assert costs("mov.u64 %rd2, room;\n" + at("%rd2", stride) + line, threads=2 * WARP).shared == 2 * turns


def test_atomics_of_threads_are_counted_where_memory_is_global() -> None:
    add = "atom.{space}.add.u32 %r7, [%rd9], 1;"
    found = costs(at("%rd1", 0) + add.format(space="global"))
    assert (found.atomics, found.requests, found.sectors) == (WARP, 1, 1)
    found = costs(at("%rd1", 4) + "setp.lt.u32 %p1, %r1, 10;\n@%p1 red.global.add.u32 [%rd9], 1;", threads=2 * WARP)
    assert (found.atomics, found.requests, found.sectors) == (10, 1, 2)
    found = costs("mov.u64 %rd2, room;\n" + at("%rd2", 0) + add.format(space="shared"))
    assert (found.atomics, found.requests, found.shared) == (0, 0, 1)


def test_units_work_side_by_side_and_the_busiest_is_waited_for() -> None:
    line = {"logic": "and.b32 %r2, %r2, %r1;\n", "product": "mul.lo.s32 %r3, %r3, %r1;\n"}
    for words, cycles in ((("logic", "product"), 2), (("logic", "logic"), 4), (("logic", "logic", "product"), 4), (("product",) * 3, 6)):
        found = costs(100 * "".join(line[word] for word in words))
        assert 100 * cycles <= found.cycles <= 100 * cycles + 2 * 3
        assert found.slots == 100 * len(words)


def test_warps_that_a_quarter_holds_wait_side_by_side_for_memory_once_and_then_for_the_cache() -> None:
    load = "ld.global.u32 %r7, [%rd9];\n"
    resident = machine(program(at("%rd1", 4) + load)).resident(WARP, 16 << 10)  # the array in shared memory
    assert resident == 13 // 4
    assert costs(at("%rd1", 4) + load).alone == pytest.approx(20 * 35 / resident)
    assert costs(at("%rd1", 4) + 2 * load).alone == pytest.approx((1 + 0.5 * 19) * 2 * 35 / resident)
    again = "setp.lt.u32 %p1, %r1, 99;\n@%p1 bra next;\nnext:\n"  # a block of its own, which finds all in the cache
    assert costs(at("%rd1", 4) + load + again + load).alone == pytest.approx((20 + 1) * 35 / resident)


@pytest.mark.parametrize(("threads", "warps"), [(1, 1), (31, 1), (32, 1), (33, 2), (100, 4)])
def test_a_warp_issues_for_all_its_lanes_whether_they_are_there_or_not(threads: int, warps: int) -> None:
    found = costs(10 * "add.s32 %r2, %r2, %r1;\n", threads=threads)
    assert (found.slots, found.lanes) == (10 * warps, 10 * threads)


def test_both_sides_of_a_branch_are_issued_where_lanes_part_and_one_where_they_do_not() -> None:
    def branch(lane: int) -> counts.Costs:
        then, other = (count * "add.s32 %r2, %r2, %r1;\n" for count in (30, 70))
        return costs(f"setp.lt.u32 %p1, %r1, {lane};\n@%p1 bra then;\n{other}bra end;\nthen:\n{then}end:\n")

    parted, first, last = branch(8), branch(WARP), branch(0)
    assert (first.slots, last.slots) == (2 + 30, 2 + 70 + 1)  # a comparison and a jump, and one more over the first side
    assert parted.slots == 2 + 30 + 70 + 1
    assert parted.lanes == 2 * WARP + 8 * 30 + 24 * 71
    assert (first.lanes, last.lanes) == (WARP * first.slots, WARP * last.slots)


def test_a_warp_stays_in_a_loop_for_its_last_lane() -> None:
    found = costs(at("%rd1", 4) + LOOP)
    before = 1 + 2 + 1  # a product, two sums, a number
    assert found.slots == before + 4 * WARP
    assert found.lanes == before * WARP + 4 * sum(range(1, WARP + 1))


def test_of_a_large_block_the_first_warps_stand_for_all() -> None:
    found = costs(at("%rd1", 4) + "ld.global.u32 %r7, [%rd9];", threads=8 * WARP)
    assert (found.requests, found.lines, found.sectors, found.footprint) == (8, 8, 32, 32)
    assert found.slots == 8 * 4


def test_some_blocks_of_a_launch_stand_for_all() -> None:
    body = "mov.u32 %r3, %ctaid.x;\nmul.wide.u32 %rd2, %r3, 128;\nadd.s64 %rd1, %rd1, %rd2;\n" + at("%rd1", 4) + "st.global.u32 [%rd9], 7;"
    counter, out = counts.Counter(blocks=3), aligned(100 * LINE)
    for blocks in (20, 80):
        counter.run(program(body, counted=False), program(body), (blocks, 1, 1), (WARP, 1, 1), 0, [out], machine(program(body)))
    assert (out[: 80 * LINE].view(np.uint32) == 7).all()  # blocks that are not counted run too
    assert not out[80 * LINE :].any()
    _, seen, ran = counter.found["hand"]
    assert (seen, ran) == (6, 100)
    found = counter.costs("hand")
    assert (found.requests, found.lines, found.sectors, found.slots) == (100, 100, 400, 100 * (3 + 3 + 3 + 1))


def test_more_accesses_than_there_is_room_for_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MOST_ACCESSES", WARP)
    with pytest.raises(grid.KernelFault, match="hand: a block makes more accesses than the 32 there is room for"):
        costs(at("%rd1", 4) + "ld.global.u32 %r7, [%rd9];")
    monkeypatch.setattr(counts, "MOST_ACCESSES", WARP + 1)
    assert costs(at("%rd1", 4) + "ld.global.u32 %r7, [%rd9];").requests == 1


TABLE = np.arange(64.0)


@cuda.jit
def look_up(out: Any) -> None:
    me = cuda.threadIdx.x
    out[me] = cuda.const.array_like(TABLE)[me] + out[me]


def test_constants_are_not_global_memory_and_numbas_kernels_are_counted_as_those_by_hand() -> None:
    text, _ = cuda.compile_ptx(look_up.py_func, (float64[::1],), cc=grid.ARCHITECTURE, device=False)
    made = grid.translated("look_up", text, touch=counts.trace.address, visited=True)
    out = aligned(8 * WARP).view(np.float64)
    found, longest = counts.counted(grid.Grid(made, (1, 1, 1), (WARP, 1, 1), 0, [out], checked=False), 0, machine(made), 0)
    np.testing.assert_array_equal(out, TABLE[:WARP])
    assert any(one.opcode[:2] == ("ld", "const") for one in ptx.read(text).body)
    assert (found.requests, found.lines, found.sectors, found.footprint) == (2, 4, 16, 8)  # a load and a store of 256 bytes
    assert longest == pytest.approx(found.alone * machine(made).resident(WARP, made.shared_size))  # for there is one warp
