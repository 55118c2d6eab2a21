# Every target works on a fresh machine with Python 3.11 or newer and pip. `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CUDA   ?= .venv-cuda
DEMO   ?= demo
# Python compiles the modules that it imports, which are few of those that are installed.
PIP    := -m pip install --quiet --disable-pip-version-check --no-deps --no-compile

# Where it is set, each of the hundreds of processes that tests start compiles all modules anew, which takes it five times as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint types unit coverage test-cuda compiled emulated bench lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP)  ## make .venv and install the locked versions and tamis itself, editable

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "tamis needs Python 3.11 or newer; set PYTHON=…")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --require-hashes -r requirements.lock
	$(BIN)/python $(PIP) --no-build-isolation -e .
	touch $@

demo: install  ## make a sample corpus, clean it, with what is suspected of its sensors, and say where the results are
	rm -rf $(DEMO)
	$(BIN)/tamis sample $(DEMO)
	$(BIN)/tamis clean $(DEMO)/corpus -o $(DEMO)/cleaned --set discovery.enabled=true

test: lint unit coverage types  ## all checks and tests; the long ones begin first, for `make -j2`

check: lint types  ## lint and types

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

unit: install  ## the tests in one process, which compiles each kernel once
	$(BIN)/python -m pytest -m "not gpu"

coverage: install  ## the kernels' tests with the JIT off, CUDA in the simulator: the lines of the kernels that are reached
	NUMBA_DISABLE_JIT=1 NUMBA_ENABLE_CUDASIM=1 $(BIN)/python -m pytest tests/kernels -m "not slow" --quiet \
		--cov --cov-report=term-missing:skip-covered --cov-fail-under=99

test-cuda: emulated compiled  ## what of CUDA needs no GPU (downloads 400 MB of compilers)

compiled: install $(CUDA)/.installed  ## compile the CUDA kernels for sm_80 and sm_90, and see what they take of a GPU
	$(CUDA)/bin/python -m pytest tests/cuda

emulated: install $(CUDA)/.installed  ## run the compiled kernels, and whole runs, on the processor, with every access and every race looked at
	PYTHONPATH=tests/cuda $(CUDA)/bin/python -m pytest -p emulator.install -m gpu tests/kernels
	PYTHONPATH=tests/cuda $(CUDA)/bin/python -m pytest -p emulator.install tests/cuda tests/engine/test_backends.py

# What the kernels' tests need beside the compilers is that of .venv, which comes behind and is made at the same time.
$(CUDA)/.installed: tests/cuda/requirements.lock
	test -x $(CUDA)/bin/python || $(PYTHON) -m venv $(CUDA)
	$(CUDA)/bin/python $(PIP) --require-hashes -r tests/cuda/requirements.lock
	$(CUDA)/bin/python -c 'import pathlib, sysconfig; at = dict.fromkeys(("base", "platbase"), "$(abspath $(VENV))"); \
		behind = [sysconfig.get_path(kind, "venv", at) for kind in ("purelib", "platlib")]; \
		pathlib.Path(sysconfig.get_path("purelib"), "tests.pth").write_text("\n".join(behind))'
	touch $@

bench: install  ## all benchmarks against the limits and the peers that are installed
	$(BIN)/python bench/run.py

lock:  ## write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 --extra dev --extra build pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--python-version 3.11 --constraint requirements.lock tests/cuda/requirements.in -o tests/cuda/requirements.lock

clean:  ## remove what make made
	rm -rf $(VENV) $(CUDA) $(DEMO) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
