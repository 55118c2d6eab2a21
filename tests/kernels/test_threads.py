"""Rows are spread over threads without a gap or an overlap, and the spread changes no result."""

from __future__ import annotations

from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import arrow, at_most
from tamis_kernels import jaccard, ngrams, threads
from tamis_kernels.minhash import text_signatures
from tamis_kernels.threads import for_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


@given(costs=st.lists(st.integers(0, 5)), many=st.integers(1, 4), least=st.integers(1, 9), lead=st.integers(0, 3))
def test_every_row_is_in_exactly_one_run(costs: list[int], many: int, least: int, lead: int) -> None:
    seen = np.zeros(len(costs), np.int64)
    work = lead + np.cumsum([0, *costs])
    shares: list[int] = []
    lock = Lock()

    def kernel(first: int, last: int, step: int) -> None:
        with lock:
            seen[first:last] += step
            shares.append(int(work[last] - work[first]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "get_num_threads", lambda: many)
        patch.setattr(threads, "LEAST_WORK", least)
        for_rows(kernel, work, 1)
    assert (seen == 1).all()
    runs = min(threads.RUNS_PER_THREAD * many, sum(costs) // least) if many > 1 else 1
    assert max(shares) <= sum(costs) / max(1, runs) + max(costs, default=0)  # of about equal work


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "get_num_threads", lambda: 2)
    monkeypatch.setattr(threads, "LEAST_WORK", 1)

    def kernel(first: int, _last: int) -> None:
        if first:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        for_rows(kernel, np.arange(9))


@pytest.mark.parametrize("unit", ["byte", "char", "word"])
def test_the_spread_changes_no_hash_signature_or_similarity(monkeypatch: pytest.MonkeyPatch, unit: ngrams.Unit) -> None:
    many = at_most(60, 15)
    rows = [f"zeile {i} é {'wort ' * (i % 7)}".encode() * (1 + i % 20) for i in range(many)]
    data, offsets = arrow(rows)
    left, right = np.arange(many - 1), np.arange(1, many)

    def everything() -> list[bytes]:
        hashes, row_offsets = ngrams.hashes(data, offsets, unit=unit, ngram=2, backend="cpu")
        sets, set_offsets = jaccard.sorted_sets(hashes, row_offsets, backend="cpu")
        signatures = text_signatures(data, offsets, unit=unit, ngram=2, num_perm=16, backend="cpu")
        similarities = jaccard.pairs(sets, set_offsets, left, right, backend="cpu")
        return [array.tobytes() for array in (hashes, row_offsets, sets, set_offsets, signatures, similarities)]

    monkeypatch.setattr(threads, "get_num_threads", lambda: 1)
    alone = everything()
    monkeypatch.setattr(threads, "get_num_threads", lambda: 3)
    monkeypatch.setattr(threads, "LEAST_WORK", 64)
    assert everything() == alone


@pytest.mark.parametrize("kind", ["u1", "?", "i4", "f8"])
def test_large_arrays_are_copied_by_all_threads(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(threads, "get_num_threads", lambda: 3)
    monkeypatch.setattr(threads, "LEAST_WORK", 1)
    monkeypatch.setattr(threads, "LEAST_COPY", 8)
    monkeypatch.setattr(threads, "STEP", 16)
    ran: list[int] = []
    copy_steps = threads._copy_steps

    def noted(first: int, last: int, *arrays: NDArray[Any]) -> None:
        ran.append(get_ident())
        copy_steps(first, last, *arrays)

    monkeypatch.setattr(threads, "_copy_steps", noted)
    source = np.random.default_rng(1).integers(0, 256, (7, 11)).astype(kind)
    for one, other in ((source, np.zeros_like(source)), (source[:0], source[:0].copy()), (source[:1, :3], np.zeros((1, 3), kind))):
        threads.copied(other, one)
        np.testing.assert_array_equal(other, one)
    assert len(ran) > 1
    assert get_ident() not in ran
    ran.clear()
    for other in (np.zeros((11, 7), kind).T, np.zeros((7, 11), np.complex128)):  # not contiguous, of another kind: as NumPy does it
        threads.copied(other, source)
        np.testing.assert_array_equal(other, source)
    scattered = np.repeat(source, 2, axis=1)[:, ::2]  # which would have to be gathered first
    threads.copied(target := np.zeros_like(source), scattered)
    np.testing.assert_array_equal(target, source)
    assert ran == []
