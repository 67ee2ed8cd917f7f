"""GradBench's protocol: a message in, an answer out; what fails is answered, too."""

import importlib
import json
import time
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

import gpuad

EVALS = "hello llsq lse ode kmeans gmm det lstm ba ht saddle particle".split()


def serve(messages: TextIO, answers: TextIO) -> None:
    """Answer every line of ``messages`` by one of ``answers``, at once."""
    for line in messages:
        answers.write(answer(line) + "\n")
        answers.flush()


def answer(line: str) -> str:
    """The answer to a line. Whatever goes wrong is part of it, so that the next message can be answered."""
    reply: dict[str, Any] = {"id": None}
    try:
        message = json.loads(line)
        reply["id"] = message["id"]
        kind = message["kind"]
        if kind == "start":
            reply["tool"] = "gpuad"
        elif kind == "define":
            find(message["module"])
            reply["success"] = True
        elif kind == "evaluate":
            output, timings = evaluate(message["module"], message["function"], message["input"])
            reply |= {"success": True, "output": output, "timings": timings}
        return json.dumps(reply, allow_nan=False)  # of other kinds only the arrival is confirmed
    except Exception as error:
        return json.dumps({"id": reply["id"], "success": False, "error": f"{type(error).__name__}: {error}"})


def find(name: str) -> Any:
    """The module of an eval."""
    if name not in EVALS:
        raise LookupError(f"no eval is called {name!r}; there are {', '.join(EVALS)}")
    return importlib.import_module(f"{__package__}.evals.{name}")


def evaluate(name: str, function: str, given: Any) -> tuple[Any, list[dict[str, Any]]]:
    """What a function of an eval gives for an input, in lists, and how long each of its runs took."""
    module = find(name)
    if function not in module.FUNCTIONS:
        raise LookupError(f"{name} has no function called {function!r}; there are {', '.join(module.FUNCTIONS)}")
    f, args = module.FUNCTIONS[function], module.read(given)
    bounds = given if isinstance(given, dict) else {}
    result, nanoseconds = run(lambda: f(*args), bounds.get("min_runs", 1), bounds.get("min_seconds", 0.0))
    output = lists(module.write(result) if hasattr(module, "write") else result)
    return output, [{"name": "evaluate", "nanoseconds": ns} for ns in nanoseconds]


def run(call: Callable[[], Any], min_runs: int, min_seconds: float) -> tuple[Any, list[int]]:
    """The result of the last run, and the time of each: as many as are asked for, and one at least."""
    nanoseconds: list[int] = []
    while len(nanoseconds) < max(min_runs, 1) or sum(nanoseconds) < 1e9 * min_seconds:
        start = time.perf_counter_ns()
        result = call()
        gpuad.backend.current().synchronize()
        nanoseconds.append(time.perf_counter_ns() - start)
    return result, nanoseconds


def lists(result: Any) -> Any:
    """Arrays as lists, and dicts of arrays as dicts of lists."""
    if isinstance(result, dict):
        return {name: lists(part) for name, part in result.items()}
    return np.asarray(gpuad.to_numpy(result)).tolist()
