"""The command `tamis`. Exit status: 0 ran, 1 failed, 2 wrong command line or recipe, 130 stopped on request."""

from __future__ import annotations

import json
import os
import shlex
import sys
import traceback
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer

import tamis
from tamis.errors import ColumnError, KernelError, RecipeError, RunInterrupted, TamisError
from tamis.names import counted

if TYPE_CHECKING:
    from tamis.recipe import Recipe
    from tamis_kernels.backend import BackendName

MOST_REASONS = 12  # that are told at the end of a run, the most frequent ones

app = typer.Typer(
    help="tamis sieves corpora: clean files and rows come out, with a reason for every record that was held back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
recipe_app = typer.Typer(help="Show recipes and their keys.", no_args_is_help=True)
app.add_typer(recipe_app, name="recipe")

Sources = Annotated[list[str], typer.Argument(metavar="SOURCE", help="A folder, files, or a glob pattern in quotes.", show_default=False)]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Output folder; an unfinished run in it is resumed.", show_default=False)
]
RecipeName = Annotated[str, typer.Option("--recipe", "-r", metavar="FILE|NAME", help="A TOML file, or images, sensors, text, auto.")]
Settings = Annotated[list[str], typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override a key of the recipe; may be repeated.")]
Backends = Annotated[str, typer.Option("--backend", "-b", metavar="auto|cpu|cuda", help="Where kernels run. The result is the same.")]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=0, help="Worker processes; 0 for one a core, or all of a cluster. The result is the same.")
]
Cluster = Annotated[
    str,
    typer.Option(
        "--cluster", metavar="ADDRESS", help="Run on a Ray cluster: its address, or auto for this machine's. The result is the same."
    ),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=0, help="Records a worker holds at once; 0 lets each stage choose.")]
