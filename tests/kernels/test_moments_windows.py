"""Sums by windows of exponents, as CUDA's threads keep them: their bounds, moves and limbs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import COMPILED, INTERPRETED
from tamis_kernels.moments import accumulate, accumulate_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTYPES = [np.float32, np.float64]
SPARSE = 5 if INTERPRETED else 1  # one of so many exponents is tried


def filled(exponents: NDArray[np.int64], dtype: Any, seed: int = 3) -> NDArray[Any]:
    """Return a number of each exponent, with either sign and all bits of the mantissa in use."""
    generator = np.random.default_rng(seed)
    mantissas = 2 - np.ldexp(generator.integers(1, 2**12, exponents.size), -52 if dtype == np.float64 else -23)
    signs = generator.choice([-1.0, 1.0], exponents.size)
    with np.errstate(under="ignore"):
        return np.asarray(np.ldexp(signs * mantissas, exponents), dtype)


def every_exponent(dtype: Any) -> NDArray[np.int64]:
    info = np.finfo(dtype)
    return np.arange(info.minexp - info.nmant, info.maxexp)


def check(values: NDArray[Any], backend: Any) -> None:
    assert accumulate(values, backend=backend) == accumulate(values, backend="reference")


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["rising", "falling", "mixed", "each four times", "each forty times"])
def test_every_exponent(order: str, dtype: Any, backend: Any) -> None:
    exponents = every_exponent(dtype)
    step = 29 if order == "each forty times" else 1
    some = {"falling": exponents[::-1], "mixed": np.random.default_rng(4).permutation(exponents)}.get(order, exponents)[::step]
    check(filled(np.repeat(some, {"each four times": 4, "each forty times": 40}.get(order, 1)), dtype), backend)


@pytest.mark.parametrize("backend", COMPILED)
def test_squares_whose_lowest_bits_are_near_the_least_that_a_float_has(backend: Any) -> None:
    for exponent in range(-545, -465, SPARSE):
        values = filled(np.full(7, exponent), np.float64)
        check(values, backend)
        assert accumulate_columns(np.column_stack([values, -values]), backend=backend)[0] == accumulate(values, backend="reference")


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("first", ["least", "1", "greatest"])
def test_values_that_fill_a_window_and_lie_beside_it(first: str, dtype: Any, backend: Any) -> None:
    info = np.finfo(dtype)
    middle = {"least": info.minexp, "1": 0, "greatest": info.maxexp - 1}[first]
    about = np.clip(np.arange(middle - 32, middle + 33), info.minexp - info.nmant, info.maxexp - 1)
    for exponent in about[::SPARSE]:
        check(filled(np.r_[middle, np.full(41, exponent)], dtype), backend)
    check(filled(np.r_[middle, np.random.default_rng(5).permutation(np.repeat(about, 3))], dtype), backend)


@pytest.mark.slow  # interpreted: a limb holds that many
@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("rise", [0, 8, 9, 10])
def test_more_large_values_than_a_limb_holds(rise: int, sign: int, dtype: Any, backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "cuda":
        monkeypatch.setattr("tamis_kernels.moments.cuda.STRIPS", 1)  # as few threads as there may be
        monkeypatch.setattr("tamis_kernels.device.BATCH", 1 << 20)
    check(np.r_[dtype(1), np.full(9000, sign * np.ldexp(2 - np.finfo(dtype).eps, rise), dtype)], backend)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 3, 4, 5, 27, 28, 29, 55, 57, 85, 113, 1023, 1025, 3000])
def test_ends_of_columns(size: int, dtype: Any, backend: Any) -> None:
    check(filled(np.random.default_rng(size).integers(-20, 4, size), dtype), backend)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("first", [0.0, -0.0, math.nan, math.inf, -math.inf, "subnormal"])
def test_a_first_value_without_an_exponent_of_its_own(first: Any, dtype: Any, backend: Any) -> None:
    first = np.finfo(dtype).smallest_subnormal if first == "subnormal" else first
    for rest in (filled(np.zeros(50, np.int64), dtype), filled(np.full(50, 90), dtype), np.zeros(50, dtype), np.full(50, math.nan, dtype)):
        check(np.r_[dtype(first), rest], backend)


@pytest.mark.emulated
@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_range_of_values_outside_the_window_alone(dtype: Any, backend: Any) -> None:
    ones = np.linspace(1, 2, 200).astype(dtype)
    for stranger in (0.0, -0.0, 1e-30, -1e-30, 1e30, -1e30, math.nan, math.inf, -math.inf):
        ones[77] = stranger
        check(ones, backend)
        check(-ones, backend)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_of_windows_of_their_own(dtype: Any, backend: Any) -> None:
    exponents = np.array([0, 100, -100, -126, 40])
    matrix = filled((exponents + np.random.default_rng(6).integers(-9, 9, (61, 5)).clip(-126 - exponents)).ravel(), dtype).reshape(61, 5)
    matrix[20:40, 0] *= 2.0**60
    matrix[::7, 1], matrix[::9, 4], matrix[3, 2] = math.nan, 0.0, -math.inf
    assert accumulate_columns(matrix, backend=backend) == [accumulate(column, backend="reference") for column in matrix.T]


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_runs_of_a_few_scales(dtype: Any, backend: Any, data: st.DataObject) -> None:
    info = np.finfo(dtype)
    exponent = st.integers(info.minexp - info.nmant, info.maxexp - 1)
    runs = data.draw(st.lists(st.tuples(exponent, st.integers(1, 40)), min_size=1, max_size=6))
    values = filled(np.concatenate([np.full(many, exponent) for exponent, many in runs]), dtype, seed=len(runs))
    for special in data.draw(st.lists(st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf]), max_size=4)):
        values[data.draw(st.integers(0, values.size - 1))] = special
    check(values, backend)
