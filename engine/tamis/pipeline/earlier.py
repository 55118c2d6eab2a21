"""What earlier runs have kept: their evidence is judged with that of a new run, which then removes what they already have.

The evidence is the index. Beside it a finished run leaves `index.json`, which names its records, and `kept.bin`, a bit for each that stays.
Nothing of an earlier run's payload is read again, so its source may be gone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import xxhash

from tamis.errors import RecipeError, SourceError
from tamis.files import whole
from tamis.pipeline import findings
from tamis.pipeline.files import write_json
from tamis.pipeline.plan import state_folder
from tamis.pipeline.verdicts import read_alive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis.pipeline.plan import Plan
    from tamis.recipe import Recipe

FORMAT = 5


@dataclass(frozen=True, slots=True)
class EarlierShard:
    """Records of an earlier run: the files they are, or the one table whose rows from `start` on they are."""

    evidence: Path
    kind: str
    records: int
    start: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """A finished run that another one is judged against."""

    out: str
    shards: tuple[EarlierShard, ...]
    kept: NDArray[np.bool_]
    digest: str

    def names(self, shard: EarlierShard, positions: pl.Series) -> pl.Series:
        """Return the ids of records at these positions of a shard, with the run's folder in front."""
        if shard.kind == "table":
            rows = (positions + shard.start).cast(pl.String)
            return (pl.Series([f"{self.out}::{shard.sources[0]}#"]) + rows).rename("record")
        return (pl.Series([f"{self.out}::"]) + pl.Series("record", shard.sources, dtype=pl.String).gather(positions)).rename("record")


def write_index(plan: Plan) -> None:
    """Leave what a later run needs to be judged against this one."""
    shards = []
    rest = np.empty(0, bool)  # fewer than eight, as bits of whole bytes are written
    with whole(plan.state("kept.bin")) as temporary, temporary.open("wb") as file:
        for shard in plan.shards:
            alive = read_alive(plan.state(), shard)
            late = findings.rejected(findings.read(findings.path(plan, shard, "applied")))
            alive[late.to_numpy()] = False
            kept = np.concatenate((rest, alive))
            ready = len(kept) // 8 * 8
            file.write(np.packbits(kept[:ready]).tobytes())
            rest = kept[ready:]
            sources = [one.record for one in shard.files] or [one.record for one in plan.problems]
            shards.append({"name": shard.name, "kind": shard.kind, "records": shard.records, "start": shard.start, "sources": sources})
        file.write(np.packbits(rest).tobytes())
    write_json(plan.state("index.json"), {"index": FORMAT, "recipe": _meaning(plan.recipe), "shards": shards})


def load_earlier(folders: Sequence[str], recipe: Recipe) -> tuple[Earlier, ...]:
    """Return earlier runs by their output folders.

    Raises
    ------
    SourceError
        A folder holds no finished run, or one of another version.
    RecipeError
        A run's evidence means something else than that of this recipe, or lacks what comparing needs.
    """
    return tuple(_load(folder, recipe) for folder in folders)


def _load(folder: str, recipe: Recipe) -> Earlier:
    state = state_folder(folder)
    if not Path(folder, "manifest.json").exists() or not (state / "index.json").exists():
        message = f"against {folder}: no finished run of this version of tamis lies there; name the output folder of one"
        raise SourceError(message)
    text = (state / "index.json").read_bytes()
    told: dict[str, Any] = json.loads(text)
    if told["index"] != FORMAT:
        message = f"against {folder}: its index has format {told['index']}, this version reads {FORMAT}; clean it again"
        raise SourceError(message)
    _compare(folder, told["recipe"], _meaning(recipe))
    shards = tuple(
        EarlierShard(state / "evidence" / f"{one['name']}.parquet", one["kind"], one["records"], one["start"], tuple(one["sources"]))
        for one in told["shards"]
    )
    packed = np.fromfile(state / "kept.bin", np.uint8)
    kept = np.unpackbits(packed)[: sum(shard.records for shard in shards)].astype(bool)
    return Earlier(folder, shards, kept, xxhash.xxh3_128_hexdigest(text + packed.tobytes()))


def _meaning(recipe: Recipe) -> dict[str, Any]:
    """Return the keys on which the meaning of evidence that is judged hangs."""
    meaning: dict[str, Any] = {"seed": recipe.seed}
    for check in recipe.checks(backend="cpu"):
        if check.has("observe") and check.has("judge"):
            keys = check.options.model_dump(mode="json", exclude=set(check.verdict_keys))
            meaning |= {f"{check.name}.{key}": value for key, value in keys.items()}
            meaning[f"{check.name}.remembered"] = check.remembers
    return meaning


def _compare(folder: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    for key in sorted(theirs.keys() | ours.keys(), key=lambda key: (not key.endswith(".enabled"), key)):
        if theirs.get(key) != ours.get(key):
            message = (
                f"against {folder}: it was cleaned with {key} = {json.dumps(theirs.get(key))}, this run has {json.dumps(ours.get(key))}, "
                "so that their evidence cannot be compared; use the same value, or clean one of them again"
            )
            raise RecipeError(message)
        if key.endswith(".remembered") and not ours[key]:
            message = f"against {folder}: {key} = false leaves nothing to compare with; clean both again with remember = true"
            raise RecipeError(message)
