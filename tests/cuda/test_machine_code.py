"""What is read from a listing of machine code, and which basic blocks of PTX its instructions count for. The listings are made by hand."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from emulator import machine_code
from emulator.lowering import Lowering
from emulator.machine_code import ALONE, CYCLES, UNITS, Machine, Step, routines, time_alone, time_of, weights
from emulator.ptx import Instruction, read

PTX = """\
.version 9.0
.visible .entry kernel(
.param .b64 first
)
{
	.reg .pred %p<3>;
	.reg .b32 %r<9>;
	.reg .b64 %rd<3>;

	ld.param.u64 	%rd1, [first];
	mov.u32 	%r1, %tid.x;
	setp.eq.s32 	%p1, %r1, 0;
	@%p1 bra 	$L__BB0_2;

$L__BB0_1:
	ld.global.u32 	%r2, [%rd1];
	mad.lo.s32 	%r3, %r2, %r1, 7;
	popc.b32 	%r4, %r3;
	setp.lt.s32 	%p2, %r4, 9;
	@%p2 bra 	$L__BB0_1;

$L__BB0_2:
	st.global.u32 	[%rd1], %r1;
	ret;
}
"""


def line_of(words: str) -> int:
    """Return the line of the PTX above that these words are in."""
    return next(number for number, line in enumerate(PTX.splitlines(), 1) if words in line.replace("\t", ""))


def listing(*rows: tuple[str, str] | str) -> str:
    """Return a listing in which each instruction is of the line of PTX with the words before it; other rows are as they are."""
    out, place = [".text.kernel:"], 0
    for row in rows:
        if isinstance(row, str):
            out.append(row)
        else:
            words, instruction = row
            out.append(f'\t//## File ".nv_debug_ptx_txt.2088829156", line {line_of(words)}')
            out.append(f"        /*{place:04x}*/                   {instruction} ;")
            place += 16
    return "\n".join(out)


def blocks() -> list[list[Instruction]]:
    """Return the basic blocks of the PTX above: what comes first, what follows a branch, the loop, nothing, and the end."""
    lowering = Lowering(read(PTX), visited=True)
    lowering.write()
    return lowering.blocks


LOOP = (
    ("ld.global", "LDG.E R2, desc[UR4][R4.64]"),
    ("mad.lo", "IMAD R3, R2, R1, 0x7"),
    ("popc", "POPC R4, R3"),
    ("setp.lt", "ISETP.LT.AND P0, PT, R4, 0x9, PT"),
)


def test_instructions_of_ptx_know_their_line() -> None:
    told = {one.line: ".".join(one.opcode) for block in blocks() for one in block}
    assert told[line_of("popc")] == "popc.b32"
    assert told[line_of("ret;")] == "ret"


def test_a_listing_is_cut_at_labels_and_branches_and_padding_is_left_out() -> None:
    text = listing(
        ("mov.u32", "S2R R1, SR_TID.X"), ("@%p1 bra", "@!P0 BRA `(.L_x_1)"), *LOOP[:2], ".L_x_1:", ("st.global", "STG.E R2, R1"),
        ("ret", "EXIT"), ("ret", "NOP"),
    )  # fmt: skip
    found = routines(text)
    assert list(found) == ["kernel"]
    assert [[one.name for one in part] for part in found["kernel"]] == [["S2R", "BRA"], ["LDG.E", "IMAD"], ["STG.E", "EXIT"]]
    assert found["kernel"][1][1] == Step("IMAD", line_of("mad.lo"), control=7 << 5)


@pytest.mark.parametrize(
    ("name", "unit", "cycles"),
    [
        ("IADD3.X", "logic", 2), ("VIMNMX3.U32", "logic", 2), ("IMAD.MOV.U32", "product", 2), ("IMAD.WIDE.U32", "product", 4),
        ("FFMA", "single", 1), ("DADD", "double", 2), ("POPC", "special", 8), ("I2F.F64.S64", "special", 8), ("F2I.TRUNC", "logic", 2),
        ("UIADD3", "uniform", 2), ("BAR.SYNC.DEFER_BLOCKING", "issue", 1), ("LDS.64", "issue", 1),
    ],
)  # fmt: skip
def test_an_instruction_is_issued_in_a_cycle_and_keeps_its_unit_for_some(name: str, unit: str, cycles: int) -> None:
    taken = dict(zip(UNITS, time_of(name), strict=True))
    assert taken.pop("issue") == 1
    assert {key: value for key, value in taken.items() if value} == ({unit: cycles} if unit != "issue" else {})
    assert set(CYCLES) == set(UNITS) - {"issue"}


def counted(text: str, unit: str = "issue") -> list[float]:
    """Return the cycles of a unit in what comes before the loop, in it, and behind it; other blocks have nothing."""
    found = weights(text, blocks())[:, UNITS.index(unit)]
    places = [place for words in ("mov", "popc", "st") for place, block in enumerate(blocks()) if words in [one.opcode[0] for one in block]]
    assert found.sum() == found[places].sum()
    return found[places].tolist()  # type: ignore[no-any-return]


def test_a_loop_counts_for_its_block_and_nothing_for_others() -> None:
    text = listing(("mov.u32", "S2R R1, SR_TID.X"), ("@%p1 bra", "@P0 BRA `(.L_x_2)"), ".L_x_1:", *LOOP, ("@%p2 bra", "@P0 BRA `(.L_x_1)"),
                   ".L_x_2:", ("st.global", "STG.E R2, R1"), ("ret", "EXIT"))  # fmt: skip
    assert counted(text) == [2, 5, 2]
    assert counted(text, "special") == [0, 8, 0]


def test_copies_that_the_assembler_makes_of_a_loop_share_its_visits() -> None:
    text = listing(("@%p1 bra", "@P0 BRA `(.L_x_2)"), ".L_x_1:", *(4 * LOOP), ("@%p2 bra", "@P0 BRA `(.L_x_1)"), ".L_x_2:", ("ret", "EXIT"))
    assert counted(text) == [1, 17 / 4, 1]
    assert counted(text, "product") == [0, 2, 0]


def test_what_is_moved_out_of_a_loop_counts_where_it_is_and_what_is_made_anew_behind_it_too() -> None:
    moved = listing(("mov.u32", "S2R R1, SR_TID.X"), *(3 * [("setp.lt", "MOV R9, 9")]), ("@%p1 bra", "@P0 BRA `(.L_x_2)"), ".L_x_1:", *LOOP,
                    ("@%p2 bra", "@P0 BRA `(.L_x_1)"), ".L_x_2:", *(3 * [("popc", "LOP3.LUT R4, R3, R1, RZ, 0x3c, !PT")]),
                    ("st.global", "STG.E R2, R1"), ("ret", "EXIT"))  # fmt: skip
    assert counted(moved) == [5, 5, 5]


def test_a_division_of_64_bits_is_counted_with_its_caller_and_one_that_is_hardly_needed_is_not() -> None:
    inner = "\n".join(
        [".text.__cuda_sm20_div_s64:", *(f"        /*{16 * i:04x}*/                   IMAD.HI R1, R1, R2, R3 ;" for i in range(20))]
    )
    call = ("ret", "CALL.ABS.NOINC `(__cuda_sm20_div_s64)")
    rest = ("st.global", "STG.E R2, R1"), ("ret", "EXIT")
    assert counted(inner + "\n" + listing(call, *rest)) == [0, 0, 23]
    assert counted(inner + "\n" + listing(call, *rest), "product") == [0, 0, 80]
    seldom = ("ret", "CALL.ABS.NOINC `(__cuda_sm20_div_rn_f64_full)")
    assert counted(inner.replace("s64", "rn_f64_full") + "\n" + listing(seldom, *rest)) == [0, 0, 2]


def step(name: str, stall: int, raises: int = 7, needs: tuple[int, ...] = ()) -> Step:
    return Step(name, 0, control=stall | raises << 5 | sum(1 << 11 + flag for flag in needs))


def test_the_bits_behind_an_instruction_say_how_long_its_warp_waits_and_for_what() -> None:
    text = """.text.kernel:
        /*0000*/                   LDG.E.64 R4, desc[UR4][R4.64] ;                           /* 0x0000000404047981 */
                                                                                             /* 0x000ea8000c1e1b00 */
        /*0010*/                   IADD3 R8, P0, R4, R6, RZ ;                                /* 0x0000000604087210 */
                                                                                             /* 0x004fca0007f1e0ff */
