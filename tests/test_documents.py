"""The documents tell the truth: their marked blocks run, their links lead somewhere, and every key of a recipe is told as it is.

A block is run when its first line is ```` ```bash run ```` or ```` ```python run ````; `CONTRIBUTING.md` says how.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

import tamis
from tamis.recipe import recipe_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(bash|python) run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| `([\w.]+)` \|.*\|$", re.MULTILINE)

RUNNABLE = [document for document in DOCUMENTS if BLOCK.search(document.read_text(encoding="utf-8"))]


def name(document: Path) -> str:
    """Return a document's path within the project."""
    return str(document.relative_to(ROOT))


def slug(heading: str) -> str:
    """Return the anchor that a heading has on the web."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def environment(folder: Path) -> dict[str, str]:
    """Return an environment whose `tamis` and `python` are those of this source tree, or of a copy in the folder."""
    tools = folder / ".bin"
    tools.mkdir()
    for tool, words in (("tamis", [sys.executable, "-m", "tamis"]), ("python", [sys.executable])):
        (tools / tool).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        (tools / tool).chmod(0o755)
    sources = os.pathsep.join(map(str, (folder / "engine", ROOT / "engine", ROOT / "kernels")))
    return os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": sources, "TAMIS_ROOT": str(ROOT)}


@pytest.mark.parametrize("document", RUNNABLE, ids=name)
def test_the_blocks_marked_run_do_run(document: Path, sample: Path, tmp_path: Path) -> None:
    shutil.copytree(sample / "corpus", tmp_path, dirs_exist_ok=True)
    settings = environment(tmp_path)
    for language, code in BLOCK.findall(document.read_text(encoding="utf-8")):
        command = ["bash", "-euo", "pipefail", "-c", code] if language == "bash" else [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name(document)}:\n{code}\n{done.stdout}\n{done.stderr}"


def test_the_main_documents_have_blocks_that_run() -> None:
    assert {"README.md", "docs/adding-a-check.md", "docs/formats.md", "docs/recipes.md"} <= set(map(name, RUNNABLE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{name(document)} links to {target}, which is not there"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{name(document)} links to {target}, where no such heading is"


def test_every_public_name_of_the_package_is_told() -> None:
    table = re.findall(r"^\| (.+) \|$", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.MULTILINE)
    told = {word for row in table for word in re.findall(r"`(\w+)`", row)}
    assert set(tamis.__all__) - {"__version__"} <= told


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every dotted key of a recipe that has a value of its own."""
    for key, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", field


def recipe_rows() -> list[str]:
    """Return the rows of the tables in `docs/recipes.md`, in the order of the schema."""
    rows = []
    for key, field in keys(recipe_model()):
        value: Any = field.get_default(call_default_factory=True)
        shown = "the words below" if key == "formats.missing_words" else toml(value)
        rows.append(f"| `{key}` | {shown if shown == 'the words below' else f'`{shown}`'} | {field.description} |")
    return rows


def toml(value: Any) -> str:
    """Return a default as it is written in a recipe."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def test_every_key_of_a_recipe_is_told_with_its_default_and_meaning() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert [found.group() for found in ROW.finditer(text)] == recipe_rows()
    for section, field in recipe_model().model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            assert f"\n## {section}\n\n{field.description}\n" in text


def test_the_missing_words_that_are_told_are_those_that_count() -> None:
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    words = dict(keys(recipe_model()))["formats.missing_words"].default
    assert "Missing words: " + ", ".join(f"`{word}`" for word in words if word) in text
