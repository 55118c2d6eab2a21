"""`clean` and `check`, and what they return."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from tamis.arguments import checked
from tamis.errors import ArgumentError, SourceError
from tamis.frames import paths_of
from tamis.names import AnyPath, at_home
from tamis.pipeline.request import Request
from tamis.pipeline.run import run
from tamis.progress import Progress, make_progress
from tamis.recipe import Recipe
from tamis.sizes import byte_count
from tamis_kernels.backend import BackendName


@dataclass(frozen=True, init=False)
class Result:
    """A finished run, read from its output folder.

    Attributes
    ----------
    out
        The output folder.
    """

    out: Path

    @checked
    def __init__(self, out: AnyPath) -> None:
        object.__setattr__(self, "out", at_home(out))

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What was read, kept and rejected, by what, from what, with which versions."""
        path = self.out / "manifest.json"
        if not path.exists():
            message = f"{self.out} holds no finished run: there is no manifest.json"
            raise SourceError(message)
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return manifest

    @property
    def kept(self) -> pl.LazyFrame:
        """What was kept: the clean rows where the source was one kind of table, else one row a kept file (path, record, rows, bytes).

        With tables of several kinds, `tables` has the clean rows of each.
        """
        tables = self.tables
        media = self.manifest["counts"]["by_kind"].get("media")
        return next(iter(tables.values())) if len(tables) == 1 and not media else self.files

    @property
    def files(self) -> pl.LazyFrame:
        """Every file that was written or kept: path, record (media), rows (tables), bytes, xxh3_128."""
        return self._table("outputs")

    @property
    def tables(self) -> dict[str, pl.LazyFrame]:
        """The clean rows of each table group; empty after `check`, which writes none."""
        folder = self.out / "clean" / "tables"
        groups = {name: folder / name for name in self.manifest["tables"]}
        return {name: pl.scan_parquet(path / "part-*.parquet") for name, path in groups.items() if any(path.glob("part-*.parquet"))}

    @property
    def rejected(self) -> pl.LazyFrame:
        """One row a rejected record: record, source, row, check, reason, severity, detail, kept, similarity, column, value."""
        return self._table("rejects")

    @property
    def notes(self) -> pl.LazyFrame:
        """Every other finding, with the columns of `rejected`."""
        return self._table("notes")

    @property
    def clusters(self) -> pl.LazyFrame:
        """One row a member of a duplicate cluster: cluster, record, keeper, similarity, check."""
        return self._table("clusters")

    def _table(self, name: str) -> pl.LazyFrame:
        _ = self.manifest  # which says so where the run is not finished
        return pl.scan_parquet(self.out / f"{name}.parquet")

    def __repr__(self) -> str:
        """Return the totals, if the run is finished."""
        if not (self.out / "manifest.json").exists():
            return f"Result({str(self.out)!r}: no finished run)"
        counts = self.manifest["counts"]
        return f"Result({str(self.out)!r}: {counts['read']} read, {counts['kept']} kept, {counts['rejected']} rejected)"


