"""Every instruction that the emulator knows, in lines of PTX written by hand, against Python and NumPy on awkward numbers."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from emulator import card, checks, grid, ptx
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cuda

from tamis_kernels import device

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

WORDS = [
    0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 0x7F, 0x80, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
    0x100000000, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF80000000, 0x123456789ABCDEF0,
]  # fmt: skip
NUMBERS = [
    0.0, -0.0, 1.0, -1.0, 0.1, -0.1, 0.5, 1.5, 2.5, -2.5, 2**24 + 1.0, 2**31 - 0.5, 2.0**31, -(2.0**31), -(2.0**31) - 1, 2.0**32,
    2.0**53 + 2, 2.0**63, -(2.0**63), 2.0**64, 1e-320, 1e-45, 3e38, 1e300, -1e300, math.inf, -math.inf, math.nan,
]  # fmt: skip
word = st.one_of(st.sampled_from(WORDS), st.integers(0, 2**64 - 1))
number = st.one_of(st.sampled_from(NUMBERS), st.floats())


@cache
def compiled(line: str) -> grid.Program:
    """Return a kernel whose threads run a line: `{d}` is made of `{a}`, `{b}` and `{c}`, with the width of a register behind each."""
    found = dict(re.findall(r"\{(\w)(\d+)\}", line))
    register = {"1": "%p", "16": "%rs", "32": "%r", "64": "%rd"}
    names = {name: f"{register[width]}{'dabc'.index(name) + 1}" for name, width in found.items()}
    text = re.sub(r"\{(\w)\d+\}", lambda one: names[one[1]], line)
    loads = "\n".join(f"ld.global.u{found[name]} {names[name]}, [%rd11+{8 * 'abc'.index(name)}];" for name in "abc" if name in found)
    ends = {"1": f"selp.b64 %rd20, 1, 0, {names['d']};", "16": f"cvt.u64.u16 %rd20, {names['d']};"}
    end = ends.get(found["d"], f"{'mov.u64' if found['d'] == '64' else 'cvt.u64.u32'} %rd20, {names['d']};")
    parameters = ",\n".join(f".param .u64 p{number}" for number in range(16))
    return grid.translated("hand", f""".visible .entry hand(
{parameters}
)
{{
.reg .pred %p<9>;
.reg .b16 %rs<9>;
.reg .b32 %r<19>;
.reg .b64 %rd<29>;
mov.u32 %r11, %tid.x;
ld.param.u64 %rd11, [p4];
ld.param.u64 %rd12, [p13];
mad.wide.u32 %rd11, %r11, 24, %rd11;
mad.wide.u32 %rd12, %r11, 8, %rd12;
{loads}
{text}
{end}
st.global.u64 [%rd12], %rd20;
ret;
}}""", touch=checks.touch.address)  # fmt: skip


def run(line: str, rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return what a line makes of each row of three words."""
    out = np.zeros(len(rows), np.uint64)
    for first in range(0, len(rows), 1024):
        part = np.ascontiguousarray(rows[first : first + 1024])
        grid.Grid(compiled(line), (1, 1, 1), (len(part), 1, 1), 0, [part, out[first : first + 1024]], checked=True).run()
    return out


def signed(value: int, bits: int) -> int:
    return (value & (1 << bits) - 1) - (1 << bits if value >> bits - 1 & 1 else 0)


def quotient(one: int, other: int) -> int:
    return abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)


def chosen(one: int, other: int, selector: int) -> int:
    """Return four of eight bytes; of one whose number has its high bit set, the sign eight times."""
    whole = (one | other << 32).to_bytes(8, "little")
    found = []
    for place in range(4):
        byte = whole[selector >> 4 * place & 7]
        found.append(byte if not selector >> 4 * place & 8 else 255 if byte >> 7 else 0)
    return int.from_bytes(bytes(found), "little")


