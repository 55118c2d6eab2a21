"""Questions about all values of a column that lie in parts: exact, free of the parts' order, in few passes.

What is wanted of a column is a generator that asks a `Probe` of all its values, is sent the sum of what the parts answered, and asks on
until it returns. A pass over the parts answers the open probes of all columns at once: moments take one pass, quantiles two to seven,
the median absolute deviation as many again, a Yeo-Johnson lambda some fifteen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels import moments, yeo_johnson
from tamis_kernels.moments import Moments
from tamis_kernels.quantiles import Selection, deviations
from tamis_kernels.validity import valid

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName
    from tamis_kernels.validity import Validity

PIECE = 1 << 16  # values that are transformed at a time


@dataclass(frozen=True, slots=True)
class Counts:
    """A histogram of a selection's pass, without its zeros."""

    places: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def __add__(self, other: Counts) -> Counts:
        """Add up what two parts counted."""
        places, inverse = np.unique(np.concatenate((self.places, other.places)), return_inverse=True)
        numbers = np.zeros(places.size, np.int64)
        np.add.at(numbers, inverse, np.concatenate((self.numbers, other.numbers)))
        return Counts(places, numbers)

    def histogram(self, selection: Selection) -> NDArray[np.int64]:
        """Return the histogram that the selection goes on from."""
        full = np.zeros((len(selection.wanted()), 1 << selection.digit), np.int64)
        full.reshape(-1)[self.places] = self.numbers
        return full


Found = Moments | Counts


@dataclass(frozen=True, slots=True)
class Probe:
    """One question about some values: a selection's pass, of them or their distances from a centre; or moments, also of logs or powers."""

    selection: Selection | None = None
    centre: float | None = None
    logs: bool = False
    lambda_: float | None = None

    def ask(self, values: NDArray[np.floating[Any]], backend: BackendName = "auto", *, validity: Validity | None = None) -> Found:
        """Return the answer of some values; answers add up. Null by `validity`, NaN and infinities take no part."""
        if self.selection is None and not self.logs and self.lambda_ is None:
            return moments.accumulate(values, validity=validity, backend=backend)
        if validity is not None:
            values = valid(values, validity, backend=backend)
        if self.selection is not None:
            finite = finite_of(values)
            moved = finite if self.centre is None else deviations(finite, self.centre)
            counted = self.selection.count(moved, backend=backend).reshape(-1)
            places = np.flatnonzero(counted)
            return Counts(places, counted[places])
        total = Moments()
        for start in range(0, values.size, PIECE):
            moved = yeo_johnson.log_scale(finite_of(values[start : start + PIECE]), backend=backend)
            if self.lambda_ is not None:
                moved = yeo_johnson.power(moved, self.lambda_, backend=backend)
            total += moments.accumulate(moved, backend=backend)
        return total

    def nothing(self) -> Found:
        """Return the answer of no values."""
        return Moments() if self.selection is None else Counts(np.empty(0, np.int64), np.empty(0, np.int64))


def _moments() -> Generator[Probe, Any, Moments]:
    found: Moments = yield Probe()
    return found


def _selected(
    probabilities: tuple[float, ...], dtype: type[np.floating[Any]], centre: float | None = None
) -> Generator[Probe, Any, dict[float, float]]:
    selection = Selection.start(probabilities, dtype)
    while not selection.done:
        counts: Counts = yield Probe(selection=selection, centre=centre)
        selection = selection.advance(counts.histogram(selection))
    return dict(zip(selection.probabilities, selection.values().tolist(), strict=True))


def _mad(dtype: type[np.floating[Any]]) -> Generator[Probe, Any, tuple[float, float]]:
    middle = (yield from _selected((0.5,), dtype))[0.5]
    away = yield from _selected((0.5,), np.float64, middle)
    return middle, away[0.5]


def _power() -> Generator[Probe, Any, tuple[float, Moments]]:
    logs: Moments = yield Probe(logs=True)
    if logs.minimum == logs.maximum:
        powers: Moments = yield Probe(lambda_=1.0)
        return 1.0, powers
    found: dict[float, Moments] = {}
    steps = yeo_johnson.search()
    tried = next(steps)
    while True:
        found[tried] = yield Probe(lambda_=tried)
        try:
            tried = steps.send(yeo_johnson.likelihood(tried, found[tried], logs))
        except StopIteration as end:
            return end.value, found[end.value]


@dataclass(slots=True)
class Inquiry:
    """The questions about one column: the probes that are open, and the answers by then."""

    open: dict[str, Generator[Probe, Any, Any]]
    probes: dict[str, Probe] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        dtype: type[np.floating[Any]],
        *,
        moments: bool = False,
        quantiles: tuple[float, ...] = (),
        mad: bool = False,
        power: bool = False,
    ) -> Inquiry:
        """Return an inquiry before its first pass; its answers will be a `Moments`, a dict by probability, and two pairs.

        Parameters
        ----------
        dtype
            float32 or float64: that of the values in all parts.
        moments, quantiles, mad, power
            What is wanted: the exact moments; quantiles at these probabilities; median and median absolute deviation; the lambda of the
            Yeo-Johnson transform that makes the values most normal, with the moments of what it makes of them.
        """
        asked: dict[str, Generator[Probe, Any, Any]] = {}
        if moments:
            asked["moments"] = _moments()
        if quantiles:
            asked["quantiles"] = _selected(quantiles, dtype)
        if mad:
            asked["mad"] = _mad(dtype)
        if power:
            asked["power"] = _power()
        inquiry = cls(asked)
        for name in list(asked):
            inquiry._step(name, None)
        return inquiry

    def answer(self, found: Mapping[str, Found]) -> None:
        """Take what a pass found, by question."""
        for name, probe in list(self.probes.items()):
            self._step(name, found.get(name, probe.nothing()))

    def _step(self, name: str, found: Found | None) -> None:
        try:
            self.probes[name] = self.open[name].send(found)
        except StopIteration as end:
            self.answers[name] = end.value
            self.probes.pop(name, None)


def add(total: dict[str, Found], more: Mapping[str, Found]) -> None:
    """Add the answers of one part, by question, to those of others."""
    for question, found in more.items():
        total[question] = total[question] + found if question in total else found  # type: ignore[operator]  # of one kind


def finite_of(values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return the values that are finite: infinities are kept by a transform, never fitted to."""
    good = np.isfinite(values)
    finite: NDArray[np.floating[Any]] = values if good.all() else values[good]
    return finite
