"""From a source to a plan: list it, make its tables readable, choose a recipe if none was given, fix the schemas, cut the shards."""

from __future__ import annotations

import contextlib
import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from posixpath import dirname
from typing import TYPE_CHECKING, Any

import tamis
from tamis.errors import ColumnError, OutputError, SourceError, nearest
from tamis.executors import Context, Loss, Task
from tamis.files import whole
from tamis.media.sniff import is_media_name
from tamis.pipeline.choose import choose
from tamis.pipeline.earlier import Earlier, load_earlier
from tamis.pipeline.files import digest, write_json
from tamis.pipeline.forms import form_of
from tamis.pipeline.plan import Plan, cut, fingerprint, format_options, state_folder
from tamis.recipe import Recipe
from tamis.sources.companions import folders_above, is_label_table, part
from tamis.sources.containers import index_archive, index_media_table
from tamis.sources.listing import Listing, Problem, SourceFile, list_source
from tamis.sources.members import Indexed
from tamis.sources.schema import group_tables
from tamis.sources.staging import Staged, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from tamis.executors import Outcome
    from tamis.progress import Progress
    from tamis.sources.options import FormatOptions
    from tamis.sources.schema import ColumnPlan, TableGroup
    from tamis_kernels.backend import BackendName


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, and what led to it; `companions` is how many files ride along with one medium or several."""

    plan: Plan
    listing: Listing
    digests: Mapping[str, str]
    choice: tuple[str, ...]
    earlier: tuple[Earlier, ...]
    resumed: bool
    companions: int


def prepare(
    source: list[str],
    out: Path,
    recipe: Recipe | None,
    *,
    settings: Mapping[str, Any],
    backend: BackendName,
    batch_size: int | None,
    dry_run: bool,
    against: Sequence[str] = (),
    work: Callable[[Iterable[Task]], Iterator[Outcome]],
    progress: Progress,
) -> Prepared:
    """Return the plan of a run; with `recipe` None one is chosen from what the source holds.

    `work` does tasks and yields what comes of them; where the run is to stop it raises, for half of a source is another source.
    """
    listing = list_source(source, exclude=out)
    above = folders_above(file.record for file in listing.files if is_media_name(file.record))
    files: list[SourceFile] = []
    tables: list[SourceFile] = []
    for file in listing.files:
        of_media = file.kind == "table" and is_label_table(file.record) and dirname(file.record) in above
        (files if file.kind == "media" or of_media else tables).append(file)
    options = format_options(recipe or Recipe.load(None, settings=settings))
    staged, problems, digests, indexed = _stage(tables, options, out, work, progress)
    media, whole_set = part(files, of_media=bool(above) or any(one.files for one in indexed.values()))
    for _, one in sorted(indexed.items()):
        media += one.files
        whole_set += one.whole_set
    companions = len({one.record for file in media for one in file.companions})
    notes = {note.record: note for one in indexed.values() for note in one.notes}
    choice: tuple[str, ...] = ()
    if recipe is None:
        recipe, choice = choose(media, staged, settings)
    earlier = load_earlier(against, recipe)
    options = format_options(recipe)
    readable = [file for file in tables if file.record in staged]
    groups = {group.name: group for group in group_tables(staged.values(), options)}
    _check_columns(recipe, groups.values(), {name for one in indexed.values() for name in one.columns})
    group_of = {record: group.name for group in groups.values() for record in group.files}
    ordered = sorted(readable, key=lambda file: (group_of[file.record], file.record))
    inside = [problem for one in indexed.values() for problem in one.problems]
    problems = tuple(sorted((*listing.problems, *problems, *inside), key=lambda problem: problem.record))
    shards = cut(media, [(file, staged[file.record], group_of[file.record]) for file in ordered], len(problems), recipe.shards)
    plan = Plan(
        str(listing.root),
        str(out),
        recipe,
        backend,
        batch_size,
        dry_run,
        shards,
        groups,
        staged,
        problems,
        tuple(against),
        notes,
        tuple(whole_set),
    )
    if plan.records == 0:
        message = f"{', '.join(source)}: there is no record to clean"
        raise SourceError(message)
    return Prepared(plan, listing, digests, choice, earlier, _note_plan(plan), companions)


def _note_plan(plan: Plan) -> bool:
    """Write down what this run is, or make sure that the folder's half-done run is the same one; return whether it is resumed.

    Raises
    ------
    OutputError
        It is another one; the message says what differs.
    """
    path = plan.state("plan.json")
    asked = {
        "version": tamis.__version__,
        "recipe": plan.recipe.digest(),
        "kind": "check" if plan.dry_run else "clean",
        "layout": plan.recipe.output.layout(),
        "against": list(plan.against),
        "fingerprint": fingerprint(plan),
    }
    if not path.exists():
        write_json(path, asked)
        return False
    try:
        begun = json.loads(path.read_text(encoding="utf-8"))
        other = next((key for key, value in asked.items() if begun[key] != value), None)
    except (ValueError, TypeError, KeyError):
        begun, other = {}, "what it is"
    if other is None:
        return True
    differs = {
        "version": f"it was begun by tamis {begun.get('version')}, and this is {tamis.__version__}",
        "recipe": "it was begun with another recipe or other settings",
        "kind": f"it was begun by `tamis {begun.get('kind')}`",
        "layout": "it was begun with other keys of output",
        "against": "it was begun against other runs",
        "fingerprint": "files of the source were added, removed or changed since it was begun, or another source is given",
        "what it is": f"{path} is damaged",
    }
    message = (
        f"{plan.out} holds an unfinished run that cannot be resumed: {differs[other]}. Run it as it was, or begin anew with --overwrite "
        "(overwrite=True)"
    )
    raise OutputError(message)


def _check_columns(recipe: Recipe, groups: Collection[TableGroup], beside: Collection[str]) -> None:
    """Make sure that every column that the recipe names is in a table, and of a fit kind in one, if there are tables at all.

    `beside` are the columns of tables of media, which are asked of alone where there are no others.
    """
    known: dict[str, list[ColumnPlan]] = {}
    for column in (column for group in groups for column in group.columns):
        known.setdefault(column.name, []).append(column)
    named = {check.name: check.options.named_columns() for check in recipe.checks(backend="cpu")} | {
        "output": recipe.output.named_columns()
    }
    for section, options in named.items():
        for key, columns in options.items():
            if not groups and not (columns.beside and beside):
                continue
            fit = sorted(
                {name for name, found in known.items() if any(map(columns.fits, found))} | (set(beside) if columns.beside else set())
            )
            for name in columns.names:
                if name not in fit:
                    why = f"holds no {columns.wanted()}" if name in known else "no table of the source has"
                    listed = f"The columns{' that do' if name in known else ''} are: {', '.join(fit)}" if fit else "No column does"
                    message = f"{section}.{key} names the column {name!r}, which {why}.{nearest(name, fit)} {listed}"
                    raise ColumnError(message)
    for group in groups:
        form_of(recipe.output, group)  # a column whose type does not fit is told before anything is read


def _stage(
    files: Sequence[SourceFile],
    options: FormatOptions,
    out: Path,
    work: Callable[[Iterable[Task]], Iterator[Outcome]],
    progress: Progress,
) -> tuple[dict[str, Staged], tuple[Problem, ...], dict[str, str], dict[str, Indexed]]:
    staged: dict[str, Staged] = {}
    indexed: dict[str, Indexed] = {}
    problems: list[Problem] = []
    digests: dict[str, str] = {}
    if not files:
        return staged, (), digests, indexed
    names = {"table": "read tables", "archive": "index archives"}
    progress.stage(", ".join(said for kind, said in names.items() if any(file.kind == kind for file in files)), len(files), "files")
    folder = state_folder(out) / "staged"
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [Task(_stage_task, (file, folder / f"{number:06d}", options), gpu=False) for number, file in enumerate(files)]
    for outcome in work(tasks):
        file, (result, content) = outcome.task.argument[0], outcome.value
        progress.advance(1, size=file.size)
        if isinstance(result, Staged):
            staged[file.record] = result
            digests[file.record] = content
        elif isinstance(result, Indexed):
            indexed[file.record] = result
        else:
            problems.append(result)
    return dict(sorted(staged.items())), tuple(problems), digests, indexed


def _stage_task(
    setup: object,  # noqa: ARG001 - staging comes before the plan
    argument: tuple[SourceFile, Path, FormatOptions],
    lost: Mapping[int, Loss],
    context: Context,
) -> tuple[Staged | Indexed | Problem, str]:
    file, target, options = argument
    if lost:
        loss = lost[-1]
        return Problem(file.record, loss.reason, loss.detail), ""
    context.at(-1)
    done, made_from = target.with_suffix(".done"), (tamis.__version__, file, options)
    touched = Path(file.path).stat().st_ctime_ns if Path(file.path).exists() else 0
    with contextlib.suppress(FileNotFoundError, EOFError, pickle.UnpicklingError, ValueError):
        told, result, content, then = pickle.loads(done.read_bytes())
        # A link to the file or new rights change this time too: only then is it read again.
        if told == made_from and _is_there(result) and (then == touched or (content and digest(file.path) == content)):
            return result, content
    content = ""
    result = index_archive(file, target) if file.kind == "archive" else index_media_table(file)
    if result is None:
        try:
            content = digest(file.path)
        except OSError as error:
            return Problem(file.record, "unreadable_table", error.strerror or str(error)), ""
        result = stage(file, target, options)
        if isinstance(result, Staged):
            result = replace(result, content=content)
    with whole(done) as temporary:
        temporary.write_bytes(pickle.dumps((made_from, result, content, touched)))
    return result, content


def _is_there(result: Staged | Indexed | Problem) -> bool:
    """Whether the copy that a table or an archive is read from, if there is one, still lies where it was made."""
    path = result.path if isinstance(result, Staged) else result.container.unpacked if isinstance(result, Indexed) else None
    return not path or Path(path).exists()
