from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, COMPILED, INTERPRETED, at_most
from readings import ALL, INF, NAN, SECOND, series
from tamis_kernels.errors import ArgumentError
from tamis_kernels.sensor import FAIL, RUN, TESTS, Limits, Scan, hampel, identifier, quality, quality_of_groups, whole_runs


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interpreted, short series span several blocks, with holes and without."""
    if INTERPRETED:
        monkeypatch.setattr(identifier, "LANES", 4)
        monkeypatch.setattr(identifier, "STEPS", 10)


def told(bits: int | np.uint32) -> set[str]:
    """Return the tests of a row's bits, in capitals where they fail."""
    return {name.upper() if int(bits) >> (at + FAIL) & 1 else name for at, name in enumerate(TESTS) if int(bits) >> at & 1}


def run(values: Any, limits: Limits, backend: Any, times: Any = None, **more: Any) -> tuple[list[set[str]], list[int]]:
    time = np.arange(len(values), dtype=np.int64) * SECOND if times is None else np.array(times, np.int64)
    bits, flags = quality(time, np.array(values, np.float64), limits, backend=backend, **more)
    return [told(one) for one in bits], flags.tolist()


@pytest.mark.emulated
@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_backends_agree_on_everything_at_once(dtype: Any, backend: Any) -> None:
    time, value, valid = series(1500)
    got = quality(time, value.astype(dtype), ALL, valid, backend=backend)
    expected = quality(time, value.astype(dtype), ALL, valid, backend="reference")
    np.testing.assert_array_equal(got[0], expected[0])
    np.testing.assert_array_equal(got[1], expected[1])
    assert {name.lower() for bits in got[0] for name in told(bits)} == set(TESTS) - {"hampel"}
    assert set(got[1].tolist()) == {1, 3, 4, 9}


@pytest.mark.parametrize("backend", COMPILED)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0, 1, SECOND, 2 * SECOND, -SECOND, 5 * SECOND, 2**50]),
            st.sampled_from([0.0, 0.005, 0.02, 1.0, -2.5, -0.0, NAN, INF, -INF, -9999.0, 1e308, -1e308, 5e-324]) | st.floats(),
            st.booleans(),
        ),
        max_size=30,
    ),
    cuts=st.lists(st.integers(0, 30), max_size=5),
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_backends_agree_on_any_rows_in_any_chunks(backend: Any, rows: list[tuple[int, float, bool]], cuts: list[int]) -> None:
    time = np.cumsum(np.array([row[0] for row in rows], np.int64))
    value = np.array([row[1] for row in rows], np.float64)
    valid = np.array([row[2] for row in rows], np.bool_)
    expected = quality(time, value, ALL, valid, backend="reference")
    scan = Scan(ALL, backend)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [scan.feed(time[a:b], value[a:b], valid[a:b]) for a, b in pairwise(edges)] + [scan.finish()]
    for at in (0, 1):
        np.testing.assert_array_equal(np.concatenate([part[at] for part in parts]), expected[at])


@pytest.mark.emulated
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("chunk", [1, 2, 7, 4096])
def test_chunks_of_any_size_give_the_same_flags(chunk: int, backend: Any) -> None:
    time, value, valid = series(at_most(1300, 80 if chunk < 7 else 300) if backend != "reference" else 300)
    whole = quality(time, value, ALL, valid, backend=backend)
    scan = Scan(ALL, backend)
    cuts = range(0, len(time), chunk)
    parts = [scan.feed(time[at : at + chunk], value[at : at + chunk], valid[at : at + chunk]) for at in cuts] + [scan.finish()]
    for at in (0, 1):
        np.testing.assert_array_equal(np.concatenate([part[at] for part in parts]), whole[at])


