"""The documents of a sample: made-up prose, copies of some of it, edited copies, and a line that is not JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from tamis.sample.prose import FOREIGN_NAMES, THINGS, Writer
from tamis.sample.truth import Expected, Truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECORD = "text/documents.ndjson"
SOURCES = ("almanac", "bulletin", "diary", "gazette", "letters")
SHORTEST, LONGEST = 120, 300  # words
EDITED_WORDS = 2
PREFIXES = ("From our archive:", "Reprinted with thanks.", "Second edition, revised:", "Page one of one.")

Change = tuple[str, str]


def _same(text: str, _: np.random.Generator) -> Change:
    return text, "the same text under another id"


def _edited(text: str, rng: np.random.Generator) -> Change:
    words = text.split(" ")
    places = sorted(rng.permutation(len(words))[:EDITED_WORDS].tolist())
    for at in places:
        words[at] = Writer(rng).one_of(THINGS)
    return " ".join(words), f"words {' and '.join(map(str, places))} replaced"


def _prefixed(text: str, rng: np.random.Generator) -> Change:
    prefix = Writer(rng).one_of(PREFIXES)
    return f"{prefix} {text}", f"{prefix!r} put before it"


def _upper_case(text: str, _: np.random.Generator) -> Change:
    return text.upper(), "in capitals"


def _respaced(text: str, rng: np.random.Generator) -> Change:
    words = text.split(" ")
    gaps = rng.choice([" ", "  ", "\n", "\t"], len(words) - 1, p=[0.7, 0.1, 0.1, 0.1])
    return words[0] + "".join(f"{gap}{word}" for gap, word in zip(gaps, words[1:], strict=True)), "other white space"


# Each way to make a document from another one, with its share of all documents.
COPIES: dict[str, tuple[float, Callable[[str, np.random.Generator], Change]]] = {
    "same_text": (0.02, _same),
    "near_edited": (0.03, _edited),
    "near_prefix": (0.02, _prefixed),
    "near_case": (0.01, _upper_case),
    "near_whitespace": (0.015, _respaced),
}
DUPLICATE_LINE_SHARE = 0.01
EMPTY_SHARE = 0.01
NON_ASCII_SHARE = 0.04


def write_documents(corpus: Path, seed: int, documents: int) -> list[Truth]:
    """Write `documents` lines to one NDJSON file and return the truth about each."""
    rng = np.random.default_rng([seed, 5])
    copies = [(fault, change) for fault, (share, change) in COPIES.items() for _ in range(_count(share, documents))]
    repeats, empty, foreign = (_count(share, documents) for share in (DUPLICATE_LINE_SHARE, EMPTY_SHARE, NON_ASCII_SHARE))
    own = documents - len(copies) - repeats - empty - 1  # the one is the broken line

    ids = iter([f"doc-{number:06d}" for number in rng.permutation(documents)])
    places = rng.permutation(documents)  # the line where each document goes, in the order they are made
    lines: list[str] = []
    truths: list[Truth] = []

    def add(line: str, fault: str, expected: Expected, made_from: int | None = None, detail: str = "") -> None:
        original = None if made_from is None else _record(places[made_from])
        truths.append(Truth(_record(places[len(lines)]), "document", fault, expected, original, detail))
        lines.append(line)

    texts = [_text(rng, is_foreign=number < foreign) for number in range(own)]
    for number, text in enumerate(texts):
        add(_line(next(ids), text, rng), "non_ascii" if number < foreign else "none", "keep")
    numbers = rng.permutation(own).tolist()
    for (fault, change), number in zip(copies, numbers, strict=False):
        text, detail = change(texts[number], rng)
        add(_line(next(ids), text, rng), fault, "reject", number, detail)
    for number in numbers[len(copies) : len(copies) + repeats]:
        add(lines[number], "duplicate_line", "reject", number, "the same line")
    for _ in range(empty):
        add(_line(next(ids), "", rng), "empty_text", "note", detail="text is empty")
    whole = _line(next(ids), _text(rng, is_foreign=False), rng)
    add(whole[: len(whole) // 2], "bad_json", "reject", detail=f"cut to {len(whole) // 2} of {len(whole)} characters")

    in_order = np.argsort(places)
    (corpus / "text").mkdir()
    (corpus / RECORD).write_bytes("".join(f"{lines[at]}\n" for at in in_order).encode())
    return [truths[at] for at in in_order]


def _count(share: float, documents: int) -> int:
    return max(1, round(share * documents))


def _record(row: int) -> str:
    return f"{RECORD}#{row}"


def _text(rng: np.random.Generator, *, is_foreign: bool) -> str:
    writer = Writer(rng)
    text = writer.text(int(rng.integers(SHORTEST, LONGEST)))
    if not is_foreign:
        return text
    return f"{writer.one_of(FOREIGN_NAMES)} and {writer.one_of(FOREIGN_NAMES)}: {text}"


def _line(identity: str, text: str, rng: np.random.Generator) -> str:
    record = {"id": identity, "source": Writer(rng).one_of(SOURCES), "text": text}
    return json.dumps(record, ensure_ascii=False)
