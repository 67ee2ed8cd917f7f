"""Run all benchmarks, print one table of the goals, and write the figures to ``bench/results/``.

python -m bench                 everything (about five minutes)
python -m bench overhead large  some of it
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from .measure import Result, about_this_run

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    from . import goals  # imports all that is measured

    parser = argparse.ArgumentParser(prog="python -m bench", description="measure gpuad against its goals")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(goals.ALL)} (default: all)")
    parser.add_argument("--machine", default="", help="names the files (default: system and processor)")
    parser.add_argument("--no-write", action="store_true", help="write no files")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(goals.ALL)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(goals.ALL)}")
    about = about_this_run()
    results: list[Result] = []
    for name in arguments.names or goals.ALL:
        for result in goals.run(name):
            print(result, "\n", flush=True)
            results.append(result)
    print(f"{'goal':<66} {'measured':>9}")
    for result in results:
        for check in result.checks:
            print(check)
    if not arguments.no_write:
        machine = arguments.machine or str(about["system"]).lower().replace(" ", "-")
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{machine}-{about['date']}.json"
        written = {"run": about, "results": [dataclasses.asdict(result) for result in results]}
        path.write_text(json.dumps(written, indent=1) + "\n")
        print(f"\nwritten: bench/results/{path.name}")
        for result in results:
            if "depth d" in result.title:
                from .plot import plot_scaling

                plot_scaling(result, path.with_suffix(".png"))
                print(f"written: bench/results/{path.stem}.png")
    return 0 if all(check.ok for result in results for check in result.checks) else 1


if __name__ == "__main__":
    sys.exit(main())
