"""The command line: ``python -m gpuad`` and ``gpuad``.

Exit codes: 0 done; 1 it could not be done, or the gradient check failed; 2 wrong usage;
130 interrupted; 141 the reader of the output went away.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gpuad
from gpuad.errors import BackendError

DEMO_OPTIONS = ("seed", "epochs", "save")


class CommandError(Exception):
    """Something the user asked for cannot be done. The text is the whole message."""


def main(argv: Sequence[str] | None = None) -> int:
    try:
        try:
            status = _run(argv)
        except SystemExit as stop:  # argparse, after --help or a usage error
            status = stop.code if isinstance(stop.code, int) else 0
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("\ngpuad: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()
        return 141
    except (CommandError, BackendError) as error:
        return _fail(error)
    except OSError as error:  # the output can't be written: a full disk
        _drop_output()
        return _fail(error)


def _fail(error: Exception) -> int:
    print(f"gpuad: error: {error}", file=sys.stderr)
    return 1


def _drop_output() -> None:
    """What is still buffered can't be written; without this, Python says so at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["bench"]:
        return _bench(words[1:])
    parser = _parser()
    args = parser.parse_args(words)
    if args.command == "bench":
        parser.error("bench comes first, its own options behind it: see `gpuad bench --help`")
    asked = args.backend or os.environ.get("GPUAD_BACKEND") or "auto"
    if args.command == "info":
        for option in DEMO_OPTIONS:
            if getattr(args, option) is not None:
                parser.error(f"--{option} belongs to the demonstration, not to info")
        return _info(asked)
    return _demo(asked, args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpuad",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=(
            "gpuad differentiates NumPy and CuPy programs.\n\n"
            "commands:\n"
            "  demo   train a small network on handwritten digits, check its gradient and\n"
            "         count its work; this is what runs if no command is given\n"
            "  info   print the versions, the backends, the device, who runs fused kernels on the\n"
            "         host, and the cache folder\n"
            "  bench  measure gpuad beside NumPy by hand, autograd, JAX and PyTorch, as far as\n"
            "         they are installed; `gpuad bench --help` lists its own options"
        ),
        epilog=(
            "environment: GPUAD_BACKEND chooses the backend where --backend does not;\n"
            "GPUAD_CACHE_DIR is the folder for compiled kernels;\n"
            "GPUAD_CC names the C compiler; GPUAD_CPU_EXECUTOR is c, numpy or none, which means\n"
            "that nothing is fused."
        ),
    )
    parser.add_argument("command", nargs="?", choices=["demo", "info", "bench"], default="demo")
    parser.add_argument("--version", action="version", version=f"gpuad {gpuad.__version__}")
    parser.add_argument(
        "--backend",
        choices=["auto", "numpy", "cupy"],
        help="which library does the arithmetic (auto: CuPy if a device answers, else NumPy)",
    )
    demo = parser.add_argument_group("options of the demonstration")
    demo.add_argument("--seed", type=_whole(0), metavar="N", help="seed of the weights and batches (default 0)")
    demo.add_argument("--epochs", type=_whole(1), metavar="N", help="passes over the images (default 60)")
    demo.add_argument("--save", metavar="FILE.npz", help="write the trained weights to this file")
    return parser


def _whole(least: int) -> Any:
    def parse(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is less than {least}")
        return number

    parse.__name__ = "whole number"  # argparse puts it into "invalid ... value"
    return parse


# --- info ----------------------------------------------------------------------------------------


def _info(asked: str) -> int:
    from gpuad import information

    print(information.gather())
    backend, why = gpuad.backend.choose(asked)
    print(f"chosen   {backend.name}; {why}")
    return 0


# --- bench ---------------------------------------------------------------------------------------


def _bench(words: list[str]) -> int:
    """The suite stands beside the package in the source tree, and inside it where it was installed from a wheel."""
    import importlib

    try:
        command = importlib.import_module("gpuad.bench.command")
    except ModuleNotFoundError as error:
        if error.name != "gpuad.bench":
            raise
        tree = Path(gpuad.__file__).resolve().parent.parent
        if not (tree / "bench" / "suite" / "command.py").is_file():
            lacking = f"the benchmarks are neither in this installation nor in {tree}: install gpuad again"
            raise CommandError(lacking) from None
        sys.path.insert(0, str(tree))
        command = importlib.import_module("bench.suite.command")
    status: int = command.main(words)
    return status


# --- demo ----------------------------------------------------------------------------------------


def _demo(asked: str, args: argparse.Namespace) -> int:
    backend, why = gpuad.backend.choose(asked)
    target = None if args.save is None else _writable_target(args.save)

    from gpuad.demo import train

    weights, gradient_agrees = train.run(
        backend,
        why,
        seed=0 if args.seed is None else args.seed,
        epochs=train.EPOCHS if args.epochs is None else args.epochs,
    )
    if target is not None:
        _save(target, weights)
        print(f"saved      {args.save}")
    return 0 if gradient_agrees else 1


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.part")


def _writable_target(name: str) -> Path:
    """Where the weights will go. Fails now, before the training, if they can't."""
    target = Path(name).resolve()  # through links: the link stays, its target is replaced
    if target.exists():
        if not target.is_file():
            raise CommandError(f"--save {name}: exists and is not a file")
        if not os.access(target, os.W_OK):
            raise CommandError(f"--save {name}: the file is write-protected")
    probe = _temporary(target)
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise CommandError(f"--save {name}: {error.strerror}") from None
    return target


def _save(target: Path, weights: dict[str, Any]) -> None:
    """Write the file in full under another name, then rename it: it is never seen half-written."""
    import numpy

    part = _temporary(target)
    try:
        with part.open("xb") as file:
            numpy.savez(file, **weights)
        part.replace(target)
    except OSError as error:
        raise CommandError(f"--save {target}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