Case = tuple[str, "Callable[[int, int, int], int | None]"]
"""A line, and what it makes of its operands, which are unsigned; None where PTX does not say."""
PARTS: list[Case] = [
    ("bfi.b32 {d32}, {a32}, {b32}, 5, 9;", lambda a, b, _: b & ~(511 << 5) | (a & 511) << 5),
    ("bfi.b32 {d32}, {a32}, {b32}, 28, 9;", lambda a, b, _: b & ~(15 << 28) | (a & 15) << 28),
    ("bfi.b64 {d64}, {a64}, {b64}, 32, 32;", lambda a, b, _: b & 0xFFFFFFFF | (a & 0xFFFFFFFF) << 32),
    ("prmt.b32 {d32}, {a32}, {b32}, 0x7531U;", lambda a, b, _: chosen(a, b, 0x7531)),
    ("prmt.b32 {d32}, {a32}, {b32}, 0xF84C;", lambda a, b, _: chosen(a, b, 0xF84C)),
    ("shf.l.wrap.b32 {d32}, {a32}, {b32}, {c32};", lambda a, b, c: (b << 32 | a) << (c & 31) >> 32),
    ("shf.r.wrap.b32 {d32}, {a32}, {b32}, {c32};", lambda a, b, c: (b << 32 | a) >> (c & 31)),
    ("dp4a.u32.u32 {d32}, {a32}, {b32}, {c32};", lambda a, b, c: c + sum((a >> s & 255) * (b >> s & 255) for s in (0, 8, 16, 24))),
    ("dp2a.lo.u32.u32 {d32}, {a32}, {b32}, {c32};", lambda a, b, c: c + (a & 0xFFFF) * (b & 255) + (a >> 16) * (b >> 8 & 255)),
    ("mov.b64 {d64}, {{a32}, {b32}};", lambda a, b, _: b << 32 | a),
    ("mov.b32 {d32}, {{a16}, {b16}};", lambda a, b, _: b << 16 | a),
    ("mov.b64 {_, {d32}}, {a64};", lambda a, *_: a >> 32),
    ("mov.b32 {{d16}, _}, {a32};", lambda a, *_: a),
    ("cvt.s64.s32 {d64}, {a32};", lambda a, *_: signed(a, 32)),
    ("cvt.u64.u32 {d64}, {a32};", lambda a, *_: a),
    ("cvt.s32.s8 {d32}, {a32};", lambda a, *_: signed(a, 8)),
    ("cvt.u32.u8 {d32}, {a32};", lambda a, *_: a & 255),
    ("cvt.s16.s8 {d16}, {a64};", lambda a, *_: signed(a, 8)),
    ("cvt.u16.u64 {d16}, {a64};", lambda a, *_: a),
    ("setp.lt.u32 %p8, {a32}, {b32};\nnot.pred {d1}, %p8;", lambda a, b, _: a >= b),
    ("setp.lt.u32 %p8, {a32}, {b32};\nsetp.lt.u32 %p7, {b32}, {c32};\nxor.pred {d1}, %p8, %p7;", lambda a, b, c: (a < b) != (b < c)),
]


