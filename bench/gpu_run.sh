#!/usr/bin/env bash
# What can only be found out on a GPU, in under eight minutes, with no network:
#
#     bash bench/gpu_run.sh [FOLDER]       FOLDER: where the results and the log go (default: bench/results)
#
# It runs the tests on CuPy, compute-sanitizer on the tests that launch our kernels, these kernels beside a copy, and the
# benchmarks beside JAX and PyTorch on the same device. Needs Python 3.11 or later with NumPy, CuPy and pytest; SciPy,
# hypothesis, PyTorch, JAX, pytest-xdist and compute-sanitizer take part where they are there. Set PYTHON to choose the
# interpreter. Every step has a limit; one that fails or runs out of time doesn't stop the next. The exit code is 1 if
# any failed.
#
# EMULATED=1 rehearses the same steps without a GPU, on CuPy run on the CPU (tests/cupy_on_cpu): nothing is timed
# that means anything.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

python=${PYTHON:-python3}
folder=${1:-bench/results}
mkdir -p "$folder" || exit 1
if [ -n "${EMULATED:-}" ]; then
    device=emulated
    # It must be there before anything imports CuPy, so the command runs in this very process (GPUAD_BENCH_THREADS).
    bench=(env GPUAD_BENCH_THREADS=1 "$python" -c 'import sys
sys.path[:0] = ["tests", "."]
import cupy_on_cpu
cupy_on_cpu.install()
from bench.suite.command import main
sys.exit(main())')
else
    bench=("$python" -m bench)
    if ! device=$("$python" -c 'import cupy; print(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())'); then
        echo "gpu_run: no GPU answers through CuPy in $python; EMULATED=1 rehearses without one" >&2
        exit 1
    fi
fi
name=$(tr -cs 'A-Za-z0-9.\n' '-' <<<"$device" | tr '[:upper:]' '[:lower:]')-$(date +%F)
results=$folder/$name.json
log=$folder/$name.log
export PYTHONUNBUFFERED=1 XLA_PYTHON_CLIENT_PREALLOCATE=false
export GPUAD_CACHE_DIR=${GPUAD_CACHE_DIR:-${TMPDIR:-/tmp}/gpuad-gpu-run}
table=()
failed=0

step() { # step SECONDS "headline" command...: run it within the limit, keep what it says, note how it ended
    local limit=$1 headline=$2 start=$SECONDS status outcome
    shift 2
    printf '\n=== %s (at most %d s)\n' "$headline" "$limit"
    timeout --kill-after=5 "$limit" "$@"
    status=$?
    case $status in
    0) outcome=passed ;;
    124 | 137) outcome="OUT OF TIME" ;;
    *) outcome="FAILED ($status)" ;;
    esac
    [ "$status" -eq 0 ] || failed=1
    table+=("$(printf '%-14s %4d s  %s' "$outcome" "$((SECONDS - start))" "$headline")")
}

skip() { table+=("$(printf '%-14s %4s    %s' skipped "" "$1")"); }

has() { "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$1') is None)"; }

# Our own kernels, not CuPy's: what compute-sanitizer is to look at. It makes them some ten times slower.
kernel_tests() {
    local found=()
    for file in tests/test_cuda_source.py tests/test_fusion_on_cupy.py; do
        [ -f "$file" ] && found+=("$file")
    done
    printf '%s\n' "${found[@]}"
}

main() {
    date -u
    git rev-parse HEAD 2>/dev/null
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem,temperature.gpu --format=csv 2>/dev/null
    step 20 "what is here" "$python" -m gpuad info
    local workers=() tests=()
    local processors
    processors=$(nproc)
    has xdist && workers=(-n "${WORKERS:-$((processors < 12 ? processors : 12))}") # each has a context on the GPU
    mapfile -t tests < <([ -n "${EMULATED:-}" ] && kernel_tests && ls tests/test_jit_on_cupy.py tests/test_jit_graphs.py)
    step 150 "tests on CuPy" "$python" -m pytest --backend cupy -q -p no:cacheprovider "${workers[@]}" "${tests[@]}"

    mapfile -t tests < <(kernel_tests)
    if [ -n "${EMULATED:-}" ]; then
        skip "compute-sanitizer: there is no GPU"
    elif command -v compute-sanitizer >/dev/null; then
        for tool in memcheck racecheck; do
            step 40 "compute-sanitizer, $tool" compute-sanitizer --tool "$tool" --error-exitcode 9 \
                --target-processes all "$python" -m pytest --backend cupy -q -x -p no:cacheprovider "${tests[@]}"
        done
    else
        skip "compute-sanitizer isn't on the PATH"
    fi

    if [ -n "${EMULATED:-}" ]; then
        skip "kernels beside a copy: there is no GPU"
    else
        step 20 "kernels beside a copy" "$python" -m bench.device_kernels --dtypes float32 --columns 1024
    fi

    # The budget ends the measuring, and the file is written after every case.
    local quick=()
    [ -n "${EMULATED:-}" ] && quick=(--quick)
    step 125 "benchmarks on $device" "${bench[@]}" run "${quick[@]}" --device gpu --budget 100 -o "$results" --replace
    step 40 "the same programs with jit's CUDA graphs" env GPUAD_JIT_GRAPHS=1 "${bench[@]}" run --quick --device gpu \
        --peers "" --budget 25 -o "${results%.json}-graphs.json" --replace
    step 15 "report" "${bench[@]}" report "$results" -o "${results%.json}.html"

    printf '\n=== %s, %d s in all\n' "$device" "$SECONDS"
    printf '%s\n' "${table[@]}" "results: $results"
}

main > >(tee "$log") 2>&1
wait
exit "$failed"
