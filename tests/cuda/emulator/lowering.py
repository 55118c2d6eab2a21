"""Turns a kernel in PTX into a function in LLVM's language that runs one of its threads.

    i32 kernel(machine, frame, resume, thread, x, y, z)

A thread runs until it ends (-1), touches what it may not (-2), or waits at a barrier, whose number, from 1 on, it returns. It is called
again with that number, and finds its registers in its frame. `machine` is a row of 64-bit words, whose places are below.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from emulator.arithmetic import Arithmetic, slot
from emulator.liveness import live

if TYPE_CHECKING:
    from emulator.ptx import Instruction, Kernel

PARAMETERS, SHARED, BLOCK_SIZE, GRID_SIZE, BLOCK, VOTE, VOTES, DYNAMIC, VISITS, PASSAGES = 0, 1, 2, 5, 8, 11, 12, 13, 14, 15
CONSTANTS, TOUCH = 30, 31
"""Places in the machine: the addresses of parameters and shared memory; three numbers each of sizes and of the block; what was voted at the
last barrier, and is at the next; the bytes of shared memory that the launch asked for; where visits of basic blocks are counted, and how
many of those there are; where the addresses of arrays in constant memory stand, and the address of the function that is asked before an
access. So the code holds no address, and can be kept for other processes. Other places are those of `checks`."""
READ, WRITE, ATOMIC = 0, 1, 2
ENDED, STRAYED = -1, -2

_SPECIAL = re.compile(r"%(tid|ntid|nctaid|ctaid)\.([xyz])|%dynamic_smem_size")
_SIZES = {"ntid": BLOCK_SIZE, "nctaid": GRID_SIZE, "ctaid": BLOCK}
_TYPE = re.compile(r"[bus](8|16|32|64)|f(32|64)|pred")
_FOREIGN = {"v2", "v4", "f16", "f16x2", "bf16", "bf16x2"}
_WAITS = {("bar", "sync"), ("barrier", "sync"), ("bar", "red", "or", "pred"), ("barrier", "red", "or", "pred")}


class Lowering(Arithmetic):
    """Writes the function of one kernel.

    Parameters
    ----------
    kernel
        What is lowered.
    touched
        Whether a function `i32 (machine, address, bytes, kind, site, thread)` is asked before each access outside the thread's registers,
        and ends the thread where it does not return 0.
    visited
        Whether each thread counts how often it comes through each basic block.
    """

    def __init__(self, kernel: Kernel, *, touched: bool = False, visited: bool = False) -> None:
        super().__init__(kernel.registers)
        self.kernel, self.touched, self.visited = kernel, touched, visited
        self.constants = {name: place for place, name in enumerate(kernel.constants)}
        self.offsets: dict[str, int] = {}
        self.barriers = 0
        self.sites: list[Instruction] = []
        self.blocks: list[list[Instruction]] = []
        place = 0
        for name, size in kernel.parameters:
            self.offsets[name] = place = -(-place // size) * size
            place += size
        self.parameter_bytes = place

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
        self.line(f"ret i32 {ENDED}")
        body, self.lines = self.lines, []
        names = sorted(self.used)
        waits = {f"wait{number}": f"after{number}" for number in range(1, self.barriers + 1)}
        outlasting = live(body, set(map(slot, names)), waits)
        kept = [name for name in names if slot(name) in outlasting]
        self.frame_size = 8 * len(kept)
        self.lines.append("define i32 @kernel(i64 %machine, i64 %frame, i32 %resume, i32 %thread, i32 %x, i32 %y, i32 %z) {")
        self.lines.append("entry:")
        for name in names:
            self.line(f"{slot(name)} = alloca {self.type_of(name)}")
        barriers = range(1, self.barriers + 1)
        self.line(f"switch i32 %resume, label %{'restore' if barriers else 'body'} [ i32 0, label %body ]")
        if barriers:
            self.lines.append("restore:")
            self._copy_frame(kept, out=False)
            self.line(f"switch i32 %resume, label %body [ {' '.join(f'i32 {number}, label %after{number}' for number in barriers)} ]")
            self.lines.append("save:")
            self.line(f"%barrier = phi i32 {', '.join(f'[ {number}, %wait{number} ]' for number in barriers)}")
            self._copy_frame(kept, out=True)
            self.line("ret i32 %barrier")
        return "\n".join([*self.lines, *body, "}\n"])

    def _copy_frame(self, names: list[str], *, out: bool) -> None:
        """Copy registers from the frame to their slots, or out to the frame."""
        for number, name in enumerate(names):
            kind, place = self.type_of(name), self.pointer(self.value("add i64 %frame, {}", str(8 * number)))
            source, target = (slot(name), place) if out else (place, slot(name))
            self.line(f"store {kind} {self.value(f'load {kind}, ptr {{}}', source)}, ptr {target}")

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
        self.line(f"br label %{other}")
        self._begin_block(other)

    def _lower(self, instruction: Instruction) -> None:
        name, *modifiers = instruction.opcode
        if name in ("ret", "exit", "bra", "bar", "barrier"):
            getattr(self, f"do_{name}")(instruction)
        elif not modifiers or not _TYPE.fullmatch(modifiers[-1]) or _FOREIGN & {*modifiers}:
            self.unknown(instruction)
        elif method := getattr(self, f"do_{name}", None):
            method(instruction)
        else:
            self.compute(instruction)

    def word(self, place: int) -> str:
        """Return a pointer to a word of the machine."""
        return self.pointer(self.value("add i64 %machine, {}", str(8 * place)))

    def pointer(self, address: str) -> str:
        """Return a pointer to an address."""
        return self.value("inttoptr i64 {} to ptr", address)

    # Control

    def do_bra(self, instruction: Instruction) -> None:
        """Jump."""
        self.line(f"br label %{_label(instruction.operands[0])}")
        self._begin_block(self.fresh("behind"))

    def do_ret(self, _: Instruction) -> None:
        """End the thread."""
        self.line(f"ret i32 {ENDED}")
        self._begin_block(self.fresh("behind"))

    do_exit = do_ret

    def do_bar(self, instruction: Instruction) -> None:
        """Wait for all threads of the block; with a predicate, vote and learn what all have voted."""
        operands, votes = instruction.operands, "red" in instruction.opcode
        kind = tuple(one for one in instruction.opcode if one not in ("cta", "aligned", "all"))
        if kind not in _WAITS or operands[votes:][:1] != ("0",) or len(operands) != (3 if votes else 1):
            self.unknown(instruction)
        self.barriers += 1
        number = self.barriers
        if votes:
            wide = self.value("zext i1 {} to i64", self.get(operands[2], 1))
            place = self.word(VOTES)
            self.line(f"store i64 {self.value('or i64 {}, {}', wide, self.value('load i64, ptr {}', place))}, ptr {place}")
        self.line(f"br label %wait{number}")
        self.lines += [f"wait{number}:", "  br label %save"]
        self._begin_block(f"after{number}")
        if votes:
            self.put(operands[0], self.value("icmp ne i64 {}, 0", self.value("load i64, ptr {}", self.word(VOTE))), 1)

    do_barrier = do_bar

    # Memory

    def do_mov(self, instruction: Instruction) -> None:
        """Copy a register, a number or an address, or put parts together, or take them apart."""
        target, source = instruction.operands
        bits = 1 if instruction.opcode[1] == "pred" else int(instruction.opcode[1][1:])
        if source.startswith("{"):
            self.put(target, self._joined(_parts(source), bits), bits)
        elif target.startswith("{"):
            whole, parts = self.get(source, bits), _parts(target)
            narrow = bits // len(parts)
            for place, part in enumerate(parts):
                moved = self.value(f"lshr i{bits} {{}}, {narrow * place}", whole)
                self.put(part, self.value(f"trunc i{bits} {{}} to i{narrow}", moved), narrow)
        elif special := _SPECIAL.fullmatch(source):
            self.put(target, self._special(special), 32)
        elif source[0] in "%-" or source[0].isdigit():
            self.put(target, self.get(source, bits), bits)
        else:
            self.put(target, self._address(source), 64)

    def _joined(self, parts: list[str], bits: int) -> str:
        """Return a number made of parts, the lowest first."""
        result, narrow = "0", bits // len(parts)
        for place, part in enumerate(parts):
            wide = self.value(f"zext i{narrow} {{}} to i{bits}", self.get(part, narrow))
            result = self.value(f"or i{bits} {{}}, {{}}", result, self.value(f"shl i{bits} {{}}, {narrow * place}", wide))
        return result

    def _special(self, found: re.Match[str]) -> str:
        """Return one of the numbers of a thread, its block or the grid."""
        kind, axis = found.groups()
        if kind == "tid":
            return f"%{axis}"
        place = DYNAMIC if kind is None else _SIZES[kind] + "xyz".index(axis)
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
        if kind[0] == "f" and how == "add":
            new = self.sum(was, given[0], bits)
        elif kind[0] == "f":
            self.unknown(instruction)
        elif how == "cas":
            same = self.value(f"icmp eq i{bits} {{}}, {{}}", was, given[0])
            new = self.value(f"select i1 {{}}, i{bits} {{}}, i{bits} {{}}", same, given[1], was)
        elif how == "exch":
            new = given[0]
        elif how in ("min", "max"):
            new = self.value(f"call i{bits} @llvm.{kind[0]}{how}.i{bits}(i{bits} {{}}, i{bits} {{}})", was, given[0])
        elif how in ("add", "and", "or", "xor"):
            new = self.value(f"{how} i{bits} {{}}, {{}}", was, given[0])
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
            table = self.value("load i64, ptr {}", self.word(CONSTANTS))
            base = self.value("load i64, ptr {}", self.pointer(self.value("add i64 {}, {}", table, str(8 * self.constants[name]))))
        elif name[0] == "%" or name.isdigit():
            base = self.get(name, 64)
        else:
            message = f"this name of PTX is not known: {name}"
            raise NotImplementedError(message)
        return self.value("add i64 {}, {}", base, str(int(more or 0)))

    def _touched(self, instruction: Instruction, place: str, size: int, kind: int) -> str:
        """Return an address that the thread may touch; where it may not, the thread ends."""
        address = self._address(place)
        if not self.touched:
            return address
        self.sites.append(instruction)
        arguments = f"i64 %machine, i64 {address}, i32 {size}, i32 {kind}, i32 {len(self.sites) - 1}, i32 %thread"
        function = self.pointer(self.value("load i64, ptr {}", self.word(TOUCH)))
        answer = self.value(f"call i32 {{}}({arguments})", function)
        right, wrong = self.fresh("right"), self.fresh("wrong")
        self.line(f"br i1 {self.value('icmp eq i32 {}, 0', answer)}, label %{right}, label %{wrong}")
        self.lines += [f"{wrong}:", f"  ret i32 {STRAYED}", f"{right}:"]
        return address


def _label(name: str) -> str:
    return name.replace("$", "L")


def _parts(text: str) -> list[str]:
    return text.strip("{} ").replace(" ", "").split(",")