def sized(bits: int) -> list[Case]:
    """Return lines whose operands have so many bits."""
    a, b, c, d = (f"{{{name}{bits}}}" for name in "abcd")
    greater = f"setp.gt.s{bits} %p8, {a}, {b};"

    def of(value: int) -> int:
        return signed(value, bits)

    cases: list[Case] = [
        (f"shl.b{bits} {d}, {a}, {{b32}};", lambda a, b, _: a << b if b < bits else 0),
        (f"shr.u{bits} {d}, {a}, {{b32}};", lambda a, b, _: a >> b if b < bits else 0),
        (f"shr.s{bits} {d}, {a}, {{b32}};", lambda a, b, _: of(a) >> min(b, bits)),
        (f"add.s{bits} {d}, {a}, {b};", lambda a, b, _: a + b),
        (f"sub.u{bits} {d}, {a}, {b};", lambda a, b, _: a - b),
        (f"neg.s{bits} {d}, {a};", lambda a, *_: -a),
        (f"abs.s{bits} {d}, {a};", lambda a, *_: abs(of(a))),
        (f"and.b{bits} {d}, {a}, {b};", lambda a, b, _: a & b),
        (f"or.b{bits} {d}, {a}, {b};", lambda a, b, _: a | b),
        (f"xor.b{bits} {d}, {a}, -2;", lambda a, *_: a ^ -2),
        (f"not.b{bits} {d}, {a};", lambda a, *_: ~a),
        (f"min.u{bits} {d}, {a}, {b};", lambda a, b, _: min(a, b)),
        (f"max.s{bits} {d}, {a}, {b};", lambda a, b, _: max(of(a), of(b))),
        (f"div.u{bits} {d}, {a}, {b};", lambda a, b, _: a // b if b else None),
        (f"rem.u{bits} {d}, {a}, {b};", lambda a, b, _: a % b if b else None),
        (f"div.s{bits} {d}, {a}, {b};", lambda a, b, _: quotient(of(a), of(b)) if b else None),
        (f"rem.s{bits} {d}, {a}, {b};", lambda a, b, _: of(a) - quotient(of(a), of(b)) * of(b) if b else None),
        (f"mul.lo.s{bits} {d}, {a}, {b};", lambda a, b, _: a * b),
        (f"mul.hi.u{bits} {d}, {a}, {b};", lambda a, b, _: a * b >> bits),
        (f"mul.hi.s{bits} {d}, {a}, {b};", lambda a, b, _: of(a) * of(b) >> bits),
        (f"mad.lo.s{bits} {d}, {a}, {b}, {c};", lambda a, b, c: a * b + c),
        (f"setp.lt.s{bits} {{d1}}, {a}, {b};", lambda a, b, _: of(a) < of(b)),
        (f"setp.lt.u{bits} {{d1}}, {a}, {b};", lambda a, b, _: a < b),
        (f"setp.ge.u{bits} {{d1}}, {a}, {b};", lambda a, b, _: a >= b),
        (f"setp.ne.b{bits} {{d1}}, {a}, {b};", lambda a, b, _: a != b),
        (f"{greater}\nselp.b{bits} {d}, {a}, {c}, %p8;", lambda a, b, c: a if of(a) > of(b) else c),
        (f"{greater}\nmov.u{bits} {d}, {c};\n@!%p8 mov.u{bits} {d}, {a};", lambda a, b, c: c if of(a) > of(b) else a),
        (f"{greater}\nmov.u{bits} {d}, {c};\n@%p8 bra $on;\nmov.u{bits} {d}, {a};\n$on:", lambda a, b, c: c if of(a) > of(b) else a),
    ]
    if bits < 64:
        wide = f"{{d{2 * bits}}}"
        cases += [
            (f"mul.wide.u{bits} {wide}, {a}, {b};", lambda a, b, _: a * b),
            (f"mul.wide.s{bits} {wide}, {a}, {b};", lambda a, b, _: of(a) * of(b)),
            (f"mad.wide.u{bits} {wide}, {a}, {b}, {{c{2 * bits}}};", lambda a, b, c: a * b + c),
        ]
    if bits > 16:
        cases += [
            (f"popc.b{bits} {{d32}}, {a};", lambda a, *_: a.bit_count()),
            (f"clz.b{bits} {{d32}}, {a};", lambda a, *_: bits - a.bit_length()),
            (f"brev.b{bits} {d}, {a};", lambda a, *_: int(f"{a:0{bits}b}"[::-1], 2)),
            (f"bfind.u{bits} {{d32}}, {a};", lambda a, *_: a.bit_length() - 1),
            (f"bfind.shiftamt.u{bits} {{d32}}, {a};", lambda a, *_: bits - a.bit_length() if a else -1),
        ]
    return cases


def name_of(value: object) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("line", "right"), [*PARTS, *sized(16), *sized(32), *sized(64)], ids=name_of)
@settings(max_examples=5)
@given(drawn=st.lists(st.tuples(word, word, word), max_size=30))
def test_integers(line: str, right: Callable[[int, int, int], int | None], drawn: list[tuple[int, int, int]]) -> None:
    widths = dict(re.findall(r"\{(\w)(\d+)\}", line))
    rows = [*zip(*zip(*product(WORDS, WORDS), strict=True), WORDS[::-1] * len(WORDS), strict=True), *drawn]
    masks = {name: (1 << int(width)) - 1 for name, width in widths.items()}
    for row, found in zip(rows, run(line, np.array(rows, np.uint64)).tolist(), strict=True):
        expected = right(*(value & masks.get(name, 0) for name, value in zip("abc", row, strict=True)))
        assert expected is None or found == expected & masks["d"], (line, row)


