"""The emulator tells what a GPU would not forgive, and runs what is right: tiny kernels, each with one fault or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from emulator import card, grid, install, kept
from numba import cuda, int64, uint8

from tamis_kernels import device
from tamis_kernels.affine import cuda as affine
from tamis_kernels.bands import cuda as bands
from tamis_kernels.jpeg import cuda as jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

cp = card.modules()["cupy"]
CONSTANT = np.array([7, 0, 3, 0, 0, 0, 0, 0], np.uint32)


def run(kernel: Any, blocks: Any, threads: Any, *arguments: Any, shared: int = 0) -> None:
    """Run a kernel on arrays of the host as if they were the device's."""
    given = [card.Array(one) if isinstance(one, np.ndarray) else one for one in arguments]
    device.launch_blocks(kernel, blocks, threads, *given, shared=shared)


def twice(kernel: Any, blocks: Any, threads: Any, *arguments: Any) -> list[NDArray[Any]]:
    """Return what the first array becomes in a run upwards and in one downwards: launches take turns."""
    found = []
    for _ in range(2):
        first = arguments[0].copy()
        run(kernel, blocks, threads, first, *arguments[1:])
        found.append(first)
    return found


@cuda.jit
def write_beyond(out: Any, distance: int) -> None:
    place = cuda.grid(1)
    out[place + (distance if place == 5 else 0)] = place


@pytest.mark.parametrize(
    ("distance", "where"),
    [(3, "0 bytes behind the end"), (13, "40 bytes behind the end"), (-6, "4 bytes before the begin")],
)
def test_an_access_outside_its_array_is_told_with_kernel_thread_instruction_and_distance(distance: int, where: str) -> None:
    with pytest.raises(grid.KernelFault) as error:
        run(write_beyond, 2, 4, np.zeros(8, np.int32), distance)
    assert "write_beyond" in str(error.value)
    assert "thread 1 of block [1, 0, 0]" in str(error.value)
    assert "st.global" in str(error.value)
    assert f"{where} of one of 32 bytes" in str(error.value)
    run(write_beyond, 2, 4, np.zeros(8, np.int32), 0)


@cuda.jit
def read_words(values: Any, out: Any) -> None:
    out[cuda.grid(1)] = values[cuda.grid(1)]


def test_an_address_that_is_no_multiple_of_what_is_read_is_told() -> None:
    room = np.zeros(40, np.uint8)
    run(read_words, 1, 4, room[:32].view(np.uint64), np.zeros(4, np.uint64))
    with pytest.raises(grid.KernelFault, match="no multiple"):
        run(read_words, 1, 4, room[4:36].view(np.uint64), np.zeros(4, np.uint64))


def test_an_empty_array_may_not_be_read() -> None:
    with pytest.raises(grid.KernelFault, match="leaves its arrays"):
        run(read_words, 1, 1, np.zeros(0, np.uint64), np.zeros(1, np.uint64))


@cuda.jit
def read_constant(out: Any, first: int) -> None:
    table = cuda.const.array_like(CONSTANT)
    out[cuda.threadIdx.x] = table[cuda.threadIdx.x + first]


def test_constants_keep_the_zeros_at_their_end_and_their_bounds() -> None:
    out = np.full(8, 9, np.uint32)
    run(read_constant, 1, 8, out, 0)
    np.testing.assert_array_equal(out, CONSTANT)
    with pytest.raises(grid.KernelFault, match=r"ld\.const"):
        run(read_constant, 1, 8, out, 1)


@cuda.jit
def turn_round(out: Any, barrier: bool) -> None:
    room = cuda.shared.array(32, int64)
    me = cuda.threadIdx.x
    room[me] = me
    if barrier:
        cuda.syncthreads()
    out[cuda.blockIdx.x * 32 + me] = room[31 - me]


@cuda.jit
def write_same(out: Any, atomic: bool) -> None:
    room = cuda.shared.array(1, int64)
    if cuda.threadIdx.x == 0:
        room[0] = 0
    cuda.syncthreads()
    if atomic:
        cuda.atomic.add(room, 0, cuda.threadIdx.x)
    else:
        room[0] = cuda.threadIdx.x
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        out[cuda.blockIdx.x] = room[0]


def test_what_one_thread_writes_and_another_reads_needs_a_barrier_between() -> None:
    for found in twice(turn_round, 3, 32, np.zeros(96, np.int64), True):
        np.testing.assert_array_equal(found.reshape(3, 32), [np.arange(32)[::-1]] * 3)
    with pytest.raises(grid.KernelFault, match=r"shared.*touches what thread \d+ of block \[0, 0, 0\].*nothing orders them"):
        twice(turn_round, 1, 32, np.zeros(32, np.int64), False)


