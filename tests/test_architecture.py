"""The walls of the project: who may import whom, what a kernel's folder holds, how long a file may be."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import tamis
from tamis.checks import registry

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "kernels" / "tamis_kernels"
ENGINE = ROOT / "engine" / "tamis"
OPERATIONS = sorted(folder.name for folder in KERNELS.iterdir() if (folder / "__init__.py").exists())

LONGEST = 420
# Files that may be longer, each with the reason.
LONG_FILES = {"tests/engine/test_media.py": "one builder of broken files a format, and the verdict on each"}

# Where the pipeline does name a check: every table is read by the rules in `formats`, whether or not the check that counts its findings
# runs; the manifest says of each column how many values are missing, and why cells became null; `auto` tells how to normalise.
NAMED_CHECKS = {"plan.py": {"formats"}, "manifest.py": {"formats", "missing"}, "choose.py": {"normalize"}}

# What each part of the engine may import of the others; docs/design.md draws the same.
LAYERS = {
    "errors": set[str](),
    "names": {"errors"},
    "arguments": {"errors"},
    "files": {"names"},
    "section": set[str](),
    "toml": set[str](),
    "media": {"errors", "names"},
    "sources": {"errors", "names", "files", "media"},
    "executors": {"errors"},
    "sample": {"errors", "names", "arguments"},
    "progress": {"errors", "names"},
    "report": {"errors", "sources"},
    "inquiries": set[str](),
    "series": {"errors", "names", "sources"},
    "qc": {"errors", "names", "arguments", "series"},
    "discovery": {"errors", "names", "toml", "series"},
    "sizes": {"errors"},
    "frames": {"errors", "names"},
    "encodings": set[str](),
    "normalizer": {"errors", "names", "arguments", "encodings", "frames", "inquiries", "sizes"},
    "near": {"errors", "names", "arguments", "frames", "sizes"},
    "namespace": {"near"},
    "statistics": {"errors", "names", "arguments", "frames"},
    "checks": {"errors", "names", "section", "media", "sources", "normalizer", "near", "series", "qc", "discovery"},
    "recipe": {"errors", "names", "arguments", "section", "toml", "checks"},
    "pipeline": {
        "errors",
        "names",
        "files",
        "encodings",
        "inquiries",
        "media",
        "near",
        "sources",
        "series",
        "executors",
        "checks",
        "recipe",
        "progress",
        "report",
    },
    "api": {
        "errors",
        "names",
        "arguments",
        "media",
        "frames",
        "sources",
        "executors",
        "progress",
        "series",
        "qc",
        "discovery",
        "sizes",
        "checks",
        "recipe",
        "pipeline",
    },
    "doctor": {"executors"},
    "cli": {"errors", "names", "executors", "sizes", "recipe", "pipeline", "progress", "api", "doctor", "sample"},
    "__main__": {"cli"},
}


def tracked(suffix: str = "") -> list[Path]:
    """Return the project's files: those that git knows, or all source files where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        files = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        files = [path for folder in ("engine", "kernels", "tests", "bench", "docs", "configs") for path in (ROOT / folder).rglob("*")]
    return sorted(path for path in files if path.is_file() and path.name.endswith(suffix) and "__pycache__" not in path.parts)


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the full names of the modules that a file imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def part(path: Path) -> str:
    """Return the part of the engine that a file belongs to."""
    return path.relative_to(ENGINE).parts[0].removesuffix(".py")


def test_kernels_need_only_numpy_and_numba() -> None:
    for path in sorted(KERNELS.rglob("*.py")):
        allowed = {*sys.stdlib_module_names, "numpy", "numba", "tamis_kernels"}
        if path.name in {"backend.py", "device.py"}:  # whether CuPy is there, and its arrays
            allowed |= {"cupy"}
        if path.name in {"cuda_compiled.py", "ahead.py"}:  # what Numba compiles with: how `*` is compiled is changed, and memory asked for
            allowed |= {"llvmlite"}
        found = imports(path)
        assert {name.split(".")[0] for name in found} <= allowed, path
        if path.name != "device.py" and not path.name.startswith("cuda"):
            assert not any(name.startswith(("numba.cuda", "tamis_kernels.device")) or name.endswith(".cuda") for name in found), path


