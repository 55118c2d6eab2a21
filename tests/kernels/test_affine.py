from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS
from tamis_kernels import affine
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS = st.floats(-1e100, 1e100)


def sample(shape: Any, dtype: Any = np.float64) -> NDArray[Any]:
    values: NDArray[Any] = np.random.default_rng(1).standard_normal(shape) * 1e3
    return values.astype(dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@given(value=NUMBERS, centre=NUMBERS, scale=NUMBERS.filter(lambda number: abs(number) > 1e-100))
def test_each_operation_is_rounded_on_its_own(value: float, centre: float, scale: float, backend: Any) -> None:
    values = np.full(9, value)
    product = float(Fraction(value) * Fraction(scale))
    difference = float(Fraction(value) - Fraction(centre))
    assert affine.inverse(values, centre, scale, backend=backend)[8] == float(Fraction(product) + Fraction(centre))
    assert affine.transform(values, centre, scale, backend=backend)[8] == float(Fraction(difference) / Fraction(scale))


@pytest.mark.parametrize("backend", BACKENDS)
def test_inverse_is_not_a_fused_multiply_add(backend: Any) -> None:
    value = 1 + 2.0**-30
    result = affine.inverse(np.full(64, value), -(value * value), value, backend=backend)
    assert (result == 0.0).all()  # a fused multiply-add would leave 2^-60


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0,), (1,), (1025,), (0, 3), (700, 3), (5, 1500), (4, 0)])
def test_columns_have_their_own_parameters_in_their_dtype(shape: tuple[int, ...], dtype: Any, backend: Any) -> None:
    values = sample(shape, dtype)
    columns = shape[1] if len(shape) == 2 else 1
    centre, scale = np.linspace(-1, 1, columns) / 3, np.linspace(0.1, 7, columns)
    cast = centre.astype(dtype), scale.astype(dtype)
    moved = affine.transform(values, centre, scale, backend=backend)
    assert moved.dtype == dtype
    np.testing.assert_array_equal(moved, (values - cast[0]) / cast[1])
    np.testing.assert_array_equal(affine.inverse(values, centre, scale, backend=backend), values * cast[1] + cast[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_strided_input_and_given_output(backend: Any) -> None:
    values = sample((50, 4))
    expected = (values - 3.0) / 7.0
    np.testing.assert_array_equal(affine.transform(values[:, 2], 3.0, 7.0, backend=backend), expected[:, 2])
    np.testing.assert_array_equal(affine.transform(np.asfortranarray(values), 3.0, 7.0, backend=backend), expected)
    assert affine.transform(values, 3.0, 7.0, out=values, backend=backend) is values
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_specials_follow_ieee(backend: Any) -> None:
    values = np.array([math.nan, math.inf, -math.inf, -0.0])
    np.testing.assert_array_equal(affine.transform(values, 0.0, -2.0, backend=backend), [math.nan, -math.inf, math.inf, 0.0])
    assert np.isnan(affine.transform(values, math.nan, 1.0, backend=backend)).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(5, 4, 3), (2, 5, 4, 1), (0, 4, 3)])
def test_tables_say_what_becomes_of_bytes(shape: tuple[int, ...], backend: Any) -> None:
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, shape, np.uint8)
    tables = random.standard_normal((shape[-1], 256)).astype(np.float32)
    expected = np.stack([tables[channel][pixels[..., channel]] for channel in range(shape[-1])], axis=-1)
    np.testing.assert_array_equal(affine.lookup(pixels, tables, backend=backend), expected)
    out = np.empty(shape, np.float32)
    assert affine.lookup(pixels[:, ::-1], tables, out=out, backend=backend) is out
    np.testing.assert_array_equal(out, expected[:, ::-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: affine.transform(np.arange(3), 0, 1), "must be float32 or float64"),  # type: ignore[arg-type]
        (lambda: affine.transform(np.zeros((1, 1, 1)), 0, 1), "one or two dimensions"),
        (lambda: affine.transform(np.zeros(3), 0, 0), "scale must not be 0"),
        (lambda: affine.transform(np.zeros(3, np.float32), 0, 1e-300), "scale must not be 0 in float32"),
        (lambda: affine.transform(np.zeros((3, 2)), [0, 0, 0], 1), r"centre must be a number or of shape \(2,\)"),
        (lambda: affine.lookup(np.zeros((2, 3)), np.zeros((3, 256), np.float32)), "pixels must be uint8"),  # type: ignore[arg-type]
        (lambda: affine.lookup(np.zeros((2, 3), np.uint8), np.zeros((2, 256), np.float32)), r"shape \(3, 256\)"),
        (lambda: affine.lookup(np.zeros((2, 1), np.uint8), np.zeros((1, 256), np.float32), out=np.zeros(2, np.float32)), "out must be"),
        (lambda: affine.inverse(np.zeros(3), 0, 1, out=np.zeros(2)), "out must be C-contiguous"),
    ],
)
def test_bad_arguments_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
