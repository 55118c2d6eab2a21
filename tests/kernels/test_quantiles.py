from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from backends import BACKENDS, COMPILED, at_most
from tamis_kernels.errors import ArgumentError
from tamis_kernels.quantiles import (
    Selection,
    ValueCounts,
    deviations,
    interquartile_range,
    mad,
    median,
    quantiles,
    quantiles_in_passes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PROBABILITIES = [0.0, 0.01, 0.25, 1 / 3, 0.5, 0.75, 0.99, 1.0]
RANDOM = np.random.default_rng(1)
COLUMNS: dict[str, NDArray[Any]] = {
    "one": np.array([0.1]),
    "two": np.array([2.0, 1.0]),
    "normal f64": RANDOM.standard_normal(3000),
    "normal f32": RANDOM.standard_normal(3000).astype(np.float32),
    "offset 1e9": 1e9 + RANDOM.standard_normal(3000),
    "wide f64": RANDOM.standard_normal(3000) * 10.0 ** RANDOM.integers(-300, 300, 3000),
    "wide f32": (RANDOM.standard_normal(3000) * 2.0 ** RANDOM.integers(-40, 40, 3000)).astype(np.float32),
    "ties": RANDOM.integers(-3, 4, 3000).astype(np.float32),
    "constant": np.full(100, -7.25),
    "subnormal": RANDOM.integers(-50, 50, 500) * 5e-324,
    "zeros of both signs": np.array([-0.0, 0.0, -0.0, -5e-324, 5e-324]),
    "sparse NaN": np.where(RANDOM.random(3000) < 0.1, math.nan, RANDOM.standard_normal(3000)),
}


def numpy_quantiles(values: NDArray[Any], probabilities: list[float]) -> NDArray[np.float64]:
    return np.nanquantile(values.astype(np.float64), probabilities)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", COLUMNS)
def test_quantiles_equal_numpy_bit_for_bit(name: str, backend: Any) -> None:
    values = COLUMNS[name][: at_most(3000, 120)]
    np.testing.assert_array_equal(quantiles(values, PROBABILITIES, backend=backend), numpy_quantiles(values, PROBABILITIES))


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_of_several_blocks_are_counted_though_nearly_all_are_alike(dtype: Any, backend: Any) -> None:
    values = np.full(at_most(100_000, 150), -1.5, dtype)
    values[::7], values[::11], values[::13] = 0, 1.5, -1e-30
    counted = Selection.start([0.5], dtype).count(values, backend=backend)
    assert counted.sum() == values.size
    np.testing.assert_array_equal(counted, Selection.start([0.5], dtype).count(values, backend="reference"))


@pytest.mark.parametrize("backend", BACKENDS)
@given(
    values=npst.arrays(np.float64, st.integers(1, 50), elements=st.floats(-1e300, 1e300)),
    probability=st.floats(0, 1),
)
def test_any_quantile_of_float64_equals_numpy(values: NDArray[np.float64], probability: float, backend: Any) -> None:
    assert quantiles(values, [probability], backend=backend) == numpy_quantiles(values, [probability])


@pytest.mark.parametrize("backend", COMPILED)
@given(values=npst.arrays(np.float32, st.integers(0, 50), elements=st.floats(width=32)))
def test_backends_agree_on_any_float32(values: NDArray[np.float32], backend: Any) -> None:
    reference = quantiles(values, PROBABILITIES, backend="reference")
    np.testing.assert_array_equal(quantiles(values, PROBABILITIES, backend=backend), reference)
    kept = np.sort(values[~np.isnan(values)])
    if kept.size:
        assert [reference[0], reference[-1]] == [kept[0], kept[-1]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["normal f32", "offset 1e9", "ties", "sparse NaN", "zeros of both signs"])
def test_many_quantiles_at_once(name: str, backend: Any) -> None:
    values, many = COLUMNS[name][: at_most(3000, 400)], np.linspace(0, 1, 40).tolist()
    expected = numpy_quantiles(values, many)
    np.testing.assert_array_equal(quantiles(values, many, backend=backend), expected)
    selection = Selection.start(many, values.dtype)
    while not selection.done:
        assert selection.digit == (16 if selection.known == 0 or len(selection.wanted()) <= 16 else 8)
        selection = selection.advance(selection.count(values[:300], backend=backend) + selection.count(values[300:], backend=backend))
    np.testing.assert_array_equal(selection.values(), expected)
    assert np.isnan(quantiles(values[:0], many, backend=backend)).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [1e9, -1e9, 3.0, 0.0])
