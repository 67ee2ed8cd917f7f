"""The benchmark suite: nothing wrong is timed, noise is told from news, what was measured is kept. No times in here."""

from __future__ import annotations

import copy
import html.parser
import io
import json
import os
import re
import signal
import subprocess
import time

import numpy as np
import pytest

import gpuad
from bench import peer_goals, results_page
from bench.suite import agreement, command, compare, counting, machine, results, session, timing
from bench.suite.adapters import Adapter, ByHand, Gpuad
from bench.suite.peers import contestants
from bench.suite.report import page, write_figures
from bench.suite.workload import Case, Workload, repeat
from bench.suite.workloads import ALL, GROUPS
from command_line import COMMAND, environment, run_gpuad

PLAN = timing.Plan(rounds=4, turn=0.0, most=1.0)


def program(np, x, y):
    return np.sum(np.sin(x) * y * y)


def by_hand(np, x, y):
    return np.sum(np.sin(x) * y * y), np.cos(x) * y * y, 2 * np.sin(x) * y


SMALL = Workload(
    "overhead", "tiny network", program, lambda rng, n: rng.normal(size=(2, n)), ({"n": 7},), ({"n": 7},),
    differentiated=2, by_hand=by_hand,
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def any_machine():
    """Nobody wants to know in here what this machine has and how fast it is."""
    with pytest.MonkeyPatch.context() as patch:
        roof = {"copy_bytes_per_s": 1e10, "product_float32_flops_per_s": 2e10, "product_float64_flops_per_s": 1e10}
        patch.setattr(machine, "ceilings", lambda *a: roof)
        patch.setattr(machine, "_commit", lambda: None)
        patch.setattr(machine, "_gpu", lambda: None)
        yield


class Wrong(Adapter):
    """A peer that computes ``spoil(value, g_x, g_y)``."""

    name = "autograd"

    def __init__(self, spoil):
        self.spoil = spoil
        self.calls = 0

    def prepare(self, case):
        def call(*inputs):
            self.calls += 1
            return self.spoil(*by_hand(np, *inputs))

        return call


def nudged(g):
    g = g.copy()
    g[3] *= 1.001
    return g


SPOILED = {
    "the sign": lambda f, x, y: (f, -x, y),
    "a factor": lambda f, x, y: (f, x, 1.01 * y),
    "one entry": lambda f, x, y: (f, nudged(x), y),
    "the order": lambda f, x, y: (f, y, x),
    "the value": lambda f, x, y: (f + 1, x, y),
    "nan": lambda f, x, y: (f, x, y * np.nan),
    "the shape": lambda f, x, y: (f, x[None], y),
    "one missing": lambda f, x, y: (f, x),
    "zeros": lambda f, x, y: (f, 0 * x, 0 * y),
}


def run(adapters, cases=None, **options):
    measured = session.Session(adapters, PLAN, **options)
    return measured.run(SMALL.cases(False) if cases is None else cases)


# --- agreement -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_a_wrong_gradient_is_refused_by_name_and_not_timed(spoil, first):
    wrong = Wrong(spoil)
    others = [Gpuad(), ByHand()]
    document = run([wrong, *others] if first else [*others, wrong])
    (case,) = document["cases"]
    refused = case["contestants"]["autograd"]
    assert refused["status"] == "refused"
    assert refused["why"].startswith(("its ", "it "))
    assert "seconds" not in refused
    assert wrong.calls == 1  # to be judged
    assert {label for label, c in case["contestants"].items() if c["status"] == "timed"} == {"gpuad", "by hand"}
    assert results.refused(document) == [(case["name"], "autograd", f"refused: {refused['why']}")]


@pytest.mark.parametrize(
    ("dtype", "spoil", "why"),
    [
        ("float32", lambda f, x, y: (f, x, y.astype("float64")), "its gradient in input 1 is of float64, not float32"),
        ("float64", lambda f, x, y: (f, x, y.astype("float32")), "its gradient in input 1 is of float32, not float64"),
        ("float32", lambda f, x, y: (f, x * np.float32(1.001), y), "its gradient in input 0 is off by"),
    ],
)
def test_another_precision_is_refused(dtype, spoil, why):
    case = Case(SMALL, {"n": 7, "dtype": dtype})
    inputs = [x.astype(dtype) for x in SMALL.inputs(np.random.default_rng(0), 7)]
    right = [np.asarray(r) for r in by_hand(np, *inputs)]
    wrong = agreement.judge(case, inputs, {"right": right, "peer": [np.asarray(r) for r in spoil(*right)]})
    assert set(wrong) == {"peer"}
    assert wrong["peer"].startswith(why)


def test_gpuad_itself_is_refused_when_it_is_wrong(monkeypatch):
    right = gpuad.value_and_grad
    monkeypatch.setattr(gpuad, "value_and_grad", lambda f, n: lambda *a: (right(f, n)(*a)[0], (a[0], a[1])))
    (case,) = run([Gpuad(), ByHand()])["cases"]
    assert case["contestants"]["gpuad"]["status"] == "refused"
    assert case["contestants"]["by hand"]["status"] == "timed"


def test_what_breaks_is_reported_and_does_not_stop_the_others():
    def broken(*results):
        raise FloatingPointError("spilled coffee")

    (case,) = run([Wrong(broken), Gpuad()])["cases"]
    assert case["contestants"]["autograd"] == {"status": "failed", "why": "FloatingPointError: spilled coffee"}
    assert case["contestants"]["gpuad"]["status"] == "timed"


QUICK = [case for workload in ALL for case in workload.cases(True) if case.workload.group not in ("scaling", "memory")]


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_gpuad_and_what_was_written_by_hand_pass_the_judge(case):
    """Each by itself: not one against the other."""
    inputs = case.inputs(seed=1)
    referee = agreement.Referee(case, inputs)
    for adapter in [Gpuad()] + [ByHand()] * (case.workload.by_hand is not None):
        assert referee.objection(adapter.to_host(adapter.prepare(case)(*inputs))) is None, adapter.label


def test_the_suite_has_what_it_should():
    assert {w.group for w in ALL} == set(GROUPS)
    names = [case.name for w in ALL for case in w.cases(False)]
    assert len(set(names)) == len(names)
    assert {a.name for a in contestants()} >= {"gpuad", "gpuad unfused", "gpuad jit", "by hand", "autograd", "torch"}


def test_repeat_is_a_loop_unless_the_namespace_has_one():
    assert repeat(np, lambda t, a, b: (a + t, b * 2), (0, 1), 4) == (6, 16)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX signals")
def test_a_first_call_that_takes_too_long_is_left_out():
    (case,) = run([Wrong(lambda *right: time.sleep(60)), Gpuad()], limit=0.05)["cases"]
    assert case["contestants"]["autograd"]["status"] == "not offered"
    assert "more than 0.05 s" in case["contestants"]["autograd"]["why"]
    assert case["contestants"]["gpuad"]["status"] == "timed"


def test_a_first_call_in_time_is_timed():
    (case,) = run([Wrong(lambda *right: right), Gpuad()], limit=60.0)["cases"]
    assert case["contestants"]["autograd"]["status"] == "timed"
    if hasattr(signal, "setitimer"):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


# --- the goals beside peers ----------------------------------------------------------------------


@pytest.mark.parametrize("group", peer_goals.GROUPS)
def test_goals_are_stated_for_cases_that_exist(group):
    assert set(peer_goals.GROUPS[group].cases) <= set(peer_goals.CASES)
    assert set(peer_goals.PEERS) <= {a.name for a in contestants()}


def test_rows_are_chosen_by_letters_of_their_names():
    assert len(peer_goals.chosen("jit", "lstm")) == 2
    assert peer_goals.chosen("jit") == peer_goals.GROUPS["jit"].cases
    assert peer_goals.chosen("fused", "abacus") == []


@pytest.mark.parametrize(("factor", "ok"), [(0.5, True), (1.1, True), (1.3, False)])
def test_a_goal_is_judged_by_the_ratio_to_the_best_peer(document, monkeypatch, factor, ok):
    changed = slowed(document, {"gpuad": factor, "autograd": 1.0, "by hand": 0.1})
    (case,) = changed["cases"]
    group = peer_goals.Group(Gpuad, {case["name"]: 0.8}, allowed=1.5)
    monkeypatch.setitem(peer_goals.GROUPS, "here", group)
    monkeypatch.setattr(peer_goals, "_measured", lambda name, cases: changed["cases"])
    result, mean = peer_goals.run("here")
    (check,) = result.checks
    assert (check.ok, check.goal) == (ok, "<= 1.2 (0.8)")
    assert check.measured == pytest.approx(factor)
    assert mean.figures["geometric mean"] == pytest.approx(factor)


def test_a_goal_is_missed_by_who_is_wrong(monkeypatch):
    wrong = run([Wrong(SPOILED["the sign"])])
    (case,) = wrong["cases"]
    group = peer_goals.Group(Wrong, {case["name"]: 0.8}, first_call=1.0)
    monkeypatch.setitem(peer_goals.GROUPS, "here", group)
    monkeypatch.setattr(peer_goals, "_measured", lambda name, cases: wrong["cases"])
    (result,) = peer_goals.run("here")
    assert [check.ok for check in result.checks] == [False]
    assert any("refused" in remark for remark in result.remarks)


# --- what is counted -----------------------------------------------------------------------------


def test_work_is_counted():
    x, w = np.ones((32, 100)), np.ones((100, 10))
    counted = counting.work(gpuad.value_and_grad(lambda w: np.sum((x @ w) ** 2)), [w])
    assert counted["multiply_adds"] == 2 * 32 * 100 * 10
    assert counted["by_operation"]["matmul"] == 2
    assert counted["operations"] == sum(counted["by_operation"].values())
    assert counted["bytes_unfused"] > 2 * (x.nbytes + w.nbytes)
    assert counted["flops"] >= 2 * counted["multiply_adds"]


# --- the file ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document():
    return run([Gpuad(), ByHand(), Wrong(lambda *right: right)])


def test_a_file_of_results_is_complete(document, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(results.as_json(document))
    read = results.load(path)
    assert read == json.loads(json.dumps(document))
    about = read["run"]
    assert about["versions"]["gpuad"] == gpuad.__version__
    assert {"date", "machine", "commit", "threads", "quick"} <= about.keys()
    assert read["finished"]
    gpuad_ = read["cases"][0]["contestants"]["gpuad"]
    assert gpuad_["peak_bytes"] > 0
    assert 0 < gpuad_["seconds"]["min"] <= gpuad_["seconds"]["median"]
    assert len(gpuad_["seconds"]["samples"]) == 4
    assert os.uname().nodename not in path.read_text() or len(os.uname().nodename) < 4


def test_an_interrupt_keeps_what_was_measured(tmp_path):
    def interrupted(*right):
        if wrong.calls > 1:
            raise KeyboardInterrupt
        return right

    wrong = Wrong(interrupted)
    other = Workload("overhead", "100 tiny operations", program, SMALL.inputs, ({"n": 10},), differentiated=2)
    cases = [*other.cases(False), *SMALL.cases(False)]
    kept = run([Gpuad()], cases[:1])["cases"][0]["name"]
    target = tmp_path / "kept.json"

    class Second(Gpuad):
        def prepare(self, case):
            if case.workload.name == "tiny network":
                raise KeyboardInterrupt
            return super().prepare(case)

    run([Second()], cases, target=target)
    read = results.load(target)
    assert (read["interrupted"], read["finished"], [c["name"] for c in read["cases"]]) == (True, False, [kept])
    assert os.listdir(tmp_path) == ["kept.json"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_a_bar_with_what_runs_and_how_long_is_left(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    progress = session.Progress(4, None, Terminal())
    progress.begin("first")
    progress.done, progress.start = 3, progress.start - 90.0
    progress.begin("a workload of a name that is too long for a line")
    first, last = progress.stream.getvalue().split("\r\x1b[2K")[1:]
    assert first == "." * 20 + " [1/4] first preparing"
    assert last == ("#" * 15 + "." * 5 + " [4/4, 0:30 left] a workload of a name that is too long")[:59]


def test_a_run_whose_time_is_up_says_what_it_left_out():
    document = run([Gpuad()], budget=0.0)
    assert (document["cases"], document["left_out"], document["finished"]) == ([], [SMALL.cases(False)[0].name], False)


@pytest.mark.parametrize("text", ["[]", "{", '{"schema": "gpuad-bench/0"}', '{"schema": "gpuad-bench/1", "run": {}}'])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(results.BadResults, match=r"x\.json"):
        results.load(path)


# --- noise, and regressions ----------------------------------------------------------------------


def slowed(document, factors, halves=0.0):
    """The same with times of some contestants multiplied."""
    changed = copy.deepcopy(document)
    for case in changed["cases"]:
        for label, c in case["contestants"].items():
            c["seconds"] |= {"median": factors.get(label, 1.0) * 1e-3, "min": 1e-3, "spread": 0.0, "halves": halves}
    return changed


EVERYONE = ("gpuad", "by hand", "autograd")


@pytest.mark.parametrize(
    ("factors", "halves", "status"),
    [
        ({}, 0.0, 0),
        ({"gpuad": 1.05}, 0.0, 0),  # within the tolerance
        ({"gpuad": 1.5}, 0.0, 1),
        ({"gpuad": 1.5}, 0.4, 0),  # within the noise
        ({"gpuad": 0.5}, 0.0, 0),
        (dict.fromkeys(EVERYONE, 2.0), 0.0, 0),  # the machine
        (dict.fromkeys(EVERYONE, 2.0) | {"gpuad": 3.0}, 0.0, 1),
        ({"by hand": 0.5, "autograd": 0.5}, 0.0, 1),  # a faster machine, of which gpuad made nothing
    ],
)
def test_a_regression_is_what_noise_and_the_machine_do_not_explain(document, factors, halves, status):
    before, after = slowed(document, {}, halves), slowed(document, factors, halves)
    assert compare.compare(before, after, 0.1) == status


def test_more_work_or_memory_is_a_regression_whatever_the_time(document, capsys):
    before = slowed(document, {})
    for change in ({"operations": 10**6}, {"multiply_adds": 10**9}):
        after = copy.deepcopy(before)
        after["cases"][0] |= change
        assert compare.compare(before, after, 0.1) == 1
    after = copy.deepcopy(before)
    after["cases"][0]["contestants"]["gpuad"]["peak_bytes"] *= 1000
    assert compare.compare(before, after, 0.1) == 1
    assert "MORE" in capsys.readouterr().out
    assert compare.compare(before, {**before, "cases": []}, 0.1) == 2


def test_a_ratio_within_the_noise_is_marked(document):
    (case,) = slowed(document, {"gpuad": 1.2}, halves=0.3)["cases"]
    (ratio,) = results.ratios(case)
    assert (ratio.ours, ratio.other, ratio.clear) == ("gpuad", "autograd", False)
    (case,) = slowed(document, {"gpuad": 1.2}, halves=0.01)["cases"]
    assert results.ratios(case)[0].clear


def test_spread_is_that_of_the_median():
    rng = np.random.default_rng(0)
    medians = [np.median(1 + 0.1 * rng.normal(size=25)) for _ in range(4000)]
    stated = np.mean([timing.spread(list(1 + 0.1 * rng.normal(size=25))) for _ in range(400)])
    assert stated == pytest.approx(np.std(medians), rel=0.15)


# --- the report ----------------------------------------------------------------------------------


class Reader(html.parser.HTMLParser):
    """Fails on tags that aren't closed in order; collects addresses and text."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.text = [], [], ""

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names), (tag, names)
        self.addresses += [v for k, v in attributes if k in ("src", "href")]
        assert tag not in ("script", "link", "img")
        if tag not in ("meta", "br", "p", "li"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("p", "li"):
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_data(self, data):
        self.text += data


def test_the_report_is_one_page_that_needs_nothing_else(document):
    wrong = run([Wrong(SPOILED["the sign"]), Gpuad()])
    wrong["cases"][0]["contestants"]["gpuad"]["why"] = "unused"
    wrong["left_out"] = ["<chains & more>"]
    reader = Reader()
    reader.feed(page([("quiet", document), ("wrong<1>", wrong)]))
    assert reader.open == []
    assert reader.addresses == ["#quiet", "#wrong<1>"]
    for words in ("tiny network", "by hand", "autograd", "Not timed", "nothing here was measured on one", "noise"):
        assert words in reader.text


def test_an_emulated_device_has_counts_and_no_times(document):
    emulated = copy.deepcopy(document)
    emulated["run"]["emulated"] = True
    reader = Reader()
    reader.feed(page([("emulated", emulated)]))
    assert "times mean nothing" in reader.text
    assert "Work" in reader.text
    assert not any(words in reader.text for words in ("First calls", "Roofline", "share of a copy", "÷ best peer"))


def test_pictures_are_written_as_files(document, tmp_path):
    paths = write_figures([("a", document)], tmp_path)
    vectors = [p for p in paths if p.suffix == ".svg"]
    assert {p.name for p in vectors} >= {"a-ratios-cpu-overhead.svg", "a-roofline-cpu.svg"}
    import xml.etree.ElementTree as tree

    for path in vectors:
        assert tree.parse(path).getroot().tag.endswith("svg")


def test_the_page_of_docs_has_what_the_file_has(document, tmp_path):
    path = tmp_path / "here.json"
    slow = slowed(document, {"gpuad": 2.0, "autograd": 1.5})
    path.write_text(results.as_json(slow))
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "old.svg").touch()
    text = results_page.write(path, tmp_path).read_text()
    assert "| tiny network, n 7 | 2 ms |  | 1 ms | 1.5 ms | autograd | 1.33 |  |" in text.replace("\u00a0", " ")
    assert "| **gpuad** | 2.00 (1) | 1.33 (1) | 1.33 (1) |" in text
    assert "**nothing was measured on a GPU**" in text
    pictures = set(re.findall(r"\]\(benchmarks/(.*?)\)", text))
    assert "ratios-cpu-overhead.svg" in pictures
    assert pictures == {p.name for p in (tmp_path / "benchmarks").iterdir()}


# --- the command ---------------------------------------------------------------------------------


def test_the_command_measures_reports_and_compares(tmp_path, monkeypatch):
    out, page_ = str(tmp_path / "a.json"), str(tmp_path / "r.html")
    done = run_gpuad("bench", "--quick", "tiny network", "--peers", "by hand", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "overhead/tiny network [batch 32]" in done.stdout
    assert "[1/1" in done.stderr
    (case,) = results.load(out)["cases"]
    assert case["contestants"]["gpuad"]["clock"] == "processor time"
    assert run_gpuad("bench", "report", out, "-o", page_).returncode == 0
    assert command.main(["compare", out, out]) == 0
    monkeypatch.setenv("GPUAD_BENCH_THREADS", "1")
    with pytest.raises(SystemExit, match="2"):  # the file exists
        command.main(["--quick", "-o", out])


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["abacus"], 2, "no workload has 'abacus' in its name"),
        (["--peers", "abacus"], 2, "nobody is called abacus"),
        (["--threads", "0"], 2, "at least 1"),
        (["--budget", "-5"], 2, "-5 is not a positive number"),
        (["--budget", "soon"], 2, "invalid _positive value: 'soon'"),
        (["compare", "a", "b", "--tolerance", "nan"], 2, "nan is not a positive number"),
        (["report", "missing.json"], 1, "missing.json: No such file"),
    ],
)
def test_wrong_usage(words, status, message, capsys, monkeypatch):
    monkeypatch.setenv("GPUAD_BENCH_THREADS", "1")
    try:
        assert command.main(words) == status
    except SystemExit as stop:
        assert stop.code == status
    assert message in capsys.readouterr().err


def test_bench_comes_first():
    done = run_gpuad("--backend", "numpy", "bench")
    assert (done.returncode, "bench comes first" in done.stderr) == (2, True)


def test_list(capsys):
    assert command.main(["list", "chains", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "Black-Scholes" in out
    assert "gpuad unfused" in out
    assert "matmul" not in out


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_control_c(tmp_path):
    target = tmp_path / "a.json"
    words = ["bench", "--quick", "overhead", "--peers", "by hand", "-o", str(target)]
    process = subprocess.Popen(
        [*COMMAND, *words], env=environment(), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    for line in process.stderr:
        if b"[3/" in line:
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in error
    assert b"interrupted; the 2 cases until then are kept" in out
    read = results.load(target)
    assert (read["interrupted"], len(read["cases"])) == (True, 2)