@pytest.mark.slow
def test_long_series_in_large_chunks_give_the_same_flags() -> None:
    time, value, valid = series(50_000)
    whole = quality(time, value, ALL, valid)
    scan = Scan(ALL)
    parts = [scan.feed(time[at : at + 4096], value[at : at + 4096], valid[at : at + 4096]) for at in range(0, 50_000, 4096)]
    parts.append(scan.finish())
    for at in (0, 1):
        np.testing.assert_array_equal(np.concatenate([part[at] for part in parts]), whole[at])


@pytest.mark.emulated
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_many_series_at_once_are_as_each_alone(backend: Any, dtype: Any) -> None:
    time, value, valid = series(600)
    value = value.astype(dtype)
    offsets = np.array([0, 0, 1, 3, 200, 200, 599, 600, 600])
    for there in (valid, None):
        got = quality_of_groups(time, value, offsets, ALL, there, backend)
        alone = [
            quality(time[a:b], value[a:b], ALL, None if there is None else there[a:b], backend="reference") for a, b in pairwise(offsets)
        ]
        for at in (0, 1):
            np.testing.assert_array_equal(got[at], np.concatenate([one[at] for one in alone]))
    assert quality_of_groups(time[:0], value[:0], np.zeros(1, np.int32), ALL, backend=backend)[0].size == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_missing_values_and_codes_are_nine_and_no_neighbour_is_a_spike(backend: Any) -> None:
    limits = Limits(sentinels=(-9999.0,), spike=(1.0, 2.0), rate=(1.0, INF))
    found, flags = run([1.0, -9999.0, 1.0, NAN, 1.0, 1.0, 1.0], limits, backend)
    assert found == [set(), {"SENTINEL", "MISSING"}, set(), {"MISSING"}, set(), set(), set()]
    assert flags == [2, 9, 2, 9, 2, 1, 1]
    assert run([1.0, 2.0], Limits(), backend, valid=np.array([True, False]))[1] == [2, 9]


@pytest.mark.parametrize("backend", BACKENDS)
def test_range_has_two_spans_whose_ends_are_inside_and_infinities_always_fail(backend: Any) -> None:
    limits = Limits(suspect_span=(0.0, 10.0), fail_span=(-5.0, 20.0))
    assert run([0.0, 10.0, 10.5, -5.0, 20.0, 20.5, INF, -INF], limits, backend)[1] == [1, 1, 3, 3, 3, 4, 4, 4]
    assert run([INF, 0.0], Limits(), backend) == ([{"RANGE"}, set()], [4, 2])


@pytest.mark.parametrize("backend", BACKENDS)
def test_spikes_by_the_mean_fail_neighbours_and_differential_ones_do_not(backend: Any) -> None:
    values = [0.0, 0.0, 10.0, 0.0, 0.0]
    assert run(values, Limits(spike=(3.0, 8.0)), backend)[1] == [2, 3, 4, 3, 2]
    assert run(values, Limits(spike_differential=(3.0, 8.0)), backend)[1] == [2, 1, 4, 1, 2]
    assert run([0.0, 5.0, 10.0, 5.0], Limits(spike_differential=(3.0, 8.0)), backend)[1] == [2, 1, 3, 2]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("limit", [1.0, 1e300])
def test_a_mean_beyond_the_range_is_far_from_every_value(limit: float, backend: Any) -> None:
    rows = 1_500  # more than a block, the first of which is looked at in any case
    found, _ = run([1.5e308] * rows, Limits(spike=(limit, INF)), backend)
    assert found == [set(), *[{"spike"}] * (rows - 2), set()]


