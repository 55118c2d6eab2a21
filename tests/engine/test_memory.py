"""Giving memory back: it works on this system, and on one whose library of C has no `malloc_trim`."""

from __future__ import annotations

import ctypes

import numpy as np
import pyarrow as pa
import pytest

from tamis.pipeline.memory import give_back


def test_memory_in_use_stays_as_it_is() -> None:
    numbers, column = np.arange(100_000), pa.array(range(100_000))
    give_back()
    assert numbers.tolist() == column.to_pylist() == list(range(100_000))


def test_a_system_without_malloc_trim_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    give_back()