"""
    load, add = routines(text)["kernel"][0]
    assert (load.stall, load.raises, load.needs) == (4, 2, [])
    assert (add.stall, add.raises, add.needs) == (5, 7, [2])


def test_a_warp_alone_waits_for_stalls_and_for_loads_whose_results_it_needs() -> None:
    assert time_alone([step("IADD3", 4), step("IADD3", 1)], 0) == 5
    waited = [step("LDG.E", 2, raises=0), step("IMAD", 4), step("IADD3", 5, needs=(0,))]
    assert [time_alone(waited, place) for place in range(len(ALONE))] == [35 + 5, 600 + 5]
    behind = [step("LDG.E", 2, raises=0), step("IMAD", 4)]  # another block needs it
    assert time_alone(behind, 0) == 35
    ahead = [step("IADD3", 5, needs=(0,)), step("LDG.E", 2, raises=0), *(step("IMAD", 4) for _ in range(10))]
    assert time_alone(ahead, 0) == 5 + 2 + 40  # its time has passed when the next turn needs it
    assert time_alone([step("POPC", 1, raises=1), step("IADD3", 2, needs=(1,))], 0) == 20 + 2


@pytest.mark.parametrize(
    ("registers", "threads", "shared", "warps"),
    [(32, 128, 0, 16), (32, 1024, 0, 16), (33, 128, 0, 12), (128, 128, 0, 4), (255, 256, 0, 2), (32, 32, 0, 8), (32, 128, 50 << 10, 4),
     (16, 100, 0, 16), (255, 1024, 0, 1)],
)  # fmt: skip
def test_registers_shared_memory_and_blocks_bound_the_warps_of_a_quarter(registers: int, threads: int, shared: int, warps: int) -> None:
    assert Machine(np.zeros((1, 1)), registers).resident(threads, shared) == warps


def test_weights_are_of_all_blocks_and_units() -> None:
    assert np.shape(weights(listing(("ret", "EXIT")), blocks())) == (len(blocks()), len(UNITS) + len(ALONE))


def test_where_there_is_no_disassembler_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name, **_options: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps triton"):
        machine_code.disassembler()
