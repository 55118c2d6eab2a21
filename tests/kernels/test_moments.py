from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from backends import BACKENDS, COMPILED, at_most
from tamis_kernels import moments as moments_of
from tamis_kernels.errors import ArgumentError
from tamis_kernels.moments import FixedGrid, Moments, accumulate, accumulate_columns, accumulate_fixed, accumulate_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMPTY: NDArray[Any] = np.empty(0)


def normal(size: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(size)


def wide(size: int, decades: int, seed: int = 2) -> NDArray[np.float64]:
    return normal(size, seed) * 10.0 ** np.random.default_rng(seed).integers(-decades, decades, size)


COLUMNS: dict[str, NDArray[Any]] = {
    "empty": EMPTY,
    "one": np.array([0.1]),
    "normal f64": normal(5000),
    "normal f32": normal(5000).astype(np.float32),
    "offset 1e9 f64": 1e9 + normal(5000),
    "offset 1e12 f64": 1e12 + normal(5000),
    "offset 1e6 f32": (1e6 + normal(5000)).astype(np.float32),
    "wide f64": wide(5000, 300),
    "wide f32": wide(5000, 36).astype(np.float32),
    "two f32 scales that leave a rest": np.r_[1e-30, np.ones(2047)].astype(np.float32),
    "two f64 scales that leave a rest": np.r_[1e-60, np.ones(2047)],
    "smallest": np.full(3000, 5e-324),
    "subnormal": np.full(3000, -3e-310),
    "largest": np.full(3000, -1.7976931348623157e308),
    "huge and tiny": np.array([1.7e308, 5e-324, -1.7e308, -5e-324, 1e-300]),
    "specials": np.array([math.nan, math.inf, -math.inf, -0.0, 0.0, 1.0, -math.nan]),
    "only NaN": np.full(3000, math.nan),
    "wide f32 in many blocks": wide(18_000, 36, 5).astype(np.float32),
    "zeros, then numbers, then holes": np.r_[np.zeros(2048), normal(2048) * 1e-9, normal(2500) * 1e9, np.full(2048, math.nan), normal(99)],
    "grids that change by the block": np.concatenate([normal(2048, seed) * 10.0 ** (6 * seed) for seed in (0, 2, 4)]),
    "sparse NaN": np.where(np.arange(5000) % 97 == 0, math.nan, normal(5000)),
}


def exact(values: NDArray[Any]) -> tuple[Fraction, Fraction]:
    numbers = [Fraction(value) for value in values.tolist() if math.isfinite(value)]
    return sum(numbers, Fraction(0)), sum((number * number for number in numbers), Fraction(0))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", COLUMNS)
def test_sums_equal_rational_arithmetic(name: str, backend: Any) -> None:
    values = COLUMNS[name]
    values = values[:: -(-values.size // at_most(values.size, 60) or 1)] if values.size else values
    moments = accumulate(values, backend=backend)
    finite = values[np.isfinite(values)]
    assert (moments.total, moments.squares) == exact(values)
    assert moments.count == finite.size
    assert moments.nan == np.isnan(values).sum()
    assert moments.positive_infinity == np.isposinf(values).sum()
    assert moments.negative_infinity == np.isneginf(values).sum()
    assert moments.out_of_range == 0
    assert moments.minimum == (finite.min() if finite.size else None)
    assert moments.maximum == (finite.max() if finite.size else None)


@pytest.mark.parametrize("backend", COMPILED)
@given(values=npst.arrays(np.float64, st.integers(0, 60), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_any_float64_sums_exactly(values: NDArray[np.float64], backend: Any) -> None:
    moments = accumulate(values, backend=backend)
    assert (moments.total, moments.squares) == exact(values)
    assert moments == accumulate(values, backend="reference")


@pytest.mark.parametrize("backend", COMPILED)
@given(values=npst.arrays(np.float32, st.integers(0, 60), elements=st.floats(width=32)))
def test_any_float32_sums_exactly(values: NDArray[np.float32], backend: Any) -> None:
    moments = accumulate(values, backend=backend)
    assert (moments.total, moments.squares) == exact(values)
    assert moments == accumulate(values, backend="reference")


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
@pytest.mark.parametrize("name", ["offset 1e9 f64", "wide f64", "wide f32", "specials", "sparse NaN"])
def test_chunks_and_order_and_threads_leave_no_trace(name: str, size: int) -> None:
    values = COLUMNS[name][:600] if size < 7 else COLUMNS[name]
    whole = accumulate(values, backend="cpu")
    shuffled = np.random.default_rng(size).permutation(values)
    chunks = [shuffled[i : i + size] for i in range(0, shuffled.size, size)]
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda chunk: accumulate(chunk, backend="cpu"), chunks))
    merged = sum(reversed(parts), Moments())
    assert merged == whole
    assert [merged.mean(), merged.std()] == pytest.approx([whole.mean(), whole.std()], rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_groups_have_the_moments_of_their_values(backend: Any) -> None:
    values, codes = COLUMNS["specials"], np.array([2, 0, 0, -1, 2, 2, 0])
    found = accumulate_groups(values, codes, 4, backend=backend)
    assert found == [accumulate(values[codes == code]) for code in range(4)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_long_columns_are_taken_piece_by_piece(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments_of, "PIECE", 40)
    monkeypatch.setattr(moments_of, "COPIED", 16)
    values = COLUMNS["normal f64"][:101]
    keep, bits = values > -0.5, np.packbits(np.r_[np.zeros(3, bool), values < 0.7], bitorder="little")
    for backed in (values, np.repeat(values, 2)[::2]):
        assert accumulate(backed, backend=backend) == accumulate(values.copy(), backend="reference")
        assert accumulate(backed, keep=keep, backend=backend) == accumulate(values[keep], backend="reference")
        assert accumulate(backed, validity=(bits, 3), backend=backend) == accumulate(values[values < 0.7], backend="reference")
    fixed = accumulate_fixed(values, low=-9.0, high=9.0, keep=keep, backend=backend)
    assert fixed == accumulate_fixed(values[keep], low=-9.0, high=9.0, backend="reference")
    matrix = values[:99].reshape(-1, 1) * np.array([1.0, -2.0])
    assert accumulate_columns(matrix, backend=backend) == [accumulate(column, backend="reference") for column in matrix.T]


@pytest.mark.parametrize("backend", BACKENDS)
def test_minus_zero_is_zero(backend: Any) -> None:
    moments = accumulate(np.array([-0.0, -0.0]), backend=backend)
    assert [math.copysign(1.0, one) for one in (moments.minimum, moments.maximum) if one is not None] == [1.0, 1.0]
    assert moments == accumulate(np.array([0.0, 0.0]), backend=backend)
    columns = accumulate_columns(np.full((40, 2), -0.0), backend=backend)
    assert [math.copysign(1.0, one.minimum or 1.0) for one in columns] == [1.0, 1.0]


def test_subtraction_removes_values_exactly() -> None:
    train, test = COLUMNS["wide f64"][:3000], COLUMNS["wide f64"][3000:]
    left = accumulate(COLUMNS["wide f64"]) - accumulate(test)
    expected = accumulate(train)
    assert (left.count, left.total, left.squares) == (expected.count, expected.total, expected.squares)
    assert (left.minimum, left.maximum) == (None, None)
    assert (left + expected).minimum is None
    assert accumulate(train) - Moments() == expected


def test_subtracting_more_than_there_is_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="count would become -1"):
        accumulate(np.array([1.0])) - accumulate(np.array([1.0, 2.0]))


def test_figures_are_rounded_once() -> None:
    moments = accumulate(1e9 + normal(4000))
    total, squares = exact(1e9 + normal(4000))
    variance = (squares - total**2 / 4000) / 3999
    assert moments.mean() == float(total / 4000)
    assert moments.variance(ddof=1) == float(variance)
    std = Fraction(moments.std(ddof=1))
    half_a_digit = Fraction(math.ulp(float(std))) / 2
    assert (std - half_a_digit) ** 2 <= variance <= (std + half_a_digit) ** 2


@pytest.mark.parametrize("spread", [2.0**-530, 1.0, 3.0, 2.0**500])
def test_std_of_two_points_is_exact(spread: float) -> None:
    assert accumulate(np.array([-spread, spread])).std() == spread


def test_too_large_a_variance_is_infinite_and_its_root_is_not() -> None:
    moments = accumulate(np.array([-1e300, 1e300]))
    assert moments.variance() == math.inf
    assert moments.std() == 1e300


def test_figures_of_too_few_values_are_nan() -> None:
    assert math.isnan(Moments().mean())
    assert math.isnan(Moments().std())
    assert math.isnan(accumulate(np.array([1.0])).variance(ddof=1))
    assert accumulate(np.array([0.1])).variance() == 0.0


@pytest.mark.parametrize("name", COLUMNS)
def test_json_round_trip_keeps_every_bit(name: str) -> None:
    moments = accumulate(COLUMNS[name])
    assert Moments.from_dict(json.loads(json.dumps(moments.to_dict(), allow_nan=False))) == moments


@pytest.mark.parametrize("backend", BACKENDS)
def test_masked_and_strided_columns(backend: Any) -> None:
    rows = at_most(300, 30)
    matrix = np.where(normal(3 * rows).reshape(rows, 3) > 2, math.nan, normal(3 * rows).reshape(rows, 3))
    keep = normal(rows, 5) > 0
    assert accumulate(matrix[:, 1], keep=keep, backend=backend) == accumulate(matrix[keep, 1], backend=backend)
    expected = [accumulate(matrix[:, j].copy(), backend=backend) for j in range(3)]
    assert accumulate_columns(matrix, backend=backend) == expected
    assert accumulate_columns(np.asfortranarray(matrix), backend=backend) == expected
    assert accumulate_columns(matrix[::-1], backend=backend) == expected


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [2, 5, 33])
@pytest.mark.parametrize("kind", ["scales", "holes", "grids that change", "too wide"])
def test_rows_have_the_moments_of_their_columns(kind: str, columns: int, dtype: Any, backend: Any) -> None:
    rows = at_most(5000, 30)
    matrix = (normal(rows * columns).reshape(rows, columns) * 10.0 ** (np.arange(columns) % 20 - 10)).astype(dtype)
    matrix[:, 0] = 0
    if kind == "holes":
        matrix[rows // 3, columns // 2], matrix[rows // 2, 0] = math.nan, -math.inf
    elif kind == "grids that change":
        matrix[rows // 2 :] *= dtype(1e12)
    elif kind == "too wide":
        matrix[::3, 1] *= dtype(1e25)
        matrix[1, columns - 1] = 5e-324 if dtype == np.float64 else 1e-45
    assert accumulate_columns(matrix, backend=backend) == [accumulate(column, backend="cpu") for column in matrix.T]


@pytest.mark.parametrize("backend", COMPILED)
@given(values=npst.arrays(np.float32, st.tuples(st.integers(120, 260), st.integers(2, 4)), elements=st.floats(width=32), fill=st.just(1.5)))
def test_rows_of_any_float32_sum_exactly(values: NDArray[np.float32], backend: Any) -> None:
    found = accumulate_columns(values, backend=backend)
    assert [(moments.total, moments.squares) for moments in found] == [exact(column) for column in values.T]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fixed_point_is_exact_on_the_grid(dtype: Any, backend: Any) -> None:
    codes = np.random.default_rng(3).integers(-(2**15), 2**15, at_most(5000, 90)) * 0.125
    fixed = accumulate_fixed(codes.astype(dtype), low=-4096.0, high=4096.0, backend=backend)
    assert fixed == accumulate(codes.astype(dtype), backend=backend)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("low", [0.0, 1e9, -3e-5, 1e-280, -1.7e308])
def test_fixed_point_stays_within_the_declared_quantisation(low: float, backend: Any) -> None:
    high, size = low + max(abs(low), 1e-300) / 3, at_most(4000, 60)
    values = np.clip(low + np.random.default_rng(4).random(size) * (high - low), low, high)
    fixed = accumulate_fixed(values, low=low, high=high, backend=backend)
    half_step = Fraction(1, 2) / Fraction(FixedGrid(low, high).scale) * (1 + Fraction(1, 2**20))
    assert fixed == accumulate_fixed(values, low=low, high=high, backend="reference")
    assert abs(fixed.total - exact(values)[0]) <= size * half_step
    assert (fixed.count, fixed.minimum, fixed.maximum) == (size, values.min(), values.max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_out_of_range_are_counted_apart(backend: Any) -> None:
    values = np.array([-1.5, -1.0, 0.5, 1.0, 1.5, 1e300, math.nan, math.inf, -math.inf])
    fixed = accumulate_fixed(values, low=-1.0, high=1.0, backend=backend)
    assert fixed == Moments(3, 1, 1, 1, 3, -1.0, 1.0, Fraction(1, 2), Fraction(9, 4))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1, -1.7e308, 5e-324])
def test_fixed_point_of_a_constant_is_exact(value: float) -> None:
    assert accumulate_fixed(np.full(100, value), low=value, high=value) == accumulate(np.full(100, value))


@given(
    values=npst.arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e6, 1e6)),
    cut=st.integers(0, 40),
)
def test_fixed_point_merges_exactly(values: NDArray[np.float64], cut: int) -> None:
    whole = accumulate_fixed(values, low=-1e6, high=1e6, backend="cpu")
    parts = [accumulate_fixed(part, low=-1e6, high=1e6, backend="cpu") for part in (values[cut:], values[:cut])]
    assert parts[0] + parts[1] == whole == accumulate_fixed(values, low=-1e6, high=1e6, backend="reference")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accumulate(np.arange(3)), "must be float32 or float64 .* got int64"),  # type: ignore[arg-type]
        (lambda: accumulate(np.zeros((2, 2))), "one column of floats at a time"),
        (lambda: accumulate(np.zeros(2), keep=np.zeros(3, bool)), "keep must be bool of shape"),
        (lambda: accumulate_groups(np.zeros(2), np.zeros(3, np.int64), 1), "codes must be integers of shape"),
        (lambda: accumulate_groups(np.zeros(2), np.array([0, 1]), 1), "less than groups = 1, got 1"),
        (lambda: accumulate_columns(np.zeros(2)), r"of shape \(n_rows, n_columns\)"),
        (lambda: accumulate_columns(np.zeros((2, 2), np.int8)), "must be float32 or float64"),
        (lambda: accumulate_fixed(np.zeros(2), low=1.0, high=0.0), "low <= high, got 1.0 and 0.0"),
        (lambda: accumulate_fixed(np.zeros(2), low=math.nan, high=0.0), "must be finite"),
        (lambda: accumulate(np.zeros(2), backend="gpu"), "backend must be one of"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