@pytest.mark.parametrize("backend", BACKENDS)
def test_rates_count_parts_of_a_second(backend: Any) -> None:
    limits = Limits(rate=(1.0, 10.0))
    times = [0, SECOND // 10, SECOND // 5, 17 * SECOND // 10, 27 * SECOND // 10]
    found, flags = run([0.0, 0.1, 0.3, 1.8, 20.0], limits, backend, times)
    assert found == [set(), set(), {"rate"}, set(), {"RATE"}]
    assert flags == [2, 1, 3, 1, 4]


@pytest.mark.parametrize("backend", BACKENDS)
def test_runs_are_flat_by_elapsed_time_and_a_slow_ramp_is_none(backend: Any) -> None:
    limits = Limits(flat=(3 * SECOND, 5 * SECOND), flat_tolerance=0.125)
    assert run([1.0, 1.1, 0.9, NAN, 1.0, 1.0], limits, backend)[1] == [1, 1, 1, 9, 3, 4]
    assert run(np.arange(12) * 0.12, limits, backend)[1] == [1] * 12
    assert run([1.0, 1.0, 1.0], limits, backend, [0, SECOND, 4 * SECOND])[1] == [1, 1, 3]
    assert run([1.0] * 9, Limits(flat=(3 * SECOND, None)), backend)[1] == [1] * 3 + [3] * 6
    assert run([1.0] * 4 + [2.0] * 4, limits, backend)[1] == [1, 1, 1, 3, 1, 1, 1, 3]
    assert run([5.0, 1.0, 1.0], limits, backend, [0, SECOND, SECOND + 2**60])[1] == [1, 1, 4]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("limit", [1, 7, 13, 14, 15, 21, 22, 23])
def test_runs_are_flat_however_they_lie_and_however_long_the_others_are(limit: int, backend: Any) -> None:
    for longest in range(max(limit - 1, 1), limit + 3):
        lengths = np.roll(np.arange(1, longest + 1), 3)
        places = np.concatenate([np.arange(length) for length in lengths])
        values = np.repeat(np.arange(lengths.size), lengths)
        flags = run(values, Limits(flat=(limit * SECOND, None)), backend)[1]
        assert flags == np.where(places >= limit, 3, 1).tolist()


@pytest.mark.parametrize("backend", BACKENDS)
def test_whole_runs_are_told_from_their_first_row(backend: Any) -> None:
    limits = Limits(flat=(2 * SECOND, 4 * SECOND))
    values = np.array([5.0, 1.0, NAN, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0])
    bits, _ = quality(np.arange(11) * SECOND, values, limits, backend=backend)
    assert (bits & RUN).any()
    assert [told(one) for one in whole_runs(bits)] == [set(), {"flat"}, {"MISSING"}, {"flat"}, {"flat"}, set()] + [{"FLAT"}] * 5
    assert whole_runs(np.empty(0, np.uint32)).size == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_signal_that_is_nearly_still_is_attenuated_once_the_window_is_full(backend: Any) -> None:
    limits = Limits(attenuated=0.5, attenuated_window=8 * SECOND)
    values = [0.0, 1.0] * 6 + [0.1, 0.2] * 8 + [5.0]
    found, _ = run(values, limits, backend)
    assert [at for at, names in enumerate(found) if names] == list(range(20, 28))
    assert run([0.0, 0.0], limits, backend, [0, 100 * SECOND])[1] == [1, 1]  # one value is no signal
    assert run([*values, 1.0], limits, backend, [*range(0, 29 * SECOND, SECOND), 90 * SECOND])[1][-1] == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_time_stands_still_goes_back_and_leaps(backend: Any) -> None:
    limits = Limits(gap=2 * SECOND, ordered=True)
    found, flags = run([1.0] * 5, limits, backend, [0, 2 * SECOND, 2 * SECOND, SECOND, 4 * SECOND])
    assert found == [set(), set(), {"duplicate"}, {"reversed"}, {"gap"}]
    assert flags == [2, 1, 3, 3, 3]


@pytest.mark.parametrize("backend", BACKENDS)
def test_jitter_is_of_a_step_and_drift_of_the_grid(backend: Any) -> None:
    limits = Limits(period=1000 * SECOND, jitter=10 * SECOND, drift=15 * SECOND)
    times = [0, 1000, 2009, 3018, 4018, 5000, 5985, 7984]
    found, _ = run([0.0] * 8, limits, backend, [time * SECOND for time in times])
    assert found == [set(), set(), set(), {"drift"}, {"drift"}, {"jitter"}, {"jitter"}, {"jitter", "drift"}]
    before, _ = run([0.0] * 4, limits, backend, [0, -400 * SECOND, -1500 * SECOND, 1030 * SECOND])  # there is no grid before its beginning
    assert ["drift" in one for one in before] == [False, False, False, True]


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_values_at_a_rail_are_saturated_and_one_is_not(backend: Any) -> None:
    found, _ = run([5.0, 1.0, 5.0, 6.0, 0.0, 0.0, 1.0, 0.0], Limits(rails=(0.0, 5.0)), backend)
    assert [at for at, names in enumerate(found) if names] == [2, 3, 4, 5]
    assert run([5.0, 5.0], Limits(rails=(NAN, NAN)), backend)[1] == [1, 1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_gives_nothing(backend: Any) -> None:
    bits, flags = quality(np.empty(0, np.int64), np.empty(0), ALL, backend=backend)
    assert (bits.size, flags.size) == (0, 0)
    assert Scan(ALL, backend).finish()[0].size == 0
    assert hampel(np.empty(0), backend=backend).size == 0


@pytest.mark.parametrize("backend", COMPILED)
@given(
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 1.25, 3.0, NAN, INF, 1.7e308, -1.7e308]) | st.floats(-1e6, 1e6), max_size=40),
    st.sampled_from([3, 5, 9]),
    st.sampled_from([(3.0, 0.5), (0.0, 0.0), (1.0, INF), (INF, 0.0)]),
)
def test_hampel_agrees_on_any_values(backend: Any, values: list[float], window: int, limits: tuple[float, float]) -> None:
    array = np.array(values, np.float64)
    sigmas, floor = limits
    got, expected = (hampel(array, window=window, sigmas=sigmas, floor=floor, backend=one) for one in (backend, "reference"))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.slow
