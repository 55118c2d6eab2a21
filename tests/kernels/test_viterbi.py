from __future__ import annotations

import math
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from backends import BACKENDS, COMPILED, at_most
from tamis_kernels.errors import ArgumentError
from tamis_kernels.viterbi import converted_spans

if TYPE_CHECKING:
    from numpy.typing import NDArray


def all_joined(n: int) -> NDArray[np.bool_]:
    return np.ones(n, bool)


def cost(value: list[float], joined: list[bool], path: tuple[int, ...], scale: float, offset: float, switch: float = 10.0) -> float:
    true = [(one - offset) / scale if state else one for one, state in zip(value, path, strict=True)]
    total = switch * (path[0] + sum(a != b for a, b in pairwise(path)))
    for i in range(1, len(value)):
        if joined[i]:
            total += min(abs(true[i] - true[i - 1]) / 0.5, 20.0)
            total += math.log(abs(scale)) * (path[i] and value[i] != value[i - 1])
    return total


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_spell_in_fahrenheit_is_found_to_the_row(backend: Any) -> None:
    value = 15 + np.cumsum(np.random.default_rng(1).normal(0, 0.2, 300))
    value[120:180] = value[120:180] * 1.8 + 32
    states, saved = converted_spans(value, all_joined(300), 1.8, 32.0, spread=0.2, backend=backend)
    np.testing.assert_array_equal(np.flatnonzero(states), np.arange(120, 180))
    assert saved > 10


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scale", [0.1, 2.237])
def test_a_series_on_one_scale_stays_whole(scale: float, backend: Any) -> None:
    value = 15 + np.cumsum(np.random.default_rng(2).normal(0, 0.2, 200))
    states, saved = converted_spans(value, all_joined(200), scale, 0.0, spread=0.15, backend=backend)
    assert not states.any()
    assert saved == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stuck_sensor_is_not_converted(backend: Any) -> None:
    value = np.concatenate([np.arange(50.0), np.full(300, 49.0)])
    assert not converted_spans(value, all_joined(350), 0.001, 0.0, spread=1.0, backend=backend)[0].any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_steps_that_are_not_joined_do_not_count(backend: Any) -> None:
    value, joined = np.array([10.0, 10.1, 100.0, 100.2, 10.0]), np.array([True, True, False, True, False])
    assert not converted_spans(value, joined, 10.0, 0.0, spread=0.1, switch=5.0, backend=backend)[0].any()
    states, saved = converted_spans(value, all_joined(5), 10.0, 0.0, spread=0.1, switch=5.0, backend=backend)
    assert states.tolist() == [0, 0, 1, 1, 0]
    assert saved > 0


@given(
    value=st.lists(st.sampled_from([0.0, 1.0, 1.5, 10.0, 12.0, 100.0, -4.0]), min_size=1, max_size=7),
    scale=st.sampled_from([10.0, 0.1, -1.0, 1.8]),
    data=st.data(),
)
def test_no_path_is_cheaper(value: list[float], scale: float, data: st.DataObject) -> None:
    joined = data.draw(st.lists(st.booleans(), min_size=len(value), max_size=len(value)))
    states, saved = converted_spans(np.array(value), np.array(joined), scale, 2.0, spread=0.5, backend="reference")
    costs = [cost(value, joined, path, scale, 2.0) for path in product((0, 1), repeat=len(value))]
    assert cost(value, joined, tuple(states.tolist()), scale, 2.0) == pytest.approx(min(costs), abs=1e-9)
    assert saved == pytest.approx(costs[0] - min(costs), abs=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_equal_paths_the_one_is_taken_that_ends_as_it_is_and_switches_early(backend: Any) -> None:
    """Whole numbers, turned over, make many paths that cost the same."""
    random = np.random.default_rng(6)
    for _ in range(at_most(60, 25)):
        value = random.integers(-3, 4, 6).astype(np.float64)
        states, _ = converted_spans(value, all_joined(6), -1.0, 1.0, spread=0.5, switch=2.0, backend=backend)
        paths = list(product((0, 1), repeat=6))
        costs = [cost(value.tolist(), [True] * 6, path, -1.0, 1.0, switch=2.0) for path in paths]
        equal = [path for path, each in zip(paths, costs, strict=True) if each == min(costs)]
        assert tuple(states.tolist()) == min(equal, key=lambda path: (path[-1], [one != other for one, other in pairwise(path)][::-1]))


@pytest.mark.parametrize("backend", COMPILED)
@given(
    value=npst.arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e298, 1e298)),
    scale=st.sampled_from([10.0, 0.1, 1.8, -1.0, 1e-9]),
    data=st.data(),
)
def test_the_compiled_kernels_equal_the_reference(value: NDArray[np.float64], scale: float, data: st.DataObject, backend: Any) -> None:
    joined = data.draw(npst.arrays(np.bool_, value.shape))
    expected = converted_spans(value, joined, scale, 3.0, spread=0.5, backend="reference")
    found = converted_spans(value, joined, scale, 3.0, spread=0.5, backend=backend)
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1] == expected[1]


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 1500])
def test_series_of_any_length_have_the_path_of_the_reference(n: int, backend: Any) -> None:
    n = at_most(n, 60)
    value = 15 + np.cumsum(np.random.default_rng(n).normal(0, 0.2, n))
    value[n // 3 : n // 2] = value[n // 3 : n // 2] * 1.8 + 32
    expected, found = (converted_spans(value, all_joined(n), 1.8, 32.0, spread=0.2, backend=name) for name in ("reference", backend))
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1] == expected[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: converted_spans(np.arange(3), all_joined(3), 2, 0, spread=1), "value must be float64"),  # type: ignore[arg-type]
        (lambda: converted_spans(np.zeros(3), all_joined(2), 2, 0, spread=1), "joined must be bool of shape"),
        (lambda: converted_spans(np.array([math.nan]), all_joined(1), 2, 0, spread=1), "must be finite"),
        (lambda: converted_spans(np.array([1e300]), all_joined(1), 1e-9, 0, spread=1), "also when it is converted"),
        (lambda: converted_spans(np.zeros(1), all_joined(1), 0, 0, spread=1), "scale must not be 0"),
        (lambda: converted_spans(np.zeros(1), all_joined(1), 2, 0, spread=0), "spread must be above 0"),
    ],
)
def test_bad_arguments_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
