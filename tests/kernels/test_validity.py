from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, at_most
from tamis_kernels.errors import ArgumentError
from tamis_kernels.moments import accumulate, accumulate_fixed
from tamis_kernels.quantiles import Selection, quantiles
from tamis_kernels.validity import valid

if TYPE_CHECKING:
    from numpy.typing import NDArray

ONES = np.full(4, 255, np.uint8)


@pytest.mark.parametrize("backend", BACKENDS)
@given(bits=st.lists(st.sampled_from([0, 1, 1, 1, 1, 1, 1, 1, 1]), max_size=80), offset=st.integers(0, 25), short=st.booleans())
def test_values_under_set_bits_are_taken_at_any_offset(bits: list[int], offset: int, short: bool, backend: Any) -> None:
    values: NDArray[Any] = np.arange(len(bits), dtype=np.float32 if short else np.float64)
    bitmap = np.packbits(np.array([1] * offset + bits, np.uint8), bitorder="little")
    expected = values[np.array(bits, bool)]
    found = valid(values, (bitmap, offset), backend=backend)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == values.dtype


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_byte_of_a_bitmap_is_read(backend: Any) -> None:
    bitmap = np.arange(256, dtype=np.uint8)
    values = np.arange(8.0 * bitmap.size)
    np.testing.assert_array_equal(valid(values, (bitmap, 0), backend=backend), np.flatnonzero(np.unpackbits(bitmap, bitorder="little")))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("offset", [0, 1, 7, 8, 13])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_statistics_read_a_slice_of_an_arrow_column(dtype: Any, offset: int, backend: Any) -> None:
    import pyarrow as pa

    random = np.random.default_rng(3)
    size = at_most(700, 300)
    values = (1e5 + random.standard_normal(size)).astype(dtype)
    there = random.random(size) < 0.8
    there[size // 7 : 2 * size // 7], there[3 * size // 7 : 4 * size // 7] = True, False
    values[~there] = math.nan  # what lies under a null has no meaning
    column = pa.array(values, mask=~there).slice(offset, size - 50)
    bitmap, data = (np.frombuffer(buffer, np.uint8) for buffer in column.buffers())
    taken: NDArray[Any] = data.view(dtype)[column.offset : column.offset + len(column)]
    validity = bitmap, column.offset
    plain = np.asarray(column.drop_null())
    assert accumulate(taken, validity=validity, backend=backend) == accumulate(plain, backend=backend)
    fixed = {"low": 9e4, "high": 2e5, "backend": backend}
    assert accumulate_fixed(taken, validity=validity, **fixed) == accumulate_fixed(plain, **fixed)
    few = [0.25, 0.5, 0.75]
    np.testing.assert_array_equal(quantiles(taken, few, validity=validity, backend=backend), quantiles(plain, few, backend=backend))
    selection = Selection.start(few, dtype)
    histogram = selection.count(taken, validity=validity, backend=backend)
    np.testing.assert_array_equal(histogram, selection.count(plain, backend=backend))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_bitmap_of_polars_is_read(backend: Any) -> None:
    import polars as pl

    series = pl.Series([1.0, None, 3.0, None, 5.0])[1:]
    bitmap, data = (np.frombuffer(buffer, np.uint8) for buffer in series.to_arrow().buffers())
    offset = series.to_arrow().offset
    assert accumulate(data.view(np.float64)[offset : offset + 4], validity=(bitmap, offset), backend=backend).mean() == 4.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: valid(np.zeros(33), (ONES, 0)), "bitmap of 32 bits has none for values 0 … 32"),
        (lambda: valid(np.zeros(2), (ONES, 31)), "none for values 31 … 32"),
        (lambda: valid(np.zeros(2), (ONES, -1)), "none for values -1"),
        (lambda: valid(np.zeros(2), (ONES.astype(bool), 0)), "bitmap must be uint8"),
        (lambda: valid(np.arange(2), (ONES, 0)), "values must be float32 or float64"),  # type: ignore[arg-type]
        (lambda: valid(np.zeros(2), (ONES, 0), out=np.zeros(1)), "out must be contiguous float64 of 2 values or more"),
        (lambda: accumulate(np.zeros(2), keep=np.ones(2, bool), validity=(ONES, 0)), "keep or validity, not both"),
        (lambda: Selection.start([0.5], np.float64).count(np.zeros(2), keep=np.ones(2, bool), validity=(ONES, 0)), "not both"),
    ],
)
def test_bad_arguments_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