Materialise = Annotated[
    str,
    typer.Option(
        metavar="hardlink|copy|symlink|manifest",
        help="How kept files reach clean/; short for --set output.materialise=...  By default the recipe says.",
        show_default=False,
    ),
]
Against = Annotated[
    list[str],
    typer.Option("--against", metavar="DIR", help="Output folder of a finished run: what it kept is not kept again. May be repeated."),
]
Memory = Annotated[
    str, typer.Option("--memory", metavar="SIZE", help="What all processes may take, such as 2GB: fewer workers where it is scarce.")
]
GpuMemory = Annotated[
    str,
    typer.Option("--gpu-memory", metavar="SIZE", help="What may be taken of each GPU, such as 8GB: smaller batches where it is scarce."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run that the output folder holds.")]
Deep = Annotated[bool, typer.Option("--deep", help="Decode sound and film to the last frame; short for --set integrity.deep=true.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print the manifest as JSON when done, and no progress.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tamis {tamis.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Sieve corpora: clean files and rows come out, with a reason for every record that was held back."""


@app.command("clean")
def clean_command(
    source: Sources,
    out: Out,
    recipe: RecipeName = "auto",
    settings: Settings = [],  # noqa: B006 - Typer copies it
    backend: Backends = "auto",
    jobs: Jobs = 0,
    cluster: Cluster = "",
    batch_size: BatchSize = 0,
    materialise: Materialise = "",
    against: Against = [],  # noqa: B006
    memory: Memory = "",
    gpu_memory: GpuMemory = "",
    overwrite: Overwrite = False,
    deep: Deep = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Clean a corpus: media, tables (Parquet, CSV, JSON, Arrow), or both."""
    settings = [*settings, f"output.materialise={materialise}"] if materialise else settings
    settings = [*settings, "integrity.deep=true"] if deep else settings
    _run(
        source, out, recipe, settings, backend, jobs, cluster, batch_size, against, memory, gpu_memory, overwrite, quiet, as_json, dry=False
    )


@app.command("check")
def check_command(
    source: Sources,
    out: Out,
    recipe: RecipeName = "auto",
    settings: Settings = [],  # noqa: B006
    backend: Backends = "auto",
    jobs: Jobs = 0,
    cluster: Cluster = "",
    batch_size: BatchSize = 0,
    against: Against = [],  # noqa: B006
    memory: Memory = "",
    gpu_memory: GpuMemory = "",
    overwrite: Overwrite = False,
    deep: Deep = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Do what clean does, but write no clean corpus: ledger, clusters, manifest and report only."""
    settings = [*settings, "integrity.deep=true"] if deep else settings
    _run(
        source, out, recipe, settings, backend, jobs, cluster, batch_size, against, memory, gpu_memory, overwrite, quiet, as_json, dry=True
    )


@app.command("discover")
def discover_command(
    source: Sources,
    time: Annotated[str, typer.Option(metavar="COLUMN", help="The column of times; by default types and names tell.")] = "",
    sensor: Annotated[list[str], typer.Option(metavar="COLUMN", help="A column that names the sensor; may be repeated.")] = [],  # noqa: B006
    values: Annotated[list[str], typer.Option(metavar="COLUMN", help="A column of readings; may be repeated.")] = [],  # noqa: B006
    zone: Annotated[str, typer.Option(metavar="ZONE", help="The zone whose summer time wall clocks may follow.")] = "",
    confirm: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the confirm list to this TOML file.")] = None,
    settings: Settings = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a suspicion.")] = False,
) -> None:
    """Look for sensor faults that nobody declared: codes, units, clocks, rails, copies, drift. Nothing is changed."""
    from tamis.api.discover import discover
    from tamis.recipe import parse_settings

    found = discover(
        source,
        time=time or None,
        sensor=sensor or None,
        values=values or None,
        zone=zone,
        settings=parse_settings(settings),
    )
    if confirm is not None:
        found.write_confirm(confirm)
    typer.echo(found.findings.write_ndjson().rstrip() if as_json else str(found))


@app.command("sample")
def sample_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Another seed, another corpus.")] = 1,
    images: Annotated[int, typer.Option(min=0, help="Pictures.")] = 120,
    rows: Annotated[int, typer.Option(min=0, help="Rows of sensor tables.")] = 20_000,
    documents: Annotated[int, typer.Option(min=0, help="Texts.")] = 1_000,
) -> None:
    """Write a sample corpus with planted faults; truth.parquet and faults.parquet tell them."""
    from tamis.sample import write_sample

    summary = write_sample(directory, seed=seed, images=images, rows=rows, documents=documents)
    typer.echo(str(summary))
    corpus, cleaned = (shlex.quote(str(directory / name)) for name in ("corpus", "cleaned"))
    typer.echo(f"Clean it with: tamis clean {corpus} -o {cleaned} --set discovery.enabled=true")


@app.command("doctor")
def doctor_command(
    measure: Annotated[bool, typer.Option("--measure", help="Time every kernel on GPU and CPU; --backend auto then goes by it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what is here: cores, SIMD, GPU, versions, and which backend auto takes and why."""
    from tamis.doctor import examine, measure_backends

    if measure:
        found = measure_backends((lambda _line: None) if as_json else typer.echo)
        if as_json:
            typer.echo(json.dumps(found, indent=2))
        return
    report = examine()
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    width = max(map(len, report))
    for key, value in report.items():
        typer.echo(f"{key:<{width}}  {value}")


@recipe_app.command("show")
def recipe_show(name: Annotated[str, typer.Argument(help="A TOML file, or images, sensors, text, auto.")] = "auto") -> None:
    """Print a recipe with every key, its value and its meaning, as TOML."""
    typer.echo(_load(name).to_toml())


@recipe_app.command("schema")
def recipe_schema() -> None:
    """Print the JSON schema of recipes."""
    from tamis.recipe import recipe_model

    typer.echo(json.dumps(recipe_model().model_json_schema(), indent=2))


def _load(name: str) -> Recipe:
    from tamis.recipe import Recipe

    return Recipe.load(None if name == "auto" else name)


def _run(
    source: list[str],
    out: Path,
    recipe: str,
    assignments: list[str],
    backend: str,
    jobs: int,
    cluster: str,
    batch_size: int,
    against: list[str],
    memory: str,
    gpu_memory: str,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    *,
    dry: bool,
) -> None:
    from tamis.executors import start_ahead, uncollected

    if not cluster:
        start_ahead("tamis.pipeline.observe")
    with uncollected():
        from tamis.names import at_home
        from tamis.pipeline.request import Request
        from tamis.pipeline.run import run
        from tamis.progress import make_progress
        from tamis.recipe import Recipe, parse_settings
        from tamis.sizes import byte_count

    settings = parse_settings(assignments)
    loaded = Recipe.load(None if recipe == "auto" else recipe, settings=settings)
    request = Request(
        source=source,
        out=(out := at_home(out)),
        recipe=None if recipe == "auto" else loaded,
        settings=settings,
        backend=cast("BackendName", backend),  # `resolve` tells a wrong name
        jobs=jobs,
        cluster=cluster or None,
        batch_size=batch_size or None,
        against=tuple(str(at_home(one)) for one in against),
        memory=byte_count(memory) if memory else None,
        gpu_memory=byte_count(gpu_memory, "gpu_memory") if gpu_memory else None,
        overwrite=overwrite,
        dry_run=dry,
        resume_line=shlex.join(["tamis", *(word for word in sys.argv[1:] if word != "--overwrite")]),
    )
    with redirect_stdout(sys.stderr) if cluster else nullcontext():  # Ray tells of dead nodes on the standard output
        manifest = run(request, make_progress(quiet=quiet or as_json))
    if as_json:
        typer.echo(json.dumps(manifest, indent=2))
    elif not quiet:
        _summarise(manifest, out)


def _summarise(manifest: dict[str, Any], out: Path) -> None:
    counts, timing = manifest["counts"], manifest["timing"]
    typer.echo(f"{counts['read']:,} read = {counts['kept']:,} kept + {counts['rejected']:,} rejected, in {timing['seconds']:.1f} s")
    for row in counts["by_reason"][:MOST_REASONS]:
        typer.echo(f"  {row['records']:>10,}  {row['check']}: {row['reason']}")
    if others := counts["by_reason"][MOST_REASONS:]:
        typer.echo(f"  {sum(row['records'] for row in others):>10,}  for {counted(len(others), 'other reasons')}, which the report has")
    typer.echo(f"Report:   {out / 'report.html'}")
    typer.echo(f"Rejects:  {out / 'rejects.parquet'}")
    if (out / "clean").exists():  # not where nothing was kept, or nothing was to be written
        typer.echo(f"Clean:    {out / 'clean'}")


def _write(stream: TextIO, text: str = "") -> bool:
    """Write to a stream, and return whether it takes that; if not, it drops what it holds back, which Python would try again at the end."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def main() -> None:
    """Run the command and turn every error into a line and an exit status."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - closed by the shell (>&-); nothing else shall get its number
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    try:
        if status := app(standalone_mode=False):  # 130 after Ctrl-C, which Typer returns here
            sys.exit(status)
    except KeyboardInterrupt:
        sys.exit(130)
    except typer.TyperException as error:
        said = error.format_message()  # nothing where the help was printed
        _write(sys.stderr, f"tamis: {said}\n" if said else "")
        sys.exit(2)
    except RunInterrupted as error:
        _write(sys.stderr, f"{error}\n")
        sys.exit(130)
    except (RecipeError, ColumnError, KernelError) as error:
        _write(sys.stderr, f"tamis: {error}\n")
        sys.exit(2)
    except TamisError as error:
        _write(sys.stderr, f"tamis: {error}\n")
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and not _write(sys.stdout, "\n"):
            _write(sys.stderr, f"tamis: standard output cannot be written: {error.strerror or error}\n")
            sys.exit(1)
        _write(sys.stderr, f"tamis {tamis.__version__} failed in a way it should not. Please report this:\n{traceback.format_exc()}")
        sys.exit(1)
    finally:
        for stream in (sys.stdout, sys.stderr):
            _write(stream)


if __name__ == "__main__":
    main()