def test_what_two_threads_write_must_be_atomic() -> None:
    for found in twice(write_same, 2, 8, np.zeros(2, np.int64), True):
        np.testing.assert_array_equal(found, [28, 28])
    with pytest.raises(grid.KernelFault, match=r"st\.shared.*nothing orders them"):
        twice(write_same, 2, 8, np.zeros(2, np.int64), False)


@cuda.jit
def meet(out: Any, how: int) -> None:
    block, me = cuda.blockIdx.x, cuda.threadIdx.x
    if me == 0:
        if how == 0:
            out[0] = block
        elif how == 1:
            cuda.atomic.add(out, 0, block)
        elif how == 2:
            out[1 + block] = out[0]
            if block == 1:
                out[0] = 1
        elif how == 3:
            cuda.atomic.add(out, 0, 1)
            out[1 + block] = out[0]
        elif how == 4:
            out[0] = out[0] + 1
            cuda.atomic.add(out, 0, 1)
        else:
            out[1 + block] = out[0]


@pytest.mark.parametrize(("how", "races"), [(0, True), (1, False), (2, True), (3, True), (4, True), (5, False)])
def test_no_barrier_orders_two_blocks_but_atomics_do(how: int, races: bool) -> None:
    for _ in range(2):
        if races:
            with pytest.raises(grid.KernelFault, match=r"global.*block \[[01], 0, 0\] touches, and nothing orders them"):
                run(meet, 2, 4, np.zeros(8, np.int64), how)
        else:
            run(meet, 2, 4, np.zeros(8, np.int64), how)


@cuda.jit
def wait_apart(out: Any, most: int, leave: bool) -> None:
    if cuda.threadIdx.x >= most:
        if leave:
            return
        cuda.syncthreads()
        out[1] = 1
    else:
        cuda.syncthreads()
        out[0] = 0


@pytest.mark.parametrize("leave", [False, True])
def test_a_barrier_that_only_some_threads_reach_is_told(leave: bool) -> None:
    for _ in range(2):
        with pytest.raises(grid.KernelFault, match=r"wait_apart: block \[0, 0, 0\] has a barrier that only some of its threads reach"):
            run(wait_apart, 1, 2, np.zeros(4, np.int64), 1, leave)
        run(wait_apart, 1, 1, np.zeros(4, np.int64), 1, leave)


@cuda.jit
def read_unwritten(out: Any) -> None:
    room = cuda.shared.array(4, uint8)
    if out[0] > 100:
        room[cuda.threadIdx.x] = 1
    out[cuda.threadIdx.x] = room[cuda.threadIdx.x]


def test_shared_memory_holds_no_zeros_at_first() -> None:
    out = np.zeros(1, np.uint8)
    run(read_unwritten, 1, 1, out)
    assert out[0] == grid.UNWRITTEN != 0


@cuda.jit
def take_numbers(out: Any) -> None:
    out[cuda.grid(1)] = cuda.atomic.add(out, out.size - 1, 1)


def test_blocks_and_threads_run_upwards_and_downwards_in_turns() -> None:
    orders = {tuple(found[:-1].tolist()) for found in twice(take_numbers, 3, 4, np.zeros(13, np.int64))}
    assert orders == {tuple(range(12)), tuple(range(11, -1, -1))}


@cuda.jit
def take_numbers_again(out: Any) -> None:
    for step in range(2):
        out[step, cuda.threadIdx.x] = cuda.atomic.add(out, (2, 0), 1)
        cuda.syncthreads()


def test_threads_turn_at_a_barrier() -> None:
    for found in twice(take_numbers_again, 1, 4, np.zeros((3, 4), np.int64)):
        upwards = [found[0].tolist() == [0, 1, 2, 3], found[1].tolist() == [4, 5, 6, 7]]
        downwards = [found[0].tolist() == [3, 2, 1, 0], found[1].tolist() == [7, 6, 5, 4]]
        assert upwards == [not one for one in downwards]
        assert sum(upwards) == 1


@cuda.jit
def place_in_grid(out: Any) -> None:
    x, y, z = cuda.grid(3)
    out[x, y, z] = (
        cuda.threadIdx.x + 10 * cuda.threadIdx.y + 100 * cuda.threadIdx.z
        + 1000 * (cuda.blockIdx.x + 10 * cuda.blockIdx.y + 100 * cuda.blockIdx.z)
        + 1000000 * (cuda.gridDim.x + 10 * cuda.gridDim.y + 100 * cuda.gridDim.z)
    )  # fmt: skip