@pytest.mark.parametrize("window", [3, 5, 7, 21, 51, 97, 99])
@pytest.mark.parametrize("missing", [0.0, 0.01, 0.4])
def test_hampel_agrees_on_long_series_with_holes(window: int, missing: float) -> None:
    random = np.random.default_rng(window)
    values = np.round(np.cumsum(random.normal(size=17_000)), 1)  # more than a block of the kernel
    values[random.integers(0, values.size, 300)] += 20
    values[random.random(values.size) < missing] = NAN
    got = hampel(values, window=window)
    checked = [slice(0, 1500), slice(15_400, 17_000)]  # both ends, and where blocks meet
    for rows in checked:
        around = slice(max(rows.start - window, 0), rows.stop + window)
        expected = hampel(values[around], window=window, backend="reference")
        np.testing.assert_array_equal(got[rows], expected[rows.start - around.start :][: len(got[rows])])
    np.testing.assert_array_equal(hampel(values[::-1], window=window), got[::-1])


@pytest.mark.emulated
@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("window", [3, 7, 21])
def test_hampel_agrees_on_rows_side_by_side_and_by_chunks_that_overlap(window: int, backend: Any) -> None:
    random = np.random.default_rng(window)
    values = np.round(random.normal(size=400), 1)
    values[random.integers(0, 400, 9)] += 20
    values[200] = NAN
    got = hampel(values, window=window, backend=backend)
    np.testing.assert_array_equal(got, hampel(values, window=window, backend="reference"))
    half = window // 2
    np.testing.assert_array_equal(hampel(values[100 - half : 300 + half], window=window, backend=backend)[half : 200 + half], got[100:300])


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("window", [3, 9])
def test_hampel_agrees_where_sums_and_distances_leave_the_range(window: int, backend: Any) -> None:
    random = np.random.default_rng(window)
    values = random.choice(np.array([1.7e308, -1.7e308, 1e308, 0.0, -0.0, 1.0, NAN, np.inf]), size=300)
    np.testing.assert_array_equal(hampel(values, window=window, backend=backend), hampel(values, window=window, backend="reference"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_hampel_finds_what_stands_out(backend: Any) -> None:
    values = np.array([1.0, 1.1, 0.9, 9.0, 1.0, 1.1, 0.9, NAN, 1.0])
    assert hampel(values, window=5, backend=backend).tolist() == [1, 1, 1, 3, 1, 1, 1, 2, 2]
    assert hampel(np.array([1.0, 1.0, 1.01, 1.0, 1.0]), window=3, floor=0.02, backend=backend).tolist() == [1] * 5
    assert hampel(np.array([NAN, 1.0, NAN]), window=3, backend=backend).tolist() == [2, 2, 2]


TIMES, ONES = np.arange(2) * SECOND, np.ones(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quality(TIMES, np.ones(2, np.int64), ALL), "float32 or float64"),
        (lambda: quality(TIMES.astype(np.int32), ONES, ALL), "int64 nanoseconds"),
        (lambda: quality(TIMES[:1], ONES, ALL), "of shape"),
        (lambda: quality(TIMES, ONES, ALL, np.ones(2, np.uint8)), "valid must be bool"),
        (lambda: quality(np.array([0, 2**62]), ONES, ALL), "1823 to 2116"),
        (lambda: quality(np.array([0, -(2**62) - 1]), ONES, ALL, backend="reference"), "1823 to 2116"),
        (lambda: quality_of_groups(TIMES, ONES, np.array([0, 1]), ALL), "from 0 to 2, the number of rows; got 0 … 1"),
        (lambda: quality_of_groups(TIMES, ONES, np.array([0.0, 2.0]), ALL), "offsets must be int32 or int64"),
        (lambda: quality_of_groups(np.array([0, 2**62]), ONES, np.arange(3), ALL), "time of series 1 must lie within"),
        (lambda: quality_of_groups(np.array([2**62, 0]), ONES, np.arange(3), ALL, backend="reference"), "time of series 0 must lie within"),
        pytest.param(lambda: quality(np.array([0, 2**62]), ONES, ALL, backend="cuda"), "1823 to 2116", marks=pytest.mark.gpu),
        pytest.param(
            lambda: quality_of_groups(np.array([0, 0, -(2**62) - 1]), np.ones(3), np.array([0, 2, 2, 3]), ALL, backend="cuda"),
            "time of series 2 must lie within",
            marks=pytest.mark.gpu,
        ),
        (lambda: Scan(Limits(spike=(NAN, 1.0))), "not NaN"),
        (lambda: Scan(Limits(fail_span=(2.0, 1.0))), "fail_span must go from low to high"),
        (lambda: Scan(Limits(rate=(-1.0, 1.0))), "must not be negative"),
        (lambda: Scan(Limits(jitter=1)), "nominal period"),
        (lambda: Scan(Limits(period=10, drift=1)), "at least 1000 ns"),
        (lambda: Scan(Limits(attenuated=1.0)), "attenuated_window"),
        (lambda: hampel(ONES, window=4), "odd, 3 to 99, got 4"),
        (lambda: hampel(ONES, sigmas=-1.0), "must not be negative"),
    ],
)
def test_wrong_arguments_are_told(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("nudge", [-1, 0, 1])
@pytest.mark.parametrize("seed", [1, 2])
def test_limits_at_the_extremes_of_a_block_give_the_reference_bits(seed: int, nudge: int, backend: Any) -> None:
    """A block whose extremes no limit reaches is passed over: a limit that lies at an extreme, or an ulp beside it, must not be."""
    random = np.random.default_rng(seed)
    value = random.normal(1e6, 1, 300)
    time = np.arange(300, dtype=np.int64) * SECOND
    rise = np.abs(np.diff(value))
    bend = np.abs(value[1:-1] - (value[:-2] + value[2:]) / 2)
    turned = np.diff(value)[:-1] * np.diff(value)[1:] < 0
    nearer = np.where(turned, np.minimum(rise[:-1], rise[1:]), 0)

    def at(extreme: Any) -> float:
        return float(np.nextafter(extreme, extreme + nudge)) if nudge else float(extreme)

    limits = Limits(
        suspect_span=(at(value.min()), at(value.max())),
        spike=(at(bend.max()), INF),
        spike_differential=(at(nearer.max()), INF),
        rate=(at(rise.max()), INF),
        rails=(at(value.min()), at(value.max())),
        attenuated=at(value.max() - value.min()),
        attenuated_window=1600 * SECOND,
        gap=SECOND,
        ordered=True,
        period=SECOND,
        jitter=0,
        drift=0,
    )
    got, expected = (quality(time, value, limits, backend=one) for one in (backend, "reference"))
    np.testing.assert_array_equal(got[0], expected[0])
    np.testing.assert_array_equal(got[1], expected[1])


@pytest.mark.emulated
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_weak_signal_is_told_from_the_pane_in_which_it_stays_weak(backend: Any) -> None:
    values = np.concatenate([np.tile([0.0, 1.0], 400), np.full(1600, 0.5)])
    found, _ = run(values, Limits(attenuated=0.5, attenuated_window=800 * SECOND), backend)
    weak = [row for row, one in enumerate(found) if "attenuated" in one]
    assert weak == list(range(1600, 2400))  # from here on this pane of 100 rows and the eight before lie behind row 800


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("offset", [0, 1])
def test_times_that_keep_their_distance_from_the_grid_are_all_told(offset: int, backend: Any) -> None:
    times = [0, *(row * SECOND + offset for row in range(1, 40))]
    found, _ = run([0.0] * 40, Limits(period=SECOND, drift=0), backend, times)
    assert [("drift" in one) for one in found] == [False] + [offset == 1] * 39


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("period", [1000, 1001, SECOND, 3 * SECOND + 7, 2**40 + 1])
def test_drift_is_the_same_about_halves_of_near_and_far_periods(period: int, backend: Any) -> None:
    counts = [0, 1, 2, 1000, 2**20 + 1, 2**31 - 1, 2**40, 2**47 - 1, 2**48 - 1, 2**48, 2**49 + 1]
    bases = [0, period // 2, period // 2 + 1, period]
    times = sorted({0, *(n * period + base + near for n in counts for base in bases for near in range(-3, 4))})
    times = [one for one in times if 0 <= one < 2**61]
    for drift in (0, 1, 2, period // 2 - 2, period // 2 - 1, period // 2):
        got = [run([0.0] * len(times), Limits(period=period, drift=drift), one, times)[0] for one in (backend, "reference")]
        assert got[0] == got[1]


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize(("period", "step"), [(1000, 1001), (1000, 998), (1000, 1750), (2**61, 2**58), (2**62, 2**58)])
def test_time_that_creeps_along_the_grid_is_told_wherever_it_is_off(period: int, step: int, backend: Any) -> None:
    """Each step is within the limit of jitter, so that how far a row is off follows from the row before; and some are not."""
    rows = at_most(600, 80)
    steps = np.full(rows, step)
    steps[::31], steps[::67] = (0, -step) if period > 1000 else (7 * period + 3, -2 * period)
    steps[0] = 0
    times = np.cumsum(steps) % 2**61 if period > 1000 else np.cumsum(steps) - 2**61
    limits = Limits(period=period, jitter=abs(step - period), drift=period // 40, sentinels=(1.0, 2.0, 3.0))
    values = np.arange(rows) % 5
    got = [run(values, limits, one, times) for one in (backend, "reference")]
    assert got[0] == got[1]
    off = ["drift" in one for one in got[0][0]]
    assert any(off)
    assert not all(off)