@checked
def clean(
    source: AnyPath | Iterable[AnyPath],
    out: AnyPath,
    recipe: Recipe | Mapping[str, Any] | AnyPath | None = "auto",
    *,
    settings: Mapping[str, Any] | None = None,
    backend: BackendName = "auto",
    jobs: int | None = None,
    cluster: str | None = None,
    batch_size: int | None = None,
    against: AnyPath | Iterable[AnyPath] = (),
    memory: float | str | None = None,
    gpu_memory: float | str | None = None,
    overwrite: bool = False,
    progress: Progress | bool | None = None,
) -> Result:
    """Clean a corpus: read it, hold back what is broken or double, write the rest.

    Parameters
    ----------
    source
        A folder, a file, a glob pattern, or several of these.
    out
        The output folder. An unfinished run of the same source and recipe in it is resumed.
    recipe
        A `Recipe`, or its keys as a dictionary; a TOML file; a built-in name (`images`, `sensors`, `text`); or `auto`.
    settings
        Overrides by dotted key, such as `{"near_duplicates.threshold": 0.9}`, or by section: `{"near_duplicates": {"threshold": 0.9}}`.
    backend
        `auto`, `cpu` or `cuda`. The result is the same on all.
    jobs
        Worker processes; None or 0 for one a core. The result is the same for any number.
    cluster
        Address of a Ray cluster to run on, or `auto` for the one that this machine belongs to; None for this machine alone. The result is
        the same. Source and output must lie on a file system that all nodes see under the same path.
    batch_size
        Records that a worker holds at once; None or 0 lets each stage choose. The result is the same for any size.
    against
        Output folders of finished runs: what they kept stays, and records equal or nearly equal to it go. Only their evidence is read.
    memory
        What all processes together may take, in bytes or as text (`2GB`): fewer workers run where it is scarce. The result is the same.
    gpu_memory
        What may be taken of each GPU, in bytes or as text (`8GB`): batches are smaller where it is scarce. The result is the same.
    overwrite
        Whether a finished or other run in `out` is replaced.
    progress
        True: it is told on standard error, as by the command. A `tamis.progress.Progress` is told itself.

    Raises
    ------
    TamisError
        See `tamis.errors`. A bad record raises nothing: it is in `Result.rejected`.
    ArgumentError
        An argument is of a wrong type, or a number below 0.
    """
    return _run(
        source, out, recipe, settings, backend, jobs, cluster, batch_size, against, memory, gpu_memory, progress, overwrite, dry_run=False
    )


@checked
def check(
    source: AnyPath | Iterable[AnyPath],
    out: AnyPath,
    recipe: Recipe | Mapping[str, Any] | AnyPath | None = "auto",
    *,
    settings: Mapping[str, Any] | None = None,
    backend: BackendName = "auto",
    jobs: int | None = None,
    cluster: str | None = None,
    batch_size: int | None = None,
    against: AnyPath | Iterable[AnyPath] = (),
    memory: float | str | None = None,
    gpu_memory: float | str | None = None,
    overwrite: bool = False,
    progress: Progress | bool | None = None,
) -> Result:
    """Do what `clean` does but write no clean corpus: ledger, clusters, manifest and report only."""
    return _run(
        source, out, recipe, settings, backend, jobs, cluster, batch_size, against, memory, gpu_memory, progress, overwrite, dry_run=True
    )


def _run(
    source: AnyPath | Iterable[AnyPath],
    out: AnyPath,
    recipe: Recipe | Mapping[str, Any] | AnyPath | None,
    settings: Mapping[str, Any] | None,
    backend: BackendName,
    jobs: int | None,
    cluster: str | None,
    batch_size: int | None,
    against: AnyPath | Iterable[AnyPath],
    memory: float | str | None,
    gpu_memory: float | str | None,
    progress: Progress | bool | None,
    overwrite: bool,
    *,
    dry_run: bool,
) -> Result:
    for name, number in (("jobs", jobs), ("batch_size", batch_size)):
        if number is not None and number < 0:
            message = f"{name} must be at least 0, got {number}"
            raise ArgumentError(message)
    request = Request(
        source=paths_of(source, "source"),
        out=at_home(out),
        recipe=_recipe(recipe, settings),
        settings=settings or {},
        backend=backend,
        jobs=jobs,
        cluster=cluster,
        batch_size=batch_size or None,
        memory=None if memory is None else byte_count(memory),
        gpu_memory=None if gpu_memory is None else byte_count(gpu_memory, "gpu_memory"),
        against=tuple(str(at_home(one)) for one in paths_of(against, "against")),
        overwrite=overwrite,
        dry_run=dry_run,
    )
    run(request, make_progress(quiet=not progress) if progress is None or isinstance(progress, bool) else progress)
    return Result(out)


def _recipe(recipe: Recipe | Mapping[str, Any] | AnyPath | None, settings: Mapping[str, Any] | None) -> Recipe | None:
    """Return a recipe with its overrides, or None for `auto`."""
    if recipe is None or recipe == "auto":
        Recipe.load(None, settings=settings)  # a wrong key is told before anything is read
        return None
    if isinstance(recipe, Mapping):
        return Recipe.from_tree(recipe, settings=settings)
    if isinstance(recipe, Recipe):
        return Recipe.from_tree(recipe.canonical(), settings=settings) if settings else recipe
    return Recipe.load(recipe, settings=settings)
