#!/usr/bin/env bash
# On a machine with a GPU: everything that only a GPU can prove, in one call.
#
#     bash bench/gpu.sh                           # results go to bench/results/NAME-OF-THE-GPU
#     bash bench/gpu.sh FOLDER [--quick]          # results go to FOLDER; small inputs
#     bash bench/gpu.sh FOLDER tests rates        # these parts alone, of tests, rates, auto, sanitizer: where a GPU is lent by the minute
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
out= options=() parts=()
for given in "$@"; do
    case $given in
        tests | rates | auto | sanitizer) parts+=("$given") ;;
        --*) options+=("$given") ;;
        *) out=$given ;;
    esac
done
out=${out:-bench/results/$(tr '[:upper:] ' '[:lower:]-' <<< "${gpu:-simulator}")}
mkdir -p "$out"

about() {
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
}

tests() { # every kernel against its reference, on the device
    local files=(tests/kernels)
    if "$python" -c 'from tamis import clean, image_hashes' 2> /dev/null; then
        files+=(tests/engine/test_backends.py) # a whole run, byte for byte
    else
        echo 'the engine cannot be imported: no whole run'
    fi
    "$python" -m pytest "${files[@]}" -m gpu -q --durations=20 2>&1 | tee "$out/tests.txt"
}

rates() { # and the size from which on CUDA is faster
    rm -f "$out/cuda.jsonl"
    "$python" bench/bench_cuda.py --json "$out/cuda.jsonl" "${options[@]}" 2>&1 | tee "$out/cuda.txt"
    local ended=$?
    grep '^crossover' "$out/cuda.txt" > "$out/crossovers.txt"
    return "$ended"
}

auto() { # what backend auto goes by from now on
    "$python" -m tamis_kernels.measure 2>&1 | tee "$out/auto.txt"
}

sanitizer() {
    command -v compute-sanitizer > /dev/null || return 0
    local tool ended=0
    for tool in memcheck racecheck; do
        compute-sanitizer --tool "$tool" --error-exitcode 9 "$python" bench/bench_cuda.py --quick > "$out/$tool.txt" 2>&1 || ended=1
        tail -n 3 "$out/$tool.txt"
    done
    return "$ended"
}

about "$@" 2>&1 | tee "$out/machine.txt"
((${#parts[@]})) || parts=(tests rates auto sanitizer)
failed=()
for part in "${parts[@]}"; do
    SECONDS=0
    echo "== $part"
    "$part" || failed+=("$part")
    echo "$part: $SECONDS s" | tee -a "$out/machine.txt"
done
if ((${#failed[@]})); then
    echo "failed: ${failed[*]}"
    exit 1
fi
