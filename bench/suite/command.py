"""The command line: ``gpuad bench``, and ``python -m bench`` in the source tree."""

from __future__ import annotations

import argparse
import datetime
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import results

#: Set in the process that measures, whose libraries have been told how many threads to use.
_CHILD = "GPUAD_BENCH_THREADS"
QUICK_BUDGET = 100.0

_DESCRIPTION = """\
Measures gpuad beside what else is installed: hand-written NumPy, autograd, JAX, PyTorch.

commands:
  run       measure (what happens if no command is given); `gpuad bench --quick` takes less than two minutes;
            `gpuad bench run --help` lists the options
  list      the workloads, and who takes part
  report    one HTML page from one or several files of results
  compare   two files of results; exit code 1 if gpuad became slower beyond the noise
"""


def main(argv: Sequence[str] | None = None, prog: str = "gpuad bench") -> int:
    """Exit codes: 0 done; 1 a contestant was refused or broke, or a regression; 2 wrong usage; 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    commands = {"run": _run, "list": _list, "report": _report, "compare": _compare}
    if words[:1] not in [[name] for name in (*commands, "-h", "--help")]:
        words = ["run", *words]
    args = _parser(prog).parse_args(words)
    args.words = words
    try:
        return commands[args.command](args)
    except results.BadResults as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 1


def _parser(prog: str) -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=prog, description=_DESCRIPTION, formatter_class=raw, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    run = commands.add_parser("run", help="measure", allow_abbrev=False)
    _add_choices(run)
    run.add_argument("--quick", action="store_true", help=f"small sizes, {QUICK_BUDGET:.0f} s")
    run.add_argument("--budget", type=_positive, metavar="S", help="seconds after which no further workload is begun")
    run.add_argument("--threads", type=_at_least_one, default=1, metavar="N", help="for every library (default 1)")
    run.add_argument("-o", "--output", metavar="FILE.json", help="default: gpuad-bench-<date>.json in this folder")
    run.add_argument("--replace", action="store_true", help="write over a file that exists")
    listed = commands.add_parser("list", help="the workloads, and who takes part", allow_abbrev=False)
    _add_choices(listed)
    listed.add_argument("--quick", action="store_true", help="those of a quick run")
    report = commands.add_parser("report", help="one HTML page", allow_abbrev=False)
    report.add_argument("files", nargs="+", metavar="FILE.json")
    report.add_argument("-o", "--output", default="report.html", metavar="report.html")
    report.add_argument("--figures", metavar="FOLDER", help="the pictures as SVG, and as PNG where matplotlib is there")
    compare = commands.add_parser("compare", help="exit code 1 on a regression beyond the noise", allow_abbrev=False)
    compare.add_argument("before", metavar="BEFORE.json")
    compare.add_argument("after", metavar="AFTER.json")
    compare.add_argument(
        "--tolerance", type=_positive, default=0.1, metavar="R", help="relative, on top of the noise (default 0.1)"
    )
    return parser


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="groups, or parts of names of workloads (default: all)"
    )
    parser.add_argument(
        "--peers",
        metavar="A,B",
        help="who takes part beside gpuad, as `list` calls them (default: all that are installed)",
    )
    parser.add_argument("--device", choices=["cpu", "gpu"], help="on this device only (default: on all there are)")


def _positive(text: str) -> float:
    number = float(text)  # what isn't a number argparse reports
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _at_least_one(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return int(text)


# --- what is measured ----------------------------------------------------------------------------


def _chosen_cases(args: argparse.Namespace) -> list[Any]:
    from .workloads import ALL, GROUPS

    cases = [case for workload in ALL for case in workload.cases(args.quick)]
    if not args.names:
        return cases
    found = []
    for name in args.names:
        whole = name in GROUPS
        inside = [c for c in cases if (c.workload.group == name if whole else name.lower() in c.name.lower())]
        if not inside:
            where = "no workload of a quick run" if args.quick else "no workload"
            _usage(f"{where} has {name!r} in its name; groups: {', '.join(GROUPS)}")
        found += [c for c in inside if c not in found]
    return found


def _spread(cases: list[Any]) -> list[Any]:
    """In turn from every group, so that a run whose time is up has something of each."""
    counts: Counter[str] = Counter()
    places = []
    for c in cases:
        places.append(counts[c.workload.group])
        counts[c.workload.group] += 1
    return [c for _, c in sorted(zip(places, cases, strict=True), key=lambda pair: pair[0])]


def _chosen_adapters(args: argparse.Namespace) -> list[Any]:
    from .peers import ON_REQUEST, SLOW, contestants

    # Nobody without a GPU wants to read five times that there is none, unless they ask for one.
    devices = [args.device] if args.device else ["cpu"] if _no_gpu() else ["cpu", "gpu"]
    everyone = [a for a in contestants() if a.device in devices]
    if args.peers is None:
        absent = ON_REQUEST | SLOW if args.quick else ON_REQUEST
        return [a for a in everyone if a.name not in absent]
    asked = {name.strip().lower() for name in args.peers.split(",") if name.strip()}
    names = list(dict.fromkeys(a.name for a in everyone))
    if unknown := asked - {name.lower() for name in names}:
        _usage(f"--peers: nobody is called {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return [a for a in everyone if a.name in results.OURS or a.name.lower() in asked]


def _no_gpu() -> str | None:
    from .adapters import no_gpu

    return no_gpu()


def _usage(message: str) -> None:
    print(f"gpuad bench: error: {message}", file=sys.stderr)
    raise SystemExit(2)


# --- the commands --------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    from .workloads import GROUPS

    cases = _chosen_cases(args)
    for group, what in GROUPS.items():
        inside = [c for c in cases if c.workload.group == group]
        if inside:
            print(f"{group}: {what}")
            sizes: dict[str, list[str]] = {}
            for c in inside:
                sizes.setdefault(c.workload.name, []).append(c.size)
            for name, at in sizes.items():
                print(f"  {name:<34} {'; '.join(at)}")
    print("contestants")
    for a in _chosen_adapters(args):
        print(f"  {a.label:<34} {a.missing() or 'takes part'}")
    return 0


def _run(args: argparse.Namespace) -> int:
    if os.environ.get(_CHILD) != str(args.threads):
        return _in_child(args)
    from .session import Session
    from .timing import FULL, QUICK

    cases, adapters = _chosen_cases(args), _chosen_adapters(args)
    now = datetime.datetime.now()
    target = Path(args.output or f"gpuad-bench-{now:%Y-%m-%d-%H%M%S}.json")
    if target.exists() and not args.replace:
        _usage(f"-o {target}: exists; --replace writes over it")
    try:
        target.touch()  # fails now, not after minutes
    except OSError as error:
        _usage(f"-o {target}: {error.strerror}")
    if args.threads == 1 and not any(a.device == "gpu" for a in adapters):
        stay_on_one_processor()
    budget = QUICK_BUDGET if args.quick and args.budget is None else args.budget
    session = Session(adapters, QUICK if args.quick else FULL, args.threads, budget, args.quick, target)
    document = session.run(cases if budget is None else _spread(cases))
    from .summary import print_summary

    print_summary(document, target)
    if document["interrupted"]:
        return 130
    return 1 if results.refused(document) else 0


def _in_child(args: argparse.Namespace) -> int:
    """Run the same command anew, where no library has been imported yet, so that all heed the number of threads."""
    from .peers import settings, slowed

    if warning := slowed():
        print(f"gpuad bench: {warning}", file=sys.stderr)
    package = str(__package__)
    root = Path(__file__).resolve().parents[package.count(".") + 1]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, **settings(args.threads), _CHILD: str(args.threads), "PYTHONPATH": path}
    command = [sys.executable, "-m", package, *args.words]
    if os.name == "posix":  # in the place of this process, so that signals reach it
        os.execve(sys.executable, command, environment)
    child = subprocess.Popen(command, env=environment)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the terminal has told the child, too, which writes what it has
            continue


def stay_on_one_processor() -> None:
    """JAX counts the processors it may use, and takes as many threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _report(args: argparse.Namespace) -> int:
    from .report import page, write_figures

    documents = [(Path(name).stem, results.load(name)) for name in args.files]
    try:
        Path(args.output).write_text(page(documents), encoding="utf-8")
        print(f"written: {args.output}")
        for path in write_figures(documents, Path(args.figures)) if args.figures else ():
            print(f"written: {path}")
    except OSError as error:
        print(f"gpuad bench: error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _compare(args: argparse.Namespace) -> int:
    from .compare import compare

    return compare(results.load(args.before), results.load(args.after), args.tolerance)