def as_float(value: int, bits: int) -> Any:
    return np.array([value], np.uint64).astype(f"u{bits // 8}").view(f"f{bits // 8}")[0]


def fused(a: Any, b: Any, c: Any) -> Any:
    """Return a product and sum that are rounded once; None where a double is not enough to say."""
    kind = type(a)
    if not all(map(np.isfinite, (a, b, c))):
        return a * b + c
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if exact == 0 or not 1e-30 < abs(exact) < 1e30:
        return None
    near = kind(float(exact))  # may have been rounded twice
    others = [near, np.nextafter(near, kind(math.inf)), np.nextafter(near, kind(-math.inf))]
    return min(others, key=lambda one: (abs(Fraction(float(one)) - exact), int(one.view(f"u{one.nbytes}")) & 1))


def whole_number(value: Any, target: str, towards: Callable[[float], float]) -> int:
    """Return what PTX makes of a float: NaN is 0, or the highest bit where a side has 64, and what is too large the nearest there is."""
    bits = int(target[1:])
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if target[0] == "s" else (0, (1 << bits) - 1)
    if np.isnan(value):
        return 1 << bits - 1 if bits == 64 or value.nbytes == 8 else 0
    if np.isinf(value):
        return high if value > 0 else low
    return max(low, min(high, int(towards(float(value)))))


def smaller(a: Any, b: Any) -> Any:
    """Return the smaller number, the one where the other is none; -0 is smaller than 0."""
    if np.isnan(a) or np.isnan(b):
        return b if np.isnan(a) else a
    return a if (a, not np.signbit(a)) < (b, not np.signbit(b)) else b


FloatCase = tuple[str, "Callable[[Any, Any, Any], Any]"]


def floating(bits: int) -> list[FloatCase]:
    """Return lines whose operands are floats of so many bits, and what they make of them: a float, or a whole number."""
    a, b, c, d = (f"{{{name}{bits}}}" for name in "abcd")
    cases: list[FloatCase] = [
        (f"add.rn.f{bits} {d}, {a}, {b};", lambda a, b, _: a + b),
        (f"sub.f{bits} {d}, {a}, {b};", lambda a, b, _: a - b),
        (f"mul.rn.f{bits} {d}, {a}, {b};", lambda a, b, _: a * b),
        (f"div.rn.f{bits} {d}, {a}, {b};", lambda a, b, _: a / b),
        (f"sqrt.rn.f{bits} {d}, {a};", lambda a, *_: np.sqrt(a)),
        (f"fma.rn.f{bits} {d}, {a}, {b}, {c};", fused),
        (f"abs.f{bits} {d}, {a};", lambda a, *_: abs(a)),
        (f"neg.f{bits} {d}, {a};", lambda a, *_: -a),
        (f"copysign.f{bits} {d}, {a}, {b};", lambda a, b, _: np.copysign(b, a)),
        (f"min.f{bits} {d}, {a}, {b};", lambda a, b, _: smaller(a, b)),
        (f"max.f{bits} {d}, {a}, {b};", lambda a, b, _: -smaller(-a, -b)),
        (f"cvt.sat.f{bits}.f{bits} {d}, {a};", lambda a, *_: type(a)(0) if not a > 0 else min(a, type(a)(1))),
        (f"cvt.rni.f{bits}.f{bits} {d}, {a};", lambda a, *_: np.rint(a)),
        (f"cvt.rzi.f{bits}.f{bits} {d}, {a};", lambda a, *_: np.trunc(a)),
        (f"cvt.rmi.f{bits}.f{bits} {d}, {a};", lambda a, *_: np.floor(a)),
        (f"cvt.rpi.f{bits}.f{bits} {d}, {a};", lambda a, *_: np.ceil(a)),
        (f"setp.eq.f{bits} {{d1}}, {a}, {b};", lambda a, b, _: int(a == b)),
        (f"setp.ne.f{bits} {{d1}}, {a}, {b};", lambda a, b, _: int(a < b or a > b)),
        (f"setp.neu.f{bits} {{d1}}, {a}, {b};", lambda a, b, _: int(a != b)),
        (f"setp.lt.f{bits} {{d1}}, {a}, {b};", lambda a, b, _: int(a < b)),
        (f"setp.geu.f{bits} {{d1}}, {a}, {b};", lambda a, b, _: int(not a < b)),
        (f"setp.num.f{bits} {{d1}}, {a}, {b};", lambda a, b, _: int(not np.isnan(a) and not np.isnan(b))),
        (f"setp.nan.f{bits} {{d1}}, {a}, {b};", lambda a, b, _: int(np.isnan(a) or np.isnan(b))),
        ("cvt.f64.f32 {d64}, {a32};" if bits == 32 else "cvt.rn.f32.f64 {d32}, {a64};", lambda a, *_: a.astype(f"f{12 - a.nbytes}")),
    ]
    for target in ("s32", "u32", "s64", "u64"):
        into = f"{{d{target[1:]}}}"
        cases += [
            (f"cvt.rzi.{target}.f{bits} {into}, {a};", lambda a, *_, target=target: whole_number(a, target, math.trunc)),
            (f"cvt.rni.{target}.f{bits} {into}, {a};", lambda a, *_, target=target: whole_number(a, target, round)),
            (f"cvt.rmi.{target}.f{bits} {into}, {a};", lambda a, *_, target=target: whole_number(a, target, math.floor)),
            (f"cvt.rpi.{target}.f{bits} {into}, {a};", lambda a, *_, target=target: whole_number(a, target, math.ceil)),
        ]
    return cases