def test_blocks_and_grids_have_three_dimensions() -> None:
    blocks, threads = (2, 3, 1), (4, 2, 2)
    x, y, z = np.meshgrid(*(np.arange(one * other) for one, other in zip(blocks, threads, strict=True)), indexing="ij")
    expected = x % 4 + 10 * (y % 2) + 100 * (z % 2) + 1000 * (x // 4 + 10 * (y // 2) + 100 * (z // 2)) + 1000000 * 132
    for found in twice(place_in_grid, blocks, threads, np.zeros(x.shape, np.int64)):
        np.testing.assert_array_equal(found, expected)


@cuda.jit
def turn_in_dynamic(values: Any, beyond: int) -> None:
    before = cuda.shared.array(3, uint8)
    room = cuda.shared.array(0, int64)
    me = cuda.threadIdx.x
    if me < 3:
        before[me] = 0xFF
    room[me + beyond] = values[me]
    cuda.syncthreads()
    values[me] = room[cuda.blockDim.x - 1 - me + beyond]


def test_dynamic_shared_memory_is_as_large_as_the_launch_says() -> None:
    values = np.arange(8)
    run(turn_in_dynamic, 1, 8, values, 0, shared=64)
    np.testing.assert_array_equal(values, np.arange(8)[::-1])
    with pytest.raises(grid.KernelFault, match=r"st\.shared"):
        run(turn_in_dynamic, 1, 8, values, 1, shared=64)
    with pytest.raises(AssertionError, match="shared memory a block"):
        run(turn_in_dynamic, 1, 8, values, 0, shared=48 * 1024)


@cuda.jit
def vote(out: Any, values: Any) -> None:
    for step in range(3):
        out[step, cuda.threadIdx.x] = cuda.syncthreads_or(int(values[cuda.threadIdx.x] == step))


def test_threads_learn_what_all_have_voted() -> None:
    values = np.array([0, 5, 2, 2])
    for found in twice(vote, 1, 4, np.zeros((3, 4), np.int64), values):
        np.testing.assert_array_equal(found != 0, [[True] * 4, [False] * 4, [True] * 4])


@cuda.jit
def change(out: Any, was: Any, by: Any) -> None:
    me = cuda.grid(1)
    was[0, me] = cuda.atomic.add(out, 0, by[me])
    was[1, me] = cuda.atomic.sub(out, 1, by[me])
    was[2, me] = cuda.atomic.min(out, 2, by[me])
    was[3, me] = cuda.atomic.max(out, 3, by[me])
    was[4, me] = cuda.atomic.and_(out, 4, by[me])
    was[5, me] = cuda.atomic.or_(out, 5, by[me])
    was[6, me] = cuda.atomic.xor(out, 6, by[me])
    was[7, me] = cuda.atomic.exch(out, 7, by[me])
    was[8, me] = cuda.atomic.cas(out, 8, by[0], by[me])


@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.int64, np.uint64])
def test_atomics_change_memory_and_return_what_was_there(kind: Any) -> None:
    generator = np.random.default_rng(1)
    info = np.iinfo(kind)
    by = generator.integers(info.min, info.max, 8, dtype=kind, endpoint=True)
    start = generator.integers(info.min, info.max, 9, dtype=kind, endpoint=True)
    start[8] = by[0]
    functions: list[Any] = [
        np.add, np.subtract, np.minimum, np.maximum, np.bitwise_and, np.bitwise_or, np.bitwise_xor,
        lambda _, new: new, lambda old, new: new if old == by[0] else old,
    ]  # fmt: skip
    seen = set()
    for _ in range(2):
        out, was = start.copy(), np.zeros((9, 8), kind)
        run(change, 2, 4, out, was, by)
        order = np.arange(8) if was[7, 0] == start[7] else np.arange(8)[::-1]
        seen.add(int(order[0]))
        for row, function in enumerate(functions):
            now = start[row]
            for place in order:
                assert was[row, place] == now
                now = function(now, by[place])
            assert out[row] == now
    assert seen == {0, 7}


@cuda.jit
def add_numbers(out: Any, by: Any) -> None:
    cuda.atomic.add(out, 0, by[cuda.grid(1)])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_atomic_sums_of_floats_are_rounded_one_after_the_other(kind: Any) -> None:
    by = np.array([1e8, 1.1, -1e8, 3.3], kind)
    expected = {float(np.cumsum(order, dtype=kind)[-1]) for order in (by, by[::-1])}
    assert {float(found[0]) for found in twice(add_numbers, 2, 2, np.zeros(1, kind), by)} == expected


@cuda.jit
def shuffle(out: Any) -> None:
    out[cuda.threadIdx.x] = cuda.shfl_sync(0xFFFFFFFF, out[cuda.threadIdx.x], 0)