@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e3])
def test_values_whose_leading_bits_agree(spread: float, offset: float, dtype: Any, backend: Any) -> None:
    values = (offset + spread * np.random.default_rng(6).standard_normal(at_most(3000, 40))).astype(dtype)
    values[5::11] = math.nan
    expected = np.nanquantile(values.astype(np.float64), [0.0, 0.3, 0.5, 1.0])
    assert np.array_equal(quantiles(values, [0.0, 0.3, 0.5, 1.0], backend=backend), expected)
    values[3] = -1.0  # not among the few that are looked at first
    expected = np.nanquantile(values.astype(np.float64), [0.0, 0.3, 0.5, 1.0])
    assert np.array_equal(quantiles(values, [0.0, 0.3, 0.5, 1.0], backend=backend), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [1, 2, 7, 4096])
@pytest.mark.parametrize("name", ["normal f32", "offset 1e9", "sparse NaN"])
def test_chunks_and_order_leave_no_trace(name: str, size: int, backend: Any) -> None:
    values = COLUMNS[name][: min(20 * size, at_most(3000, 15))]
    shuffled = np.random.default_rng(size).permutation(values)
    selection = Selection.start(PROBABILITIES, values.dtype)
    while not selection.done:
        shared = pickle.loads(pickle.dumps(selection))
        parts = [shared.count(shuffled[i : i + size], backend=backend) for i in range(0, shuffled.size, size)]
        histogram = parts[0]
        for part in parts[1:]:
            histogram += part
        selection = selection.advance(histogram)
    np.testing.assert_array_equal(selection.values(), numpy_quantiles(values, PROBABILITIES))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_are_read_together_in_as_few_passes_as_their_bits_ask_for(dtype: Any, backend: Any) -> None:
    columns = [COLUMNS["normal f32"][:900].astype(dtype), np.empty(0, dtype), np.array([math.inf, math.nan, -0.0], dtype)]
    passes = []

    def chunks() -> Iterator[tuple[int, NDArray[Any]]]:
        passes.append(1)
        for number, column in enumerate(columns):
            for at in range(0, len(column), 400):
                yield number, column[at : at + 400]

    found = quantiles_in_passes(chunks, 3, (0.0, 0.3), dtype=dtype, backend=backend)
    np.testing.assert_array_equal(found[0], quantiles(columns[0], (0.0, 0.3), backend="reference"))
    np.testing.assert_array_equal(found[1], [math.nan, math.nan])
    np.testing.assert_array_equal(found[2], quantiles(columns[2], (0.0, 0.3), backend="reference"))
    assert len(passes) == np.dtype(dtype).itemsize // 2
    assert quantiles_in_passes(chunks, 3, (), dtype=dtype, backend=backend).shape == (3, 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_masked_and_strided_values(backend: Any) -> None:
    size = at_most(1000, 100)
    values, keep = COLUMNS["normal f64"][: 3 * size : 3], COLUMNS["normal f64"][:size] > 0
    selection = Selection.start([0.5], np.float64)
    while not selection.done:
        selection = selection.advance(selection.count(values, keep=keep, backend=backend))
    assert selection.values()[0] == np.median(values[keep])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_are_the_outermost_values(dtype: Any, backend: Any) -> None:
    values = np.array([math.inf, 1.0, -math.inf, 2.0, math.inf, math.nan, -math.nan], dtype)
    found = quantiles(values, [0.0, 0.25, 0.5, 0.6, 1.0], backend=backend)
    assert found.tolist() == [-math.inf, 1.0, 2.0, math.inf, math.inf]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("values", [np.empty(0), np.full(3, math.nan), np.full(3, math.nan, np.float32)])
def test_no_values_give_nan(values: NDArray[Any], backend: Any) -> None:
    assert np.isnan(quantiles(values, [0.0, 0.5], backend=backend)).all()
    assert math.isnan(mad(values, backend=backend))


def test_no_probabilities_give_no_quantiles() -> None:
    assert quantiles(np.array([1.0]), []).shape == (0,)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["normal f32", "offset 1e9", "ties", "sparse NaN"])
