"""Turns a kernel in PTX into a function in LLVM's language that runs one of its threads.

    i32 kernel(machine, frame, resume, thread, x, y, z)

A thread runs until it ends (-1), touches what it may not (-2), or waits at a barrier, whose number, from 1 on, it returns. It is called
again with that number, and finds its registers in its frame. `machine` is a row of 64-bit words, whose places are below.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from emulator.arithmetic import Arithmetic, slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.ptx import Instruction, Kernel

PARAMETERS, SHARED, BLOCK_SIZE, GRID_SIZE, BLOCK, VOTE, VOTES, DYNAMIC, VISITS, PASSAGES = 0, 1, 2, 5, 8, 11, 12, 13, 14, 15
"""Places in the machine: the addresses of parameters and shared memory; three numbers each of sizes and of the block; what was voted at the
last barrier, and is at the next; the bytes of shared memory that the launch asked for; where visits of basic blocks are counted, and how
many of those there are. Others are those of `checks`."""
READ, WRITE, ATOMIC = 0, 1, 2
ENDED, STRAYED = -1, -2

_SPECIAL = {"ntid": BLOCK_SIZE, "nctaid": GRID_SIZE, "ctaid": BLOCK}
_ATOMIC = {"add": "add", "and": "and", "or": "or", "xor": "xor"}


class Lowering(Arithmetic):
    """Writes the function of one kernel.

    Parameters
    ----------
    kernel
        What is lowered.
    touch
        Address of a function `i32 (machine, address, bytes, kind, site, thread)` that is asked before each access outside the thread's
        registers, and ends the thread where it does not return 0; None where nobody asks.
    visited
        Whether each thread counts how often it comes through each basic block.
    constants
        Address of each array in constant memory.
    """

    def __init__(self, kernel: Kernel, touch: int | None, constants: dict[str, int], *, visited: bool = False) -> None:
        super().__init__(kernel.registers)
        self.kernel, self.touch, self.constants, self.visited = kernel, touch, constants, visited
        self.offsets: dict[str, int] = {}
        self.barriers = 0
        self.sites: list[Instruction] = []
        self.blocks: list[list[Instruction]] = []
        place = 0
        for name, size in kernel.parameters:
            self.offsets[name] = place = -(-place // size) * size
            place += size

    def write(self) -> str:
        """Return the whole function."""
        self._begin_block("body")
        for instruction in self.kernel.body:
            if instruction.label:
                self.line(f"br label %{_label(instruction.label)}")
                self._begin_block(_label(instruction.label))
            else:
                self.blocks[-1].append(instruction)
                self._guarded(instruction)
        self.line("ret i32 -1")
        names = sorted(self.used)
        slots = [f"{slot(name)} = alloca {self.type_of(name)}" for name in names]
        places = {name: 8 * number for number, name in enumerate(names)}
        self.frame_size = 8 * len(names)
        saves = "".join(f"""
save:
  {self._moved(names, places, into_frame=True)}
  ret i32 %barrier""" for _ in range(1) if self.barriers)  # fmt: skip
        waits = " ".join(f"i32 {number}, label %resume{number}" for number in range(1, self.barriers + 1))
        resumes = "".join(f"""