def test_an_instruction_that_is_not_known_is_named() -> None:
    with pytest.raises(NotImplementedError, match=r"not known yet: shfl\.sync"):
        run(shuffle, 1, 4, np.zeros(4, np.int32))


@pytest.mark.parametrize(
    ("array", "layout"),
    [
        (np.zeros((3, 4)), "C"), (np.zeros((3, 4)).T, "F"), (np.zeros((3, 4))[:, :2], "A"), (np.zeros((1, 4))[:, :2], "C"),
        (np.zeros((4, 1)), "C"), (np.zeros((4, 3))[:, :1], "A"), (np.zeros(5)[::2], "A"), (np.zeros((0, 4)), "C"), (np.zeros(()), "C"),
    ],
)  # fmt: skip
def test_arrays_have_the_types_that_numba_gives_those_of_cupy(array: NDArray[Any], layout: str) -> None:
    from numba.cuda.typing.typeof import typeof

    told = typeof(install.Seen(card.Array(array)))
    assert (told.layout, told.ndim, told.mutable, told.aligned) == (layout, array.ndim, True, True)


def test_launches_that_cuda_refuses_are_told() -> None:
    for blocks, threads in ((0, 1), (1, 2048), ((1, 1 << 16), 1)):
        with pytest.raises(AssertionError, match=r"CUDA|a block of"):
            run(read_words, blocks, threads, np.zeros(4, np.uint64), np.zeros(4, np.uint64))
    bounded = cuda.jit(read_words.py_func, launch_bounds=2)
    run(bounded, 1, 2, np.zeros(4, np.uint64), np.zeros(4, np.uint64))
    with pytest.raises(AssertionError, match="a block of"):
        run(bounded, 1, 3, np.zeros(4, np.uint64), np.zeros(4, np.uint64))


def test_kernels_that_differ_from_those_named_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    launched = {key: {*types} for key, types in install.named().items()}
    monkeypatch.setattr(install, "launched", launched)
    assert install.never_launched() == []
    del launched["tamis_kernels.bands", "band_keys"]
    (missing,) = install.never_launched()
    assert missing.startswith("tamis_kernels.bands.band_keys")
    assert missing.endswith("is never launched")
    with pytest.raises(AssertionError, match=r"tamis_kernels\.bands\.band_keys\(int64,\) is launched, but not in SIGNATURES"):
        install.Kernel(bands.band_keys.py_func, (int64,))


def test_what_is_kept_of_a_kernel_hangs_on_its_types_its_block_and_the_values_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from signatures import SIGNATURES

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    made = []

    def translated(_function: Any, types: Any, options: dict[str, Any]) -> dict[str, Any]:
        made.append((types, options))
        return {}

    monkeypatch.setattr(kept, "_translated", translated)
    divide = affine.divide.py_func
    for types in (SIGNATURES["affine", "divide", "f32"], SIGNATURES["affine", "divide", "f64"]) * 2:
        kept.translation(divide, types, {})
    assert len(made) == len([*(tmp_path / "emulated").iterdir()]) == 2
    kept.translation(divide, SIGNATURES["affine", "divide", "f64"], {"launch_bounds": 64})
    assert len(made) == 3
    monkeypatch.setattr(affine, "ITEMS", 3)
    kept.translation(divide, SIGNATURES["affine", "divide", "f32"], {})
    assert len(made) == 4
    for _ in range(2):
        kept.translation(read_words.py_func, (), {})  # a test's own
    assert len(made) == 6
    values = dict(kept.named(jpeg.walk_scans.py_func))
    assert values["tamis_kernels.jpeg.cuda.walk_scans.THREADS"] == jpeg.THREADS
    assert "tamis_kernels.jpeg.lane" in {name.rsplit(".", 2)[0] for name in values}  # of functions that it calls


@cuda.jit
def add_over_a_wait(out: Any, values: Any) -> None:
    place = cuda.grid(1)
    before = values[place] * 3 + 1
    away = (values[place] ^ 5) * (place + 7)
    out[place] = away
    cuda.syncthreads()
    out[place] += before


def test_what_is_read_behind_a_wait_alone_outlasts_it() -> None:
    values = np.arange(8)
    for found in twice(add_over_a_wait, 1, 8, np.zeros(8, np.int64), values):
        np.testing.assert_array_equal(found, (values ^ 5) * (values + 7) + values * 3 + 1)
    ptx, _ = cuda.compile_ptx(add_over_a_wait.py_func, (int64[::1], int64[::1]), cc=grid.ARCHITECTURE, device=False)
    program = grid.translation(ptx, touched=True)
    assert 8 < program["frame_size"] <= 8 * 4  # the sum's part and where it goes, of some thirty registers