def test_median_spread_and_deviation(name: str, backend: Any) -> None:
    column = COLUMNS[name][: at_most(3000, 80)]
    values = column.astype(np.float64)
    middle = np.nanmedian(values)
    low, high = numpy_quantiles(values, [0.25, 0.75])
    assert median(column, backend=backend) == middle
    assert interquartile_range(column, backend=backend) == high - low
    assert mad(column, backend=backend) == np.nanmedian(np.abs(values - middle))


@given(
    values=npst.arrays(
        np.float64, st.integers(0, 60), elements=st.floats(-1e300, 1e300) | st.sampled_from([0.0, -0.0, 1.0, math.inf, math.nan])
    ),
    cut=st.integers(0, 60),
)
def test_counts_of_values_merge_and_part_and_have_the_same_quantiles(values: NDArray[np.float64], cut: int) -> None:
    finite = values[np.isfinite(values)]
    whole, first, rest = (ValueCounts.of(part) for part in (values, values[:cut], values[cut:]))
    for found, expected in ((rest + first, whole), (whole - first, rest)):
        for name in ("values", "counts"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert (found.skipped, found.size) == (expected.skipped, expected.size)
    np.testing.assert_array_equal(whole.quantiles(PROBABILITIES), quantiles(finite, PROBABILITIES, backend="reference"))
    np.testing.assert_array_equal([whole.median(), whole.mad()], [median(finite), mad(finite)])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["normal f32", "offset 1e9", "ties"])
def test_the_deviation_is_found_in_passes_over_shards(name: str, backend: Any) -> None:
    values = COLUMNS[name][: at_most(3000, 60)]
    shards = np.array_split(values, 5)

    def middle(parts: list[NDArray[Any]]) -> float:
        selection = Selection.start([0.5], parts[0].dtype)
        while not selection.done:
            histogram = sum(selection.count(part, backend=backend) for part in parts)
            assert isinstance(histogram, np.ndarray)
            selection = selection.advance(histogram)
        return float(selection.values()[0])

    centre = middle(shards)
    assert middle([deviations(part, centre) for part in shards]) == mad(values, backend=backend)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ValueCounts.of(np.arange(3)), "must be float32 or float64"),  # type: ignore[arg-type]
        (lambda: ValueCounts.of(np.arange(3.0), most=2), "3 different values, more than the 2"),
        (lambda: ValueCounts.of(np.arange(2.0)).merged(ValueCounts.of(np.arange(1, 3.0)), most=2), "3 different values"),
        (lambda: ValueCounts.of(np.ones(1)) - ValueCounts.of(np.full(2, 1.0)), "more of 1.0 than there are"),
        (lambda: ValueCounts() - ValueCounts.of(np.full(2, math.nan)), "more of NaN"),
        (lambda: quantiles(np.zeros(2), [50]), r"must lie in \[0, 1\], got 50"),
        (lambda: quantiles(np.zeros(2), [math.nan]), "got nan"),
        (lambda: quantiles(np.arange(2), [0.5]), "must be float32 or float64"),  # type: ignore[arg-type]
        (lambda: quantiles(np.zeros((2, 2)), [0.5]), "one column"),
        (lambda: quantiles([1.0, 2.0], [0.5]), "values must be float32 or float64 .* got list, which is no array of NumPy"),  # type: ignore[arg-type]
        (lambda: quantiles(np.zeros(2), [0.5], method="nearest"), "must be 'linear'"),  # type: ignore[arg-type]
        (lambda: Selection.start([0.5], np.float32).count(np.zeros(2)), "must be float32 like the selection"),
        (lambda: Selection.start([0.5], np.float64).count(np.zeros(2), keep=np.ones(3, bool)), "keep must be bool"),
        (lambda: Selection.start([], np.float64).count(np.zeros(2)), "the selection is done"),
        (lambda: Selection.start([0.5], np.float64).values(), "0 of 64 bits are known"),
        (lambda: Selection.start([0.5], np.float64).advance(np.zeros((2, 2), np.int64)), "histogram must have shape"),
    ],
)
def test_bad_arguments_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
