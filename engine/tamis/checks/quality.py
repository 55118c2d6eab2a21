"""Quality: pictures that are whole and yet of little use: dark, blurred, empty, of an odd shape.

All figures come from the grey picture and the chroma that the one decode for `integrity` leaves behind, at 1/8 scale where the picture is
large enough. Thresholds are fitted so that they agree with figures of all pixels; see docs/findings.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from tamis.checks.base import Batch, Check, CheckOptions, Finding, Kind, MediaBatch, Observation
from tamis.media.inspection import CELL
from tamis_kernels import perceptual, quality

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tamis.checks.base import Case, Severity
    from tamis.media import Inspection
    from tamis_kernels.backend import BackendName

    Floats = NDArray[np.float64]

Issue = Literal[
    "dark",
    "bright",
    "low_contrast",
    "low_information",
    "near_constant",
    "blurry",
    "grayscale",
    "letterboxed",
    "odd_aspect",
    "odd_size",
]
ISSUES: tuple[Issue, ...] = get_args(Issue)

STEPS = 64  # of the side's binary logarithm, in which sizes are counted
LEAST_SPREAD = 0.25  # octaves: where most sizes are equal, their spread is 0 and any other size would be odd
LEAST_SIDE = 32  # pixels of the longer side below which blur cannot be told
STRAIGHT = 0.5  # share of a bar's length behind which the picture begins at once
NORMAL = 1.4826  # median absolute deviations that a standard deviation of normal values is


class Options(CheckOptions):
    """Options of `quality`."""

    issues: tuple[Issue, ...] = Field(default=ISSUES, description=f"What is looked for, of: {', '.join(ISSUES)}.")
    reject: tuple[Issue, ...] = Field(default=(), description="Issues that hold a picture back. The others are noted.")
    dark: float = Field(default=78.0, ge=0, le=255, description="Level, of 255, below which 99 % of a dark picture lie.")
    bright: float = Field(default=241.0, ge=0, le=255, description="Level above which 95 % of a bright picture lie.")
    contrast: float = Field(
        default=26.0, ge=0, le=255, description="Levels from the 1st to the 99th percentile, below which contrast is low."
    )
    information: float = Field(default=2.9, ge=0, le=8, description="Bits of the histogram's entropy below which a picture says little.")
    constant: float = Field(default=0.97, gt=0, le=1, description="Share of a near-constant picture that lies within five levels.")
    blur: float = Field(
        default=3.05,
        ge=1,
        le=4,
        description="Growth of the mean squared step from a 64th to a 32nd of the longer side, above which a picture is blurry: "
        "an edge has 2, what is smooth 4.",
    )
    chroma: float = Field(
        default=3.0, ge=0, le=128, description="Levels that Cb and Cr may stray from neutral in a grey picture stored in colour."
    )
    letterbox: float = Field(
        default=0.08, gt=0, le=1, description="Share of the height or width that two equal bars take in a letterboxed picture."
    )
    aspect: float = Field(default=0.35, ge=0, le=1, description="Shorter by longer side, below which the shape is odd.")
    size: float = Field(
        default=6.0,
        gt=0,
        description="Robust standard deviations (of the logarithm of the side, a quarter of an octave at least) from the corpus's median, "
        "above which a size is odd.",
    )

    @model_validator(mode="after")
    def _looked_for(self) -> Options:
        unsought = [issue for issue in self.reject if issue not in self.issues]
        if unsought:
            message = f"reject names {', '.join(unsought)}, which issues does not: it would never be found; name it in both"
            raise ValueError(message)
        return self


class Quality(Check[Options]):
    """Notes what makes a whole picture of little use."""

    name = "quality"
    order = 16
    kinds: ClassVar[frozenset[Kind]] = frozenset({"media"})
    summary = (
        "Pictures that are dark, bright, flat, blurred, grey, letterboxed, or of an odd shape or size are noted, or held back if wanted."
    )
    Options = Options
    verdict_keys: ClassVar[frozenset[str]] = frozenset(Options.model_fields) - {"enabled"}

    def observe(self, batch: Batch) -> Observation:
        """Note the figures of each picture, and what they mean."""
        assert isinstance(batch, MediaBatch)
        places = np.array([i for i, one in enumerate(batch.inspections) if one.has_picture], np.int64)
        pictures = [batch.inspections[place] for place in places]
        figures = measured(pictures, self.backend)
        columns = {}
        for name, values in figures.items():
            column = np.full(len(batch), np.nan)
            column[places] = values
            columns[name] = pl.Series(column, dtype=pl.Float32, nan_to_null=True)
        steps = np.full(len(batch), np.nan)
        steps[places] = np.rint(STEPS * np.log2(figures["side"]))
        columns["steps"] = pl.Series(steps, nan_to_null=True).cast(pl.Int16)
        found = [
            Finding(int(places[place]), issue, self._severity(issue), said)
            for issue, (flags, say) in self._issues(pictures, figures).items()
            if issue in self.options.issues
            for place in np.flatnonzero(flags).tolist()
            for said in [say(place)]
        ]
        return Observation(columns, sorted(found, key=lambda one: one.index))

    def _severity(self, issue: str) -> Severity:
        return "reject" if issue in self.options.reject else "note"

    def _issues(self, pictures: Sequence[Inspection], figures: Mapping[str, Floats]) -> dict[str, tuple[NDArray[np.bool_], Any]]:
        """Return, per issue, which pictures have it, and what says so of one."""
        options = self.options
        value = {name: lambda place, values=values: values[place] for name, values in figures.items()}
        flat = (figures["near_constant"] >= options.constant) | (figures["contrast"] < options.contrast)
        stored_grey = np.array([one.mode in {"1", "L", "LA"} or one.mode.startswith("I;16") for one in pictures], bool)

        def grey(place: int) -> str:
            if stored_grey[place]:
                return f"stored as grey, mode {pictures[place].mode}"
            return f"stored as {pictures[place].mode}, but no colour strays from grey by more than {value['chroma'](place):.0f} levels"

        return {
            "dark": (
                figures["p99"] < options.dark,
                lambda place: f"99 % of the picture lie at level {value['p99'](place):.0f} of 255 or below, less than {options.dark:g}",
            ),
            "bright": (
                figures["p5"] > options.bright,
                lambda place: f"95 % of the picture lie at level {value['p5'](place):.0f} of 255 or above, more than {options.bright:g}",
            ),
            "low_contrast": (
                figures["contrast"] < options.contrast,
                lambda place: f"98 % of the picture span {value['contrast'](place):.0f} levels of 255, less than {options.contrast:g}",
            ),
            "low_information": (
                figures["entropy"] < options.information,
                lambda place: f"the levels hold {value['entropy'](place):.2f} bits, less than {options.information:g}",
            ),
            "near_constant": (
                figures["near_constant"] >= options.constant,
                lambda place: f"{value['near_constant'](place):.1%} of the picture lie within five levels, {options.constant:.1%} or more",
            ),
            "blurry": (
                ~flat & (figures["blur"] > options.blur),
                lambda place: f"steps grow {value['blur'](place):.2f} times as the lag doubles, more than {options.blur:g}",
            ),
            "grayscale": (stored_grey | (~flat & (figures["chroma"] <= options.chroma)), grey),
            "letterboxed": (
                (figures["near_constant"] < options.constant) & (figures["bars"] >= options.letterbox),
                lambda place: f"two equal bars take {value['bars'](place):.1%} of a side, {options.letterbox:.1%} or more",
            ),
            "odd_aspect": (
                figures["aspect"] < options.aspect,
                lambda place: (
                    f"{pictures[place].width} x {pictures[place].height}: the short side is {value['aspect'](place):.2f} of the long one, "
                    f"less than {options.aspect:g}"
                ),
            ),
        }

    def judge(self, case: Case) -> None:
        """Note pictures whose size is far from that of most."""
        if "odd_size" not in self.options.issues or not case.has("steps"):
            return
        counts = np.zeros(0, np.int64)
        for _, (steps,) in case.scan("steps"):
            counts = _added(counts, np.bincount(steps.astype(np.int64)))
        if not counts.sum():
            return
        middle = _median(counts)
        away = np.abs(np.arange(len(counts)) - middle)
        spread = max(NORMAL * _median(np.bincount(away, counts).astype(np.int64)), LEAST_SPREAD * STEPS)
        case.count(median_side=round(2 ** (middle / STEPS)))
        tell = case.reject if self._severity("odd_size") == "reject" else case.note
        for index, (steps, side) in case.scan("steps", "side"):
            off = np.abs(steps.astype(np.float64) - middle) / spread
            odd = np.flatnonzero((off > self.options.size) & (index < case.own))
            details = [
                f"a side of {side[place]:.0f} pixels where the median is about {2 ** (middle / STEPS):.0f}: "
                f"{off[place]:.1f} robust standard deviations off, more than {self.options.size:g}"
                for place in odd
            ]
            if details:
                tell(index[odd], "odd_size", details)


def measured(pictures: Sequence[Inspection], backend: BackendName) -> dict[str, Floats]:
    """Return the figures of pictures, float64[n] each; NaN where one cannot be told."""
    extents = np.array([one.extent for one in pictures], np.int64).reshape(-1, 2)
    found, shapes = _figures(pictures, extents, backend)
    cells = found["cells"]
    mean = found["total"] / cells
    with np.errstate(divide="ignore", invalid="ignore"):
        blur = (found["far_steps"] / found["far_pairs"]) / (found["near_steps"] / found["near_pairs"])
        bars = np.maximum(_bars(found, "top", "bottom", shapes[:, 0]), _bars(found, "left", "right", shapes[:, 1]))
        chroma_mean = found["chroma_total"] / found["chroma_cells"]
    longer = extents.max(axis=1, initial=1)
    return {
        "mean": mean,
        "std": np.sqrt(np.maximum(found["squares"] / cells - mean**2, 0)),
        "entropy": found["entropy"] * quality.ENTROPY_UNIT,
        **{name: found[name].astype(np.float64) for name in ("p1", "p5", "p50", "p95", "p99")},
        "contrast": (found["p99"] - found["p1"]).astype(np.float64),
        "most_frequent": found["mode_cells"] / cells,
        "near_constant": found["near_cells"] / cells,
        "black": found["black"] / cells,
        "white": found["white"] / cells,
        "blur": np.where((longer >= LEAST_SIDE) & np.isfinite(blur), blur, np.nan),
        "bars": bars,
        "chroma": np.where(found["chroma_cells"] > 0, found["chroma_largest"], np.nan),
        "chroma_mean": chroma_mean,
        "aspect": extents.min(axis=1, initial=2**31) / longer,
        "side": np.sqrt(extents.prod(axis=1, dtype=np.float64)),
    }


def _figures(
    pictures: Sequence[Inspection], extents: NDArray[np.int64], backend: BackendName
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.int64]]:
    """Return the figures of pictures and their shapes; those that stayed on a device were measured there, in cells."""
    none = np.empty(0, np.uint8)
    here = [one for one in pictures if one.told is None]
    chroma = [none if one.chroma is None else one.chroma for one in here]
    pixels, shapes = perceptual.pack([one.gray for one in here if one.gray is not None])
    sizes = np.array([len(one) for one in chroma], np.int64)
    found = quality.measure(pixels, shapes, np.concatenate([none, *chroma]), sizes, backend=backend)
    if len(here) == len(pictures):
        return found, shapes
    told = np.array([one.told is not None for one in pictures], np.bool_)
    figures, sides = np.empty((len(pictures), len(quality.FIGURES)), np.int64), -(-extents // CELL)
    figures[told] = np.stack([one.told.figures for one in pictures if one.told is not None])
    figures[~told], sides[~told] = np.stack([*found.values()], axis=1), shapes
    return dict(zip(quality.FIGURES, figures.T, strict=True)), sides


def _bars(found: Mapping[str, NDArray[np.int64]], first: str, last: str, lines: NDArray[np.int64]) -> Floats:
    """Return the share of the lines that two bars take, as if both were as narrow as the narrower.

    It is 0 where a bar does not end straight, and where the bars meet: then there is no picture between them.
    """
    across = ("left", "right") if first == "top" else ("top", "bottom")
    length = found["cells"] / lines - found[across[0]] - found[across[1]]
    straight = np.minimum(found[f"{first}_edge"], found[f"{last}_edge"]) >= STRAIGHT * length
    between = found[first] + found[last] < lines
    share: Floats = np.where(straight & between, 2 * np.minimum(found[first], found[last]) / lines, 0.0)
    return share


def _added(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add counts, the shorter as if zeros followed."""
    total = np.zeros(max(len(left), len(right)), np.int64)
    total[: len(left)] += left
    total[: len(right)] += right
    return total


def _median(counts: NDArray[np.int64]) -> int:
    """Return the lower median of the numbers that were counted."""
    return int(np.searchsorted(np.cumsum(counts), (counts.sum() + 1) // 2))
