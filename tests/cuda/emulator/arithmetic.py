"""Arithmetic of PTX in LLVM's language: registers are integers of their width, and floats are their bits."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, NoReturn

from emulator.ptx import prefix_of

if TYPE_CHECKING:
    from emulator.ptx import Instruction

_FLOATS = {32: "float", 64: "double"}
_SIGNED = {"eq": "eq", "ne": "ne", "lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge"}
_UNSIGNED = {"eq": "eq", "ne": "ne", "lt": "ult", "le": "ule", "gt": "ugt", "ge": "uge", "lo": "ult", "ls": "ule", "hi": "ugt", "hs": "uge"}
_FLOATING = {
    **{name: f"o{name}" for name in ("eq", "lt", "le", "gt", "ge")}, "ne": "one", "num": "ord", "nan": "uno",
    "equ": "ueq", "neu": "une", "ltu": "ult", "leu": "ule", "gtu": "ugt", "geu": "uge",
}  # fmt: skip
_PLAIN = {"add", "sub", "and", "or", "xor"}
_COUNTS = {"popc": "ctpop", "clz": "ctlz"}
_TOWARDS = {"rni": "roundeven", "rzi": "trunc", "rmi": "floor", "rpi": "ceil"}


class Arithmetic:
    """Writes lines of LLVM's language for instructions that touch registers alone."""

    def __init__(self, registers: dict[str, int]) -> None:
        self.registers = registers
        self.lines: list[str] = []
        self.used: set[str] = set()
        self._numbers = count()

    def fresh(self, stem: str) -> str:
        """Return a name that nothing has."""
        return f"{stem}{next(self._numbers)}"

    def line(self, text: str) -> None:
        """Write a line."""
        self.lines.append(f"  {text}")

    def value(self, template: str, *operands: str) -> str:
        """Write a line that makes a value, and return its name."""
        name = f"%{self.fresh('v')}"
        self.line(f"{name} = {template.format(*operands)}")
        return name

    def unknown(self, instruction: Instruction) -> NoReturn:
        """Say that an instruction is not one of those that kernels have had so far."""
        message = f"this instruction of PTX is not known yet: {instruction}"
        raise NotImplementedError(message)

    def type_of(self, register: str) -> str:
        """Return the type of a register's slot."""
        bits = self.registers.get(register) or self.registers.get(prefix_of(register))
        if bits is None:
            message = f"this register of PTX is not known yet: {register}"
            raise NotImplementedError(message)
        return f"i{bits}"

    def get(self, operand: str, bits: int) -> str:
        """Return the low bits of a register or of a number, as an integer."""
        if operand.startswith("%"):
            self.used.add(operand)
            kind = self.type_of(operand)
            found = self.value(f"load {kind}, ptr {{}}", slot(operand))
            width = int(kind[1:])
            if width == bits:
                return found
            return self.value(f"trunc {kind} {{}} to i{bits}" if width > bits else f"zext {kind} {{}} to i{bits}", found)
        if operand[:2] in ("0d", "0f"):
            return str(int(operand[2:], 16))
        return str(int(operand.rstrip("U"), 0) & (1 << bits) - 1)

    def put(self, register: str, value: str, bits: int, signed: bool = False) -> None:
        """Write a value into a register, widened where that is wider; `_` is none."""
        if register == "_":
            return
        self.used.add(register)
        kind = self.type_of(register)
        width = int(kind[1:])
        if width != bits:
            value = self.value(
                f"{'sext' if signed else 'zext'} i{bits} {{}} to {kind}" if width > bits else f"trunc i{bits} {{}} to {kind}", value
            )
        self.line(f"store {kind} {value}, ptr {slot(register)}")

    def number(self, operand: str, bits: int) -> str:
        """Return a float."""
        return self.as_number(self.get(operand, bits), bits)

    def as_number(self, value: str, bits: int) -> str:
        """Return the float that an integer's bits are."""
        return self.value(f"bitcast i{bits} {{}} to {_FLOATS[bits]}", value)

    def sum(self, one: str, other: str, bits: int) -> str:
        """Return the bits of a sum of floats, given their bits."""
        result = self.value(f"fadd {_FLOATS[bits]} {{}}, {{}}", self.as_number(one, bits), self.as_number(other, bits))
        return self.value(f"bitcast {_FLOATS[bits]} {{}} to i{bits}", result)

    def put_number(self, register: str, value: str, bits: int) -> None:
        """Write a float into a register."""
        self.put(register, self.value(f"bitcast {_FLOATS[bits]} {{}} to i{bits}", value), bits)

    def compute(self, instruction: Instruction) -> None:
        """Write an instruction: all have the type of their operands at the end."""
        name, kind = instruction.opcode[0], instruction.opcode[-1]
        method = getattr(self, f"on_{name}", None)
        if method:
            method(instruction)
        elif kind[0] == "f":
            self._floating(instruction, name, int(kind[1:]))
        else:
            self._integer(instruction, name, kind)

    # Integers

    def _integer(self, instruction: Instruction, name: str, kind: str) -> None:
        bits, signed = (1, False) if kind == "pred" else (int(kind[1:]), kind[0] == "s")
        whole = f"i{bits}"
        if len(instruction.opcode) > 2:  # such as .sat or .cc
            self.unknown(instruction)
        target, *given = instruction.operands
        if name in ("shl", "shr"):
            self.put(target, self._shifted(name, given, bits, signed), bits, signed)
            return
        values = [self.get(one, bits) for one in given]
        if name in _PLAIN:
            result = self.value(f"{name} {whole} {{}}, {{}}", *values)
        elif name == "not":
            result = self.value(f"xor {whole} {{}}, -1", *values)
        elif name == "neg":
            result = self.value(f"sub {whole} 0, {{}}", *values)
        elif name == "abs":
            result = self.value(f"call {whole} @llvm.abs.{whole}({whole} {{}}, i1 false)", *values)
        elif name in ("min", "max"):
            result = self.value(f"call {whole} @llvm.{'s' if signed else 'u'}{name}.{whole}({whole} {{}}, {whole} {{}})", *values)
        elif name in ("div", "rem"):
            result = self._divided(name, values, bits, signed)
        elif name == "brev":
            result = self.value(f"call {whole} @llvm.bitreverse.{whole}({whole} {{}})", *values)
        elif name in _COUNTS:
            more = ", i1 false" if name == "clz" else ""
            result = self.value(f"call {whole} @llvm.{_COUNTS[name]}.{whole}({whole} {{}}{more})", *values)
        else:
            self.unknown(instruction)
        self.put(target, result, bits, signed)

    def _shifted(self, name: str, given: list[str], bits: int, signed: bool) -> str:
        """Shift; by more than all bits gives what is left of the number: 0, or its sign."""
        whole = f"i{bits}"
        number, steps = self.get(given[0], bits), self.get(given[1], 32)
        how = "shl" if name == "shl" else "ashr" if signed else "lshr"
        most = self.value(f"call i32 @llvm.umin.i32(i32 {{}}, i32 {bits - 1})", steps)
        narrow = most if bits == 32 else self.value(f"{'zext' if bits > 32 else 'trunc'} i32 {{}} to {whole}", most)
        result = self.value(f"{how} {whole} {{}}, {{}}", number, narrow)
        if how == "ashr":
            return result
        beyond = self.value(f"icmp uge i32 {{}}, {bits}", steps)
        return self.value(f"select i1 {{}}, {whole} 0, {whole} {{}}", beyond, result)

    def _divided(self, name: str, values: list[str], bits: int, signed: bool) -> str:
        """Divide; by 0 gives all ones, and the smallest number by -1 itself, where a processor would stop."""
        whole = f"i{bits}"
        zero = self.value(f"icmp eq {whole} {{}}, 0", values[1])
        safe = self.value(f"select i1 {{}}, {whole} 1, {whole} {{}}", zero, values[1])
        if signed:
            smallest = self.value(f"icmp eq {whole} {{}}, {-(1 << bits - 1)}", values[0])
            minus = self.value(f"icmp eq {whole} {{}}, -1", safe)
            safe = self.value(f"select i1 {{}}, {whole} 1, {whole} {{}}", self.value("and i1 {}, {}", smallest, minus), safe)
        result = self.value(f"{'s' if signed else 'u'}{name} {whole} {{}}, {{}}", values[0], safe)
        return self.value(f"select i1 {{}}, {whole} -1, {whole} {{}}", zero, result)

    def on_mul(self, instruction: Instruction) -> None:
        """Multiply: the low half, the high half, or all."""
        kind = instruction.opcode[-1]
        if kind[0] == "f":
            self._floating(instruction, "mul", int(kind[1:]))
            return
        value, bits = self._product(instruction)
        self.put(instruction.operands[0], value, bits, kind[0] == "s")

    def on_mad(self, instruction: Instruction) -> None:
        """Multiply and add."""
        value, bits = self._product(instruction)
        result = self.value(f"add i{bits} {{}}, {{}}", value, self.get(instruction.operands[3], bits))
        self.put(instruction.operands[0], result, bits, instruction.opcode[-1][0] == "s")

    def _product(self, instruction: Instruction) -> tuple[str, int]:
        part, kind = instruction.opcode[1], instruction.opcode[-1]
        if part not in ("lo", "hi", "wide") or len(instruction.opcode) > 3:
            self.unknown(instruction)
        bits, extend = int(kind[1:]), "sext" if kind[0] == "s" else "zext"
        values = [self.get(operand, bits) for operand in instruction.operands[1:3]]
        if part == "lo":
            return self.value(f"mul i{bits} {{}}, {{}}", *values), bits
        wide = f"i{2 * bits}"
        whole = self.value(f"mul {wide} {{}}, {{}}", *(self.value(f"{extend} i{bits} {{}} to {wide}", value) for value in values))
        if part == "wide":
            return whole, 2 * bits
        return self.value(f"trunc {wide} {{}} to i{bits}", self.value(f"lshr {wide} {{}}, {bits}", whole)), bits

    def on_setp(self, instruction: Instruction) -> None:
        """Compare."""
        compare, kind = instruction.opcode[1], instruction.opcode[-1]
        target, *given = instruction.operands
        if len(given) != 2 or len(instruction.opcode) > 3 or "|" in target:  # with another predicate, .ftz, or two results
            self.unknown(instruction)
        bits = int(kind[1:])
        if kind[0] == "f":
            result = self.value(f"fcmp {_FLOATING[compare]} {_FLOATS[bits]} {{}}, {{}}", *(self.number(one, bits) for one in given))
        else:
            names = _SIGNED if kind[0] == "s" else _UNSIGNED
            result = self.value(f"icmp {names[compare]} i{bits} {{}}, {{}}", *(self.get(one, bits) for one in given))
        self.put(target, result, 1)

    def on_selp(self, instruction: Instruction) -> None:
        """Choose one of two."""
        target, yes, no, condition = instruction.operands
        bits = int(instruction.opcode[-1][1:])
        chosen = self.value(f"select i1 {{}}, i{bits} {{}}, i{bits} {{}}", self.get(condition, 1), self.get(yes, bits), self.get(no, bits))
        self.put(target, chosen, bits)

    def on_bfind(self, instruction: Instruction) -> None:
        """Return the place of the highest bit, or how far it is from the top; all ones where there is none."""
        target, given = instruction.operands
        kind, modifiers = instruction.opcode[-1], instruction.opcode[1:-1]
        if kind[0] != "u" or modifiers not in ((), ("shiftamt",)):
            self.unknown(instruction)
        bits, number = int(kind[1:]), self.get(given, int(kind[1:]))
        result = self.value(f"call i{bits} @llvm.ctlz.i{bits}(i{bits} {{}}, i1 false)", number)
        if modifiers:
            result = self.value(f"select i1 {{}}, i{bits} -1, i{bits} {{}}", self.value(f"icmp eq i{bits} {{}}, 0", number), result)
        else:
            result = self.value(f"sub i{bits} {bits - 1}, {{}}", result)
        self.put(target, result, bits)

    def on_bfi(self, instruction: Instruction) -> None:
        """Put bits of one number into another."""
        target, source, base, place, length = instruction.operands
        bits = int(instruction.opcode[-1][1:])
        if not (place.isdigit() and length.isdigit() and int(place) < bits):
            self.unknown(instruction)
        mask = (1 << int(length)) - 1 << int(place) & (1 << bits) - 1
        moved = self.value(f"shl i{bits} {{}}, {place}", self.get(source, bits))
        kept = self.value(f"and i{bits} {{}}, {~mask & (1 << bits) - 1}", self.get(base, bits))
        self.put(target, self.value(f"or i{bits} {{}}, {{}}", self.value(f"and i{bits} {{}}, {mask}", moved), kept), bits)

    def on_prmt(self, instruction: Instruction) -> None:
        """Choose four of the eight bytes of two numbers, or their signs."""
        target, low, high, selector = instruction.operands
        if instruction.opcode != ("prmt", "b32") or selector.startswith("%"):
            self.unknown(instruction)
        wide = [self.value("zext i32 {} to i64", self.get(one, 32)) for one in (low, high)]
        whole = self.value("or i64 {}, {}", wide[0], self.value("shl i64 {}, 32", wide[1]))
        result = "0"
        for place in range(4):
            chosen = int(selector.rstrip("U"), 0) >> 4 * place & 15
            byte = self.value("trunc i64 {} to i8", self.value(f"lshr i64 {{}}, {8 * (chosen & 7)}", whole))
            if chosen & 8:
                byte = self.value("ashr i8 {}, 7", byte)
            moved = self.value(f"shl i32 {{}}, {8 * place}", self.value("zext i8 {} to i32", byte))
            result = self.value("or i32 {}, {}", result, moved)
        self.put(target, result, 32)

    def on_shf(self, instruction: Instruction) -> None:
        """Shift two numbers as one, and take the end that comes out."""
        target, low, high, steps = instruction.operands
        if instruction.opcode[2:] != ("wrap", "b32"):
            self.unknown(instruction)
        side = {"l": "fshl", "r": "fshr"}[instruction.opcode[1]]
        values = self.get(high, 32), self.get(low, 32), self.get(steps, 32)
        self.put(target, self.value(f"call i32 @llvm.{side}.i32(i32 {{}}, i32 {{}}, i32 {{}})", *values), 32)

    def on_dp4a(self, instruction: Instruction) -> None:
        """Add four products of bytes."""
        target, one, other, total = instruction.operands
        if instruction.opcode[1:] != ("u32", "u32"):
            self.unknown(instruction)
        self.put(target, self._dotted(self.get(one, 32), self.get(other, 32), self.get(total, 32), 8, range(4)), 32)

    def on_dp2a(self, instruction: Instruction) -> None:
        """Add two products, of the halves of one number and the low bytes of another."""
        target, one, other, total = instruction.operands
        if instruction.opcode[1:] != ("lo", "u32", "u32"):
            self.unknown(instruction)
        self.put(target, self._dotted(self.get(one, 32), self.get(other, 32), self.get(total, 32), 16, range(2)), 32)

    def _dotted(self, one: str, other: str, total: str, bits: int, parts: range) -> str:
        for part in parts:
            left = self.value(f"and i32 {{}}, {(1 << bits) - 1}", self.value(f"lshr i32 {{}}, {bits * part}", one))
            right = self.value("and i32 {}, 255", self.value(f"lshr i32 {{}}, {8 * part}", other))
            total = self.value("add i32 {}, {}", total, self.value("mul i32 {}, {}", left, right))
        return total

    # Floats

    def _floating(self, instruction: Instruction, name: str, bits: int) -> None:
        kind, modifiers = _FLOATS[bits], set(instruction.opcode[1:-1])
        target, *given = instruction.operands
        if modifiers - {"rn"} and (name, modifiers) != ("rcp", {"approx", "ftz"}):
            self.unknown(instruction)
        values = [self.number(one, bits) for one in given]
        if name in ("add", "sub", "mul", "div"):
            result = self.value(f"f{name} {kind} {{}}, {{}}", *values)
        elif name in ("fma", "sqrt"):
            result = self._called(name, values, bits)
        elif name == "copysign":  # the second number, with the sign of the first
            result = self._called(name, values[::-1], bits)
        elif name == "abs":
            result = self._called("fabs", values, bits)
        elif name == "rcp":  # to 23 bits on a GPU, as the start of an iteration
            result = self.value(f"fdiv {kind} 1.0, {{}}", *values)
        elif name == "neg":
            result = self.value(f"fneg {kind} {{}}", *values)
        elif name in ("min", "max"):
            result = self._extreme(name, values, kind, bits)
        else:
            self.unknown(instruction)
        self.put_number(target, result, bits)

    def _called(self, name: str, values: list[str], bits: int) -> str:
        """Return what a function of LLVM makes of floats."""
        kind = _FLOATS[bits]
        return self.value(f"call {kind} @llvm.{name}.f{bits}({', '.join(f'{kind} {value}' for value in values)})")

    def _extreme(self, name: str, values: list[str], kind: str, bits: int) -> str:
        """Return the smaller or larger number, the other where one is NaN; -0 is smaller than 0."""
        one, other = values
        before = self.value(f"fcmp o{'lt' if name == 'min' else 'gt'} {kind} {{}}, {{}}", one, other)
        result = self.value(f"select i1 {{}}, {kind} {{}}, {kind} {{}}", before, one, other)
        words = [self.value(f"bitcast {kind} {{}} to i{bits}", value) for value in values]
        joined = self.value(f"{'or' if name == 'min' else 'and'} i{bits} {{}}, {{}}", *words)
        equal = self.value(f"fcmp oeq {kind} {{}}, {{}}", one, other)
        result = self.value(
            f"select i1 {{}}, {kind} {{}}, {kind} {{}}", equal, self.value(f"bitcast i{bits} {{}} to {kind}", joined), result
        )
        for value, instead in ((one, other), (other, one)):
            missing = self.value(f"fcmp uno {kind} {{}}, {{}}", value, value)
            result = self.value(f"select i1 {{}}, {kind} {{}}, {kind} {{}}", missing, instead, result)
        return result

    def on_cvt(self, instruction: Instruction) -> None:
        """Convert between widths, and between integers and floats."""
        *modifiers, into, source = instruction.opcode[1:]
        target, given = instruction.operands
        new, old = int(into[1:]), int(source[1:])
        match into[0], source[0], tuple(modifiers):
            case "f", "f", () if new > old:
                self.put_number(target, self.value(f"fpext {_FLOATS[old]} {{}} to {_FLOATS[new]}", self.number(given, old)), new)
            case "f", "f", ("rn",) if new < old:
                self.put_number(target, self.value(f"fptrunc {_FLOATS[old]} {{}} to {_FLOATS[new]}", self.number(given, old)), new)
            case "f", "f", ("sat",) if new == old:
                self.put_number(target, self._saturated(self.number(given, old), _FLOATS[old]), new)
            case "f", "f", (("rni" | "rzi" | "rmi" | "rpi") as how,) if new == old:
                self.put_number(target, self._called(_TOWARDS[how], [self.number(given, old)], old), new)
            case "f", "s" | "u", ("rn",):
                number = self.value(f"{source[0]}itofp i{old} {{}} to {_FLOATS[new]}", self.get(given, old))
                self.put_number(target, number, new)
            case "s" | "u", "f", (("rni" | "rzi" | "rmi" | "rpi") as how,):
                number = self.number(given, old)
                whole = number if how == "rzi" else self._called(_TOWARDS[how], [number], old)
                self.put(target, self._truncated(whole, old, new, into[0] == "s"), new, into[0] == "s")
            case "s" | "u", "s" | "u", ():
                self.put(target, self._resized(self.get(given, old), old, new, source[0] == "s"), new, into[0] == "s")
            case _:
                self.unknown(instruction)

    def _resized(self, value: str, old: int, new: int, signed: bool) -> str:
        if old == new:
            return value
        return self.value(f"{'trunc' if new < old else 'sext' if signed else 'zext'} i{old} {{}} to i{new}", value)

    def _saturated(self, number: str, kind: str) -> str:
        """Return a number within 0 … 1; NaN becomes 0."""
        above = self.value(f"fcmp ogt {kind} {{}}, 0.0", number)
        result = self.value(f"select i1 {{}}, {kind} {{}}, {kind} 0.0", above, number)
        beyond = self.value(f"fcmp ogt {kind} {{}}, 1.0", result)
        return self.value(f"select i1 {{}}, {kind} 1.0, {kind} {{}}", beyond, result)

    def _truncated(self, number: str, old: int, new: int, signed: bool) -> str:
        """Return the integer towards 0, or the nearest there is; NaN becomes 0, or the highest bit where a side has 64."""
        letter, kind = "s" if signed else "u", _FLOATS[old]
        result = self.value(f"call i{new} @llvm.fpto{letter}i.sat.i{new}.f{old}({kind} {{}})", number)
        if old != 64 and new != 64:
            return result
        missing = self.value(f"fcmp uno {kind} {{}}, {{}}", number, number)
        return self.value(f"select i1 {{}}, i{new} {-(1 << new - 1)}, i{new} {{}}", missing, result)


def slot(register: str) -> str:
    """Return where a register lies."""
    return f"%R.{register[1:]}"


def declarations(text: str) -> str:
    """Return declarations of LLVM's functions that a text calls."""
    found = {}
    for kind, name, arguments in re.findall(r"call (\w+) @(llvm[\w.]+)\(([^)]*)\)", text):
        found[name] = f"declare {kind} @{name}({', '.join(one.split()[0] for one in arguments.split(','))})"
    return "\n".join(found.values())
