#!/usr/bin/env bash
# On a machine with a GPU: everything that only a GPU can prove, in one call.
#
#     bash bench/gpu.sh                       # results go to bench/results/NAME-OF-THE-GPU
#     bash bench/gpu.sh FOLDER [--quick]      # results go to FOLDER; small inputs
#
# Needs numpy, numba, numba-cuda, cupy, pillow, xxhash, pytest and hypothesis; for whole runs what the engine needs. Tests that ask another
# package what is right, as datasketch, fail where it is missing. All of them: pip install -e '.[cuda,dev]'
# Where there is no GPU, two calls show that the script works, the second with compiled kernels on the emulator of tests/cuda:
#     NUMBA_ENABLE_CUDASIM=1 NUMBA_DISABLE_JIT=1 bash bench/gpu.sh FOLDER --quick
#     PYTHON=.venv-cuda/bin/python PYTHONPATH=$PWD/tests/cuda/emulated_gpu bash bench/gpu.sh FOLDER --quick
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
export PYTHONPATH="$PWD/kernels:$PWD/engine${PYTHONPATH:+:$PYTHONPATH}"
"$python" -c 'import sys; from tamis_kernels.backend import cuda_problem; sys.exit(cuda_problem())' || exit 1
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2> /dev/null | head -n 1)
out=${1:-bench/results/$(tr '[:upper:] ' '[:lower:]-' <<< "${gpu:-simulator}")}
mkdir -p "$out"
failed=()

{
    echo "bash bench/gpu.sh $*"
    echo "commit $(git rev-parse HEAD)$(git diff --quiet HEAD || echo ', changed')  $(date -u +%FT%TZ)"
    nvidia-smi --query-gpu=name,memory.total,driver_version,clocks.max.sm,pcie.link.gen.max --format=csv
    "$python" - << 'EOF'
import os, platform, re, sys
from importlib import metadata, util
from tamis_kernels.backend import cuda_problem, simulated

cuda_problem()  # finds out
where = "in Numba's simulator: no figures" if simulated() else "on the emulator: no figures" if "emulator" in sys.modules else "on the GPU"
print("kernels run", where)
print(platform.platform(), platform.machine(), os.cpu_count(), "cores, python", platform.python_version())
packages = {one.name.lower(): one.version for one in metadata.distributions()}
print(*(f"{name} {version}" for name, version in sorted(packages.items()) if re.match("numpy|numba|llvm|cupy|cuda|nvidia|polars|pyarrow", name)))
oracles = ("datasketch", "imagehash", "pdqhash", "polars", "pyarrow", "simplejpeg", "sklearn")
print("not installed, so that tests that ask it fail:", *[name for name in oracles if util.find_spec(name) is None] or ["none"])
EOF
} 2>&1 | tee "$out/machine.txt"

echo '== every kernel against its reference, on the device'
tests=(tests/kernels)
if "$python" -c 'from tamis import clean, image_hashes'; then
    tests+=(tests/engine/test_backends.py) # a whole run, byte for byte
else
    echo 'the engine cannot be imported: no whole run'
fi
"$python" -m pytest "${tests[@]}" -m gpu -q 2>&1 | tee "$out/tests.txt" || failed+=(tests)

echo '== what backend auto goes by from now on'
"$python" -m tamis_kernels.measure 2>&1 | tee "$out/auto.txt" || failed+=(measure)

echo '== rates, and the size from which on CUDA is faster'
rm -f "$out/cuda.jsonl"
"$python" bench/bench_cuda.py --json "$out/cuda.jsonl" "${@:2}" 2>&1 | tee "$out/cuda.txt" || failed+=(bench)
grep '^crossover' "$out/cuda.txt" > "$out/crossovers.txt"

if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck; do
        echo "== compute-sanitizer $tool"
        compute-sanitizer --tool "$tool" --error-exitcode 9 "$python" bench/bench_cuda.py --quick > "$out/$tool.txt" 2>&1 || failed+=("$tool")
        tail -n 3 "$out/$tool.txt"
    done
fi

if ((${#failed[@]})); then
    echo "failed: ${failed[*]}"
    exit 1
fi
