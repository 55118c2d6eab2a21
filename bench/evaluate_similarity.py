"""Near-duplicate texts by exact similarity, and the cases that are known to break engines; datasketch on the same bands beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise

import numpy as np
import polars as pl
import xxhash
from datasketch import MinHash, MinHashLSH
from evaluate_common import Setting, Table, share

import tamis
from tamis.near.banding import band_shape

THRESHOLD, SLOTS, NGRAM = 0.8, 128, 5
BINS = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
Engine = Callable[[Sequence[str]], list[bool]]


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + NGRAM]) for i in range(max(1, len(words) - NGRAM + 1))} if words else set()


def exact(left: str, right: str) -> float:
    one, other = shingles(left), shingles(right)
    return len(one & other) / len(one | other) if one or other else 0.0


def by_tamis(texts: Sequence[str]) -> list[bool]:
    """Return which texts go, every removal verified."""
    return (~tamis.near_duplicates(pl.DataFrame({"text": texts}))["keeper"]).to_list()


def unverified(texts: Sequence[str]) -> list[bool]:
    """Return which texts go where every shared band is believed."""
    return (~tamis.near_duplicates(pl.DataFrame({"text": texts}), verify="none")["keeper"]).to_list()


def by_datasketch(texts: Sequence[str]) -> list[bool]:
    """Return which texts have a candidate before them in the index, as the library is mostly used."""
    index = MinHashLSH(num_perm=SLOTS, params=band_shape(THRESHOLD, SLOTS))
    gone = []
    for number, text in enumerate(texts):
        sketch = MinHash(num_perm=SLOTS, hashfunc=xxhash.xxh32_intdigest)
        sketch.update_batch([" ".join(one).encode() for one in shingles(text)])
        gone.append(bool(index.query(sketch)))
        if not gone[-1]:
            index.insert(number, sketch)
    return gone


ENGINES: dict[str, Engine] = {"tamis": by_tamis, "tamis, verify = none": unverified, "datasketch LSH": by_datasketch}


def prose(random: np.random.Generator, words: int) -> list[str]:
    return [f"w{number}" for number in random.integers(0, 30_000, words)]


def by_bin(setting: Setting) -> Table:
    """Return the share of edited copies that go, by how similar they are to their original."""
    random = np.random.default_rng(1)
    originals, copies = [], []
    for _ in range(300 if setting.quick else 4000):
        words = prose(random, int(random.integers(40, 400)))
        edited = list(words)
        for place in random.choice(len(words), int(random.integers(0, max(2, len(words) // 12))), replace=False):
            edited[place] = "changed"
        originals.append(" ".join(words))
        copies.append(" ".join(edited))
    similarity = np.array([exact(*pair) for pair in zip(originals, copies, strict=True)])
    table = Table(
        f"Texts: edited copies removed at threshold {THRESHOLD}, by exact similarity, in % (95 % interval)",
        ["similarity", "copies", *ENGINES],
    )
    gone = {name: np.array(engine([*originals, *copies])[len(originals) :]) for name, engine in ENGINES.items()}
    for low, high in pairwise(BINS):
        inside = (similarity >= low) & ((similarity < high) | (high == 1.0))
        figures = [share(int(one[inside].sum()), int(inside.sum())) for one in gone.values()]
        table.rows.append([f"{low} to {high}", int(inside.sum()), *figures])
    table.remarks.append("Below 0.8 every removal is wrong, above it every copy that stays is missed.")
    return table


def cases(random: np.random.Generator) -> Iterator[tuple[str, list[str], int]]:
    """Yield (case, texts, how many of them ought to go)."""
    bodies = [prose(random, 300) for _ in range(200)]
    plain = [" ".join(body) for body in bodies]
    yield "a word put in front of each copy", [*plain, *(f"new {text}" for text in plain)], 200
    yield "a word put into the middle", [*plain, *(" ".join([*body[:150], "new", *body[150:]]) for body in bodies)], 200
    paragraphs = [[body[at : at + 100] for at in (0, 100, 200)] for body in bodies]
    yield "three paragraphs in another order", [*plain, *(" ".join(chain.from_iterable(parts[::-1])) for parts in paragraphs)], 200
    frame = prose(random, 600)
    yield "boilerplate of 600 words around bodies of 300", [" ".join([*frame[:300], *body, *frame[300:]]) for body in bodies], 0
    tiny = [" ".join(prose(random, 3)) for _ in range(400)]
    yield "three words, all different", tiny, 0
    yield "three words, each twice", [*tiny, *tiny], 400
    yield "consecutive numbers", [" ".join(str(number) for number in range(start, start + 40)) for start in range(0, 40 * 300, 40)], 0
    yield "empty and blank texts", ["", " ", "\n", *[""] * 500], 0
    yield "one text 2,000 times", [plain[0]] * 2000, 1999


def adversarial(setting: Setting) -> Table:
    """Return what each engine removes in the cases that are known to break some."""
    table = Table("Texts: cases that break engines, removed", ["case", "texts", "ought to go", *ENGINES])
    for name, texts, ought in cases(np.random.default_rng(2)):
        some = texts[:600] if setting.quick and ought == 0 else texts
        table.rows.append([name, len(some), ought, *(sum(engine(some)) for engine in ENGINES.values())])
    return table


def evaluate(setting: Setting) -> Iterator[Table]:
    """Yield the tables of this part."""
    yield by_bin(setting)
    yield adversarial(setting)