@pytest.mark.parametrize(
    ("bits", "line", "right"),
    [(bits, *case) for bits in (32, 64) for case in floating(bits)],
    ids=name_of,
)
@settings(max_examples=5)
@given(drawn=st.lists(st.tuples(number, number, number), max_size=30))
def test_floats(bits: int, line: str, right: Callable[[Any, Any, Any], Any], drawn: list[tuple[float, float, float]]) -> None:
    rows = [*zip(*zip(*product(NUMBERS, NUMBERS), strict=True), NUMBERS[::-1] * len(NUMBERS), strict=True), *drawn]
    with np.errstate(all="ignore"):
        numbers = np.array(rows).astype(f"f{bits // 8}")
        found = run(line, numbers.view(f"u{bits // 8}").astype(np.uint64)).tolist()
        for row, word in zip(numbers, found, strict=True):
            expected = right(*row)
            if expected is None:
                continue
            if isinstance(expected, int):
                width = int(re.findall(r"\{d(\d+)\}", line)[0])
                assert word == expected & (1 << width) - 1, (line, row)
            elif np.isnan(expected):
                assert np.isnan(as_float(word, 8 * expected.nbytes)), (line, row)
            else:
                assert word == int(expected.view(f"u{expected.nbytes}")), (line, row)


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("source", ["s32", "u32", "s64", "u64"])
@settings(max_examples=20)
@given(drawn=st.lists(word, max_size=50))
def test_whole_numbers_become_the_nearest_floats(kind: str, source: str, drawn: list[int]) -> None:
    rows = np.zeros((len(WORDS) + len(drawn), 3), np.uint64)
    rows[:, 0] = [*WORDS, *drawn]
    found = run(f"cvt.rn.{kind}.{source} {{d{kind[1:]}}}, {{a{source[1:]}}};", rows)
    given = rows[:, 0].astype(f"u{int(source[1:]) // 8}").view(f"{source[0].replace('s', 'i')}{int(source[1:]) // 8}")
    np.testing.assert_array_equal(found, given.astype(kind.replace("32", "4").replace("64", "8")).view(f"u{int(kind[1:]) // 8}"))


