"""Measure the goals that numbers were promised for, and print one table of them.

python -m bench.check_goals                  everything (about ten minutes; needs 16 GB of memory)
python -m bench.check_goals overhead large   some of it
python -m bench.check_goals jit --only lstm  rows of `fused` and `jit` with these letters in their names
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from .measure import Result, about_this_run
from .suite.peers import slowed


def main() -> int:
    from . import goals  # imports all that is measured

    parser = argparse.ArgumentParser(prog="python -m bench.check_goals", description="measure gpuad against its goals")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(goals.ALL)} (default: all)")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.json", help="write the figures, and a picture beside"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="rows of fused and jit with this in their names")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(goals.ALL)
    if unknown:
        parser.error(f"no goal is called {', '.join(sorted(unknown))}; there are {', '.join(goals.ALL)}")
    for name in arguments.names or goals.ALL if arguments.only else ():
        if name not in goals.peer_goals.GROUPS or not goals.peer_goals.chosen(name, arguments.only):
            parser.error(f"--only {arguments.only}: {name} has no such row")
    if warning := slowed():
        print(warning, file=sys.stderr)
    about = about_this_run()
    results: list[Result] = []
    for name in arguments.names or goals.ALL:
        for result in goals.run(name, arguments.only):
            print(result, "\n", flush=True)
            results.append(result)
    print(f"{'goal':<70} {'measured':>9}")
    for result in results:
        for check in result.checks:
            print(check)
    if arguments.output:
        written = {"run": about, "results": [dataclasses.asdict(result) for result in results]}
        arguments.output.write_text(json.dumps(written, indent=1) + "\n")
        for result in results:
            if "depth d" in result.title:
                from .goals_plot import plot_scaling

                plot_scaling(result, arguments.output.with_suffix(".png"))
    return 0 if all(check.ok for result in results for check in result.checks) else 1


if __name__ == "__main__":
    sys.exit(main())