resume{number}:
  {self._moved(names, places, into_frame=False, tag=str(number))}
  br label %after{number}""" for number in range(1, self.barriers + 1))  # fmt: skip
        phis = ", ".join(f"[ {number}, %wait{number} ]" for number in range(1, self.barriers + 1))
        saves = saves.replace("save:\n", f"save:\n  %barrier = phi i32 {phis}\n")
        head = "define i32 @kernel(i64 %machine, i64 %frame, i32 %resume, i32 %thread, i32 %x, i32 %y, i32 %z) {\nentry:\n"
        start = "\n".join(f"  {slot}" for slot in slots)
        return f"{head}{start}\n  switch i32 %resume, label %body [ {waits} ]\n{resumes}{saves}\n" + "\n".join(self.lines) + "\n}\n"

    def _moved(self, names: Sequence[str], places: dict[str, int], *, into_frame: bool, tag: str = "s") -> str:
        """Return lines that copy all registers between their slots and the frame."""
        lines = []
        for number, name in enumerate(names):
            kind, stem = self.type_of(name), f"%{'s' if into_frame else 'l'}{tag}.{number}"
            lines.append(f"{stem}.a = add i64 %frame, {places[name]}")
            lines.append(f"{stem}.p = inttoptr i64 {stem}.a to ptr")
            source, target = (slot(name), f"{stem}.p") if into_frame else (f"{stem}.p", slot(name))
            lines += [f"{stem}.v = load {kind}, ptr {source}", f"store {kind} {stem}.v, ptr {target}"]
        return "\n  ".join(lines)

    def _begin_block(self, name: str) -> None:
        self.lines.append(f"{name}:")
        if self.visited:
            row = self.value("load i64, ptr {}", self.word(VISITS))
            wide = self.value("zext i32 %thread to i64")
            # rows of all threads of a block lie one behind the other, each as long as the machine says
            length = self.value("load i64, ptr {}", self.word(PASSAGES))
            at = self.value("mul i64 {}, {}", wide, length)
            at = self.value("add i64 {}, {}", at, str(len(self.blocks)))
            pointer = self.value("getelementptr i64, ptr {}, i64 {}", self.pointer(row), at)
            self.line(f"store i64 {self.value('add i64 {}, 1', self.value('load i64, ptr {}', pointer))}, ptr {pointer}")
        self.blocks.append([])

    def _guarded(self, instruction: Instruction) -> None:
        if not instruction.guard:
            self._lower(instruction)
            return
        condition, wanted = self.get(instruction.guard.lstrip("!"), 1), not instruction.guard.startswith("!")
        then, other = self.fresh("then"), self.fresh("else")
        self.line(f"br i1 {condition}, label %{then if wanted else other}, label %{other if wanted else then}")
        self.lines.append(f"{then}:")
        self._lower(instruction)
        if not self.closed:
            self.line(f"br label %{other}")
        self.closed = False
        self._begin_block(other)

    def _lower(self, instruction: Instruction) -> None:
        name = instruction.opcode[0]
        if method := getattr(self, f"do_{name}", None):
            method(instruction)
        else:
            self.compute(instruction)

    def word(self, place: int, index: str = "0") -> str:
        """Return a pointer to a word of the machine."""
        address = self.value("add i64 %machine, {}", str(8 * place))
        return self.pointer(self.value("add i64 {}, {}", address, index) if index != "0" else address)

    def pointer(self, address: str) -> str:
        """Return a pointer to an address."""
        return self.value("inttoptr i64 {} to ptr", address)

    # Control

    def do_bra(self, instruction: Instruction) -> None:
        """Jump."""
        self.line(f"br label %{_label(instruction.operands[0])}")
        self._close(instruction)

    def do_ret(self, instruction: Instruction) -> None:
        """End the thread."""
        self.line(f"ret i32 {ENDED}")
        self._close(instruction)

    do_exit = do_ret

    def _close(self, instruction: Instruction) -> None:
        self.closed = bool(instruction.guard)
        if not instruction.guard:
            self._begin_block(self.fresh("behind"))

    def do_bar(self, instruction: Instruction) -> None:
        """Wait for all threads of the block; with a predicate, vote and learn what all have voted."""
        self.barriers += 1
        number, votes = self.barriers, instruction.opcode[1] == "red"
        if votes:
            if instruction.opcode[2:] != ("or", "pred"):
                self.unknown(instruction)
            vote = self.value("zext i1 {} to i64", self.get(instruction.operands[2], 1))
            place = self.word(VOTES)
            self.line(f"store i64 {self.value('or i64 {}, {}', vote, self.value('load i64, ptr {}', place))}, ptr {place}")
        self.line(f"br label %wait{number}")
        self.lines += [f"wait{number}:", "  br label %save"]
        self._begin_block(f"after{number}")
        if votes:
            self.put(instruction.operands[0], self.value("icmp ne i64 {}, 0", self.value("load i64, ptr {}", self.word(VOTE))), 1)

    do_barrier = do_bar

    # Memory

    def do_mov(self, instruction: Instruction) -> None:
        """Copy a register, a number, an address, or two halves."""
        target, source = instruction.operands
        bits = 1 if instruction.opcode[1] == "pred" else int(instruction.opcode[1][1:])
        if source.startswith("{"):
            low, high = (self.get(one, bits // 2) for one in source.strip("{}").replace(" ", "").split(","))
            half = f"i{bits // 2}"
            above = self.value(f"shl i{bits} {{}}, {bits // 2}", self.value(f"zext {half} {{}} to i{bits}", high))
            self.put(target, self.value(f"or i{bits} {{}}, {{}}", self.value(f"zext {half} {{}} to i{bits}", low), above), bits)
        elif target.startswith("{"):
            whole = self.get(source, bits)
            low, high = target.strip("{}").replace(" ", "").split(",")
            self.put(low, self.value(f"trunc i{bits} {{}} to i{bits // 2}", whole), bits // 2)
            shifted = self.value(f"lshr i{bits} {{}}, {bits // 2}", whole)
            self.put(high, self.value(f"trunc i{bits} {{}} to i{bits // 2}", shifted), bits // 2)
        elif re.match(r"[A-Za-z_$]", source):
            self.put(target, self._address(source), 64)
        elif (
            source.startswith("%")
            and ("." in source or source == "%dynamic_smem_size")
            and source.split(".")[0][1:] in {*_SPECIAL, "tid", "dynamic_smem_size"}
        ):
            self.put(target, self._special(source), 32)
        else:
            self.put(target, self.get(source, bits), bits)

    def _special(self, name: str) -> str:
        kind, _, axis = name[1:].partition(".")
        if kind == "tid":
            return self.value("add i32 %{}, 0", axis)
        place = DYNAMIC if kind == "dynamic_smem_size" else _SPECIAL[kind] + "xyz".index(axis)
        return self.value("trunc i64 {} to i32", self.value("load i64, ptr {}", self.word(place)))

    def do_cvta(self, instruction: Instruction) -> None:
        """Copy an address: all spaces are one here."""
        self.put(instruction.operands[0], self._address(instruction.operands[1]), 64)

    def do_ld(self, instruction: Instruction) -> None:
        """Load, and widen to the register."""
        kind = instruction.opcode[-1]
        bits = int(kind[1:])
        if "param" in instruction.opcode:
            name, _, more = instruction.operands[1].strip("[]").partition("+")
            base = self.value("load i64, ptr {}", self.word(PARAMETERS))
            address = self.value("add i64 {}, {}", base, str(self.offsets[name] + int(more or 0)))
        else:
            address = self._touched(instruction, instruction.operands[1], bits // 8, READ)
        self.put(instruction.operands[0], self.value(f"load i{bits}, ptr {{}}, align 1", self.pointer(address)), bits, kind[0] == "s")

    def do_st(self, instruction: Instruction) -> None:
        """Store."""
        bits = int(instruction.opcode[-1][1:])
        address = self._touched(instruction, instruction.operands[0], bits // 8, WRITE)
        self.line(f"store i{bits} {self.get(instruction.operands[1], bits)}, ptr {self.pointer(address)}, align 1")

    def do_atom(self, instruction: Instruction) -> None:
        """Change what is in memory, and return what was there: threads run one at a time."""
        how, kind = instruction.opcode[-2:]
        bits, operands = int(kind[1:]), instruction.operands
        result = operands[0] if instruction.opcode[0] == "atom" else ""
        place, *values = operands[1:] if result else operands
        address = self.pointer(self._touched(instruction, place, bits // 8, ATOMIC))
        was = self.value(f"load i{bits}, ptr {{}}, align 1", address)
        given = [self.get(one, bits) for one in values]
        if kind[0] == "f":
            self.unknown(instruction)
        if how == "cas":
            same = self.value(f"icmp eq i{bits} {{}}, {{}}", was, given[0])
            new = self.value(f"select i1 {{}}, i{bits} {{}}, i{bits} {{}}", same, given[1], was)
        elif how == "exch":
            new = given[0]
        elif how in ("min", "max"):
            new = self.value(f"call i{bits} @llvm.{kind[0]}{how}.i{bits}(i{bits} {{}}, i{bits} {{}})", was, given[0])
        elif how in _ATOMIC:
            new = self.value(f"{_ATOMIC[how]} i{bits} {{}}, {{}}", was, given[0])
        else:
            self.unknown(instruction)
        self.line(f"store i{bits} {new}, ptr {address}, align 1")
        if result:
            self.put(result, was, bits)

    do_red = do_atom

    def _address(self, text: str) -> str:
        """Return the address that a register, a name or `[one+bytes]` means."""
        name, _, more = text.strip("[]").partition("+")
        if name in self.kernel.shared:
            base = self.value("load i64, ptr {}", self.word(SHARED))
            base = self.value("add i64 {}, {}", base, str(self.kernel.shared[name]))
        elif name in self.constants:
            base = str(self.constants[name])
        else:
            base = self.get(name, 64)
        return self.value("add i64 {}, {}", base, str(int(more or 0)))

    def _touched(self, instruction: Instruction, place: str, size: int, kind: int) -> str:
        """Return an address that the thread may touch; where it may not, the thread ends."""
        address = self._address(place)
        if self.touch is None or "const" in instruction.opcode:
            return address
        self.sites.append(instruction)
        arguments = f"i64 %machine, i64 {address}, i32 {size}, i32 {kind}, i32 {len(self.sites) - 1}, i32 %thread"
        answer = self.value(f"call i32 {{}}({arguments})", self.pointer(str(self.touch)))
        right, wrong = self.fresh("right"), self.fresh("wrong")
        self.line(f"br i1 {self.value('icmp eq i32 {}, 0', answer)}, label %{right}, label %{wrong}")
        self.lines += [f"{wrong}:", f"  ret i32 {STRAYED}", f"{right}:"]
        return address


def _label(name: str) -> str:
    return name.replace("$", "L")