def test_reciprocals_are_exact_where_a_gpu_begins_an_iteration() -> None:
    rows = np.array([[3.0, 0, 0], [-0.1, 0, 0], [math.inf, 0, 0]])
    np.testing.assert_array_equal(run("rcp.approx.ftz.f64 {d64}, {a64};", rows.view(np.uint64)).view(np.float64), 1 / rows[:, 0])


@cuda.jit
def multiply_and_add(a: Any, b: Any, c: Any, out: Any) -> None:
    place = cuda.grid(1)
    if place < out.size:
        out[place] = a[place] * b[place] + c[place]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_kernels_round_products_before_they_add_to_them(kind: Any) -> None:
    generator = np.random.default_rng(2)
    a, b = generator.standard_normal((2, 1000)).astype(kind)
    c = -a * b
    out = np.empty(1000, kind)
    device.launch(multiply_and_add, 1000, *map(card.Array, (a, b, c, out)))
    np.testing.assert_array_equal(out, a * b + c)
    assert any(fused(*row) not in (None, 0) for row in zip(a, b, c, strict=True))  # what rounding once would give


@cuda.jit
def count_bits(values: Any, out: Any) -> None:
    me = cuda.grid(1)
    value = values[me]
    out[me, 0], out[me, 1], out[me, 2], out[me, 3] = cuda.popc(value), cuda.clz(value), cuda.brev(value), cuda.ffs(value)


@pytest.mark.parametrize("kind", [np.uint32, np.uint64])
def test_bits_that_numba_counts(kind: Any) -> None:
    values, bits = np.array(WORDS, np.uint64).astype(kind), 8 * kind().nbytes
    out = np.empty((len(values), 4), np.uint64)
    device.launch_blocks(count_bits, 1, len(values), card.Array(values), card.Array(out))
    for value, found in zip(values.tolist(), out.tolist(), strict=True):
        assert found == [value.bit_count(), bits - value.bit_length(), int(f"{value:0{bits}b}"[::-1], 2), (value & -value).bit_length()]


@pytest.mark.parametrize(
    "line",
    [
        "bar.sync 1;", "bar.warp.sync -1;", "barrier.sync 0, 32;", "membar.gl;", "activemask.b32 %r1;", "call.uni helper, ();",
        "add.sat.s32 %r1, %r1, %r1;", "add.cc.u32 %r1, %r1, %r1;", "mul24.lo.u32 %r1, %r1, %r2;", "fma.rz.f32 %r1, %r1, %r1, %r1;",
        "setp.eq.and.s32 %p1, %r1, %r2, %p2;", "cvt.rz.f32.f64 %r1, %rd1;", "cvt.f32.f16 %r1, %r2;", "bfi.b32 %r1, %r1, %r1, %r2, 5;",
        "mov.u32 %r1, %laneid;", "mov.u64 %rd1, table;", "ld.global.v2.u32 {%r1, %r2}, [%rd1];", "atom.global.inc.u32 %r1, [%rd1], 5;",
        "prmt.b32 %r1, %r1, %r1, %r2;", "prmt.b32.f4e %r1, %r1, %r1, 0;", "shf.l.clamp.b32 %r1, %r1, %r1, 5;", ".local .b8 room[8];",
    ],
)  # fmt: skip
def test_lines_that_are_not_known_are_refused(line: str) -> None:
    registers = ".reg .pred %p<9>;\n.reg .b32 %r<9>;\n.reg .b64 %rd<9>;\n"
    with pytest.raises(NotImplementedError, match=r"known|understood"):
        grid.translated("hand", f".visible .entry hand(\n)\n{{\n{registers}{line}\nret;\n}}")


def test_registers_of_a_scope_have_a_width_of_their_own() -> None:
    kernel = ptx.read("\n{\n.reg .b64 %t<9>;\n{\n.reg .b32 %t;\nmov.u32 %t, 1;\n}\nmov.u64 %t1, 1;\n}\n")
    inner, outer = (one.operands[0] for one in kernel.body)
    assert (kernel.registers[inner], kernel.registers["%t"], outer) == (32, 64, "%t1")