def test_functions_that_count_no_references_hand_no_array_on_and_get_none() -> None:
    returned, called, arrays = {}, {}, set()
    array = re.compile(r"NDArray|Lane|Frame|\b(Bools|Floats|(Uint|Int|Float)\d+s)\b")
    for path in sorted(KERNELS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef) or node.returns is None:
                continue
            decorators, told = " ".join(map(ast.unparse, node.decorator_list)), ast.unparse(node.returns)
            if "of_views" in decorators:
                returned[f"{path.relative_to(KERNELS)}: {node.name}"] = told
                called[node.name] = {one.func.id for one in ast.walk(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)}
            elif "njit" in decorators and "inline" not in decorators and array.search(told):
                arrays.add(node.name)
    numbers = re.compile(r"(tuple\[)?((None|int|bool|float|np\.u?int(8|16|32|64)|np\.float64)(, )?)+\]?")
    assert len(returned) > 50
    assert {name: told for name, told in returned.items() if not numbers.fullmatch(told)} == {}
    assert {name: names & arrays for name, names in called.items() if names & arrays} == {}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_reference_and_cpu_define_the_same_functions_with_the_same_arguments(operation: str) -> None:
    signatures = {}
    for name in ("reference", "cpu"):
        module = import_module(f"tamis_kernels.{operation}.{name}")
        signatures[name] = {
            key: tuple(inspect.signature(getattr(value, "py_func", value)).parameters)
            for key, value in vars(module).items()
            if callable(value) and not key.startswith("_") and getattr(value, "__module__", "") == module.__name__
        }
    assert signatures["cpu"]
    public = import_module(f"tamis_kernels.{operation}")
    source = inspect.getsource(public)
    called = {name for name in signatures["cpu"] if re.search(rf"\.{name}\b|\bdef {name}\b", source)}
    assert called, "no function of cpu.py is called"
    assert {name: signatures["reference"].get(name) for name in called} == {name: signatures["cpu"][name] for name in called}


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*/cuda.py")), ids=lambda path: path.parent.name)
def test_cuda_defines_every_function_of_the_cpu_that_the_operation_calls(path: Path) -> None:
    def functions(name: str) -> dict[str, list[str]]:
        body = ast.parse(path.with_name(name).read_text(encoding="utf-8")).body
        return {node.name: [argument.arg for argument in node.args.args] for node in body if isinstance(node, ast.FunctionDef)}

    public = path.with_name("__init__.py").read_text(encoding="utf-8")
    called = {name for name in functions("reference.py") if re.search(rf"\)\.{name}\(|\b(run|kernel|module)\.{name}\(", public)}
    called |= {name for name in functions("reference.py") if name != path.parent.name and f'("{name}"' in public}
    assert called
    assert {name: functions("cuda.py").get(name) for name in called} == {name: functions("reference.py")[name] for name in called}


def test_engine_imports_run_one_way() -> None:
    for path in sorted(ENGINE.rglob("*.py")):
        if path != ENGINE / "__init__.py":  # the list of public names
            inside = {name.split(".")[1] for name in imports(path) if name.startswith("tamis.")} - {"__version__"}
            assert inside - {part(path)} <= LAYERS[part(path)], path


def module_name(path: Path) -> str:
    """Return the name that a file of the two packages is imported by."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts[1:]).removesuffix(".__init__")


def test_no_modules_import_each_other_in_a_circle() -> None:
    files = [path for root in (KERNELS, ENGINE) for path in root.rglob("*.py") if path != ENGINE / "__init__.py"]  # that lists public names
    modules = {module_name(path): path for path in files}
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        used = {one if one in modules else one.rpartition(".")[0] for one in imports(path)}
        graph[name] = used & modules.keys() - {name}
    assert len(graph) > 300
    TopologicalSorter(graph).prepare()  # which tells of a circle


def test_all_public_errors_are_of_one_tree_and_cost_no_import_of_numba() -> None:
    errors = {name for name in tamis.__all__ if isinstance(getattr(tamis, name), type) and issubclass(getattr(tamis, name), Exception)}
    assert {name for name in errors if not issubclass(getattr(tamis, name), tamis.TamisError)} == set()
    assert {"ArgumentError", "BackendUnavailableError", "RecipeError"} <= errors
    told = "import sys, tamis.errors; sys.exit(bool({'numba', 'polars'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0


def test_the_layers_have_no_cycle() -> None:
    placed: set[str] = set()
    for name, below in LAYERS.items():
        assert below <= placed, name
        placed.add(name)


def test_the_pipeline_names_no_check() -> None:
    for path in sorted((ENGINE / "pipeline").glob("*.py")):
        assert not any(name.startswith("tamis.checks.") and not name.startswith("tamis.checks.base") for name in imports(path)), path
        constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        words = [value for value in constants if isinstance(value, str)]
        named = {check.name for check in registry() for word in words if word == check.name or word.startswith(f"{check.name}.")}
        assert named <= NAMED_CHECKS.get(path.name, set()), path


def test_no_file_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in tracked(".py")}
    assert {name for name, length in lengths.items() if length > LONGEST} <= set(LONG_FILES)


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    place = re.compile(r"(?<![\w.])/(?:home|Users|work|root)/\w")
    texts = [path for path in tracked() if path.suffix in {".py", ".md", ".toml", ".html", ".yaml", ".cuda"} or path.name == "Makefile"]
    assert len(texts) > 50
    found = {str(path.relative_to(ROOT)) for path in texts if place.search(path.read_text(encoding="utf-8"))}
    assert not found - {"tests/test_architecture.py"}
