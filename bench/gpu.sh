#!/usr/bin/env bash
# On a machine with a GPU: everything that only a GPU can prove, in one call.
#
#     bash bench/gpu.sh [FOLDER]      # results go to FOLDER (default: bench/results/gpu)
#
# Needs numpy, numba, numba-cuda, cupy, pillow, pytest and hypothesis; for whole runs what the engine needs; the oracles of the tests
# (datasketch, xxhash, …) where they are installed.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-bench/results/gpu}
python=${PYTHON:-python3}
mkdir -p "$out"
export PYTHONPATH="$PWD/kernels:$PWD/engine${PYTHONPATH:+:$PYTHONPATH}"
failed=()

{
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv
    "$python" -c 'import numba, numpy, cupy, numba_cuda; print("numpy", numpy.__version__, "numba", numba.__version__, "numba-cuda", numba_cuda.__version__, "cupy", cupy.__version__)'
    git rev-parse HEAD
} 2>&1 | tee "$out/machine.txt"

echo '== every kernel against its reference, on the device'
tests=(tests/kernels)
"$python" -c 'import polars, pydantic, pyarrow, typer' 2> /dev/null && tests+=(tests/engine/test_backends.py) # a whole run, byte for byte
"$python" -m pytest "${tests[@]}" -m gpu -q 2>&1 | tee "$out/tests.txt" || failed+=(tests)

if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck; do
        echo "== compute-sanitizer $tool"
        compute-sanitizer --tool "$tool" --error-exitcode 9 "$python" bench/bench_cuda.py --quick > "$out/$tool.txt" 2>&1 || failed+=("$tool")
        tail -n 3 "$out/$tool.txt"
    done
fi

echo '== rates'
rm -f "$out/cuda.jsonl"
"$python" bench/bench_cuda.py --json "$out/cuda.jsonl" 2>&1 | tee "$out/cuda.txt" || failed+=(bench)

if ((${#failed[@]})); then
    echo "failed: ${failed[*]}"
    exit 1
fi
