"""The tool for GradBench: its protocol, and the values of all its programs."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import gpuad
import gradbench_by_hand as by_hand
from bench.gradbench import protocol
from command_line import ROOT, environment

# What can't be replayed is called as it is, and jit says so: the answers are the same.
pytestmark = pytest.mark.filterwarnings("ignore:gpuad.jit:RuntimeWarning")

HELLO = protocol.EVALS[0]

CAMERA = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 2, 0.1, 0.2, 0.01, 0.02]
BA = {"n": 2, "m": 3, "p": 12, "cam": CAMERA, "x": [1, 2, 3], "w": 0.5, "feat": [0.3, 0.4]}
GMM = {
    "d": 2, "k": 2, "n": 3, "m": 1, "gamma": 0.5, "x": [[0, 0], [1, 2], [-1, 1]], "alpha": [0.1, -0.2],
    "mu": [[0, 1], [1, 0]], "q": [[0.1, 0.2], [-0.1, 0.3]], "l": [[0.5], [-0.5]],
}  # fmt: skip
LSTM = {
    "main_params": [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]],
    "extra_params": [[1, 2], [0.5, 0.25], [0.1, 0.2]], "state": [[0.1, 0.2], [0.3, 0.4]],
    "sequence": [[1, 0], [0, 1], [1, 1]],
}  # fmt: skip


def ask(module, function, given, **bounds):
    message = {"id": 7, "kind": "evaluate", "module": module, "function": function, "input": given}
    if module != HELLO:
        message["input"] = {"min_runs": 1, "min_seconds": 0, **given, **bounds}
    reply = json.loads(protocol.answer(json.dumps(message)))
    assert reply["id"] == 7
    return reply


@pytest.fixture
def output_of(backend):
    """The tool's answers when it computes on this backend."""

    def output(module, function, **given):
        with gpuad.use(backend.name):
            reply = ask(module, function, given)
        assert reply["success"], reply["error"]
        assert "error" not in reply
        return reply["output"]

    return output


def lists(**arrays):
    return {name: x.tolist() if isinstance(x, np.ndarray) else x for name, x in arrays.items()}


# --- the examples that the benchmark's description gives ------------------------------------------

EXAMPLES = [
    ("llsq", {"x": [0.5, 0.25, -1], "n": 5}, {"primal": 1.765625, "gradient": [0, -2.375, -0.875]}),
    ("lse", {"x": [0, 1, 2]}, {"primal": 2.407606, "gradient": [0.09003057, 0.2447285, 0.6652410]}),
    ("ode", {"x": [0.5, 1, 2], "s": 2}, {"primal": [1, 1, 1.333333], "gradient": [2.666667, 1.333333, 0.6666667]}),
    (
        "kmeans",
        {"points": [[0, 0], [1, 0], [0, 1], [4, 4], [5, 4]], "centroids": [[0, 1], [5, 4]]},
        {"cost": 4, "dir": [[-0.3333333, 0.6666667], [0.5, 0]]},
    ),
    (
        "gmm",
        GMM,
        {
            "objective": -26.86789,
            "jacobian": {
                "alpha": [0.6823909, -0.6823909],
                "mu": [[0.04265079, 0.4247268], [-0.6995722, 0.8125433]],
                "q": [[0.8300925, 0.3756827], [0.9633074, 0.1788302]],
                "l": [[-2.123901], [0.4309942]],
            },
        },
    ),
    (
        "det",
        {"A": [2, 1, 0, 1, 3, 1, 0, 1, 4], "ell": 3},
        {"primal": 18, "gradient": [11, -4, 1, -4, 8, -2, 1, -2, 5]},
    ),
    ("lstm", LSTM, {"objective": 0.9452687}),
    (
        "ba",
        BA,
        {
            "objective": {
                "reproj_error": {"elements": [0.1666574, 0.5006998], "repeated": 12},
                "w_err": {"element": 0.75, "repeated": 12},
            }
        },
    ),
]


def assert_same(got, want):
    """As GradBench compares: the same keys and lengths throughout, and numbers within 1e-6 here."""
    if isinstance(want, dict):
        assert got.keys() == want.keys()
        for name in want:
            assert_same(got[name], want[name])
    else:
        assert np.shape(got) == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("module", "given", "expected"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_the_examples_of_the_description(module, given, expected, output_of):
    if module == "lstm":
        pytest.importorskip("scipy")
    for function, want in expected.items():
        assert_same(output_of(module, function, **given), want)


# --- each program against itself by hand ----------------------------------------------------------


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def assert_close(got, want):
    want = np.asarray(want)
    assert np.shape(got) == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-11 * np.abs(want).max(initial=0))


def test_hello():
    assert ask(HELLO, "square", 3)["output"] == 9
    assert ask(HELLO, "double", 3)["output"] == 6
    assert ask(HELLO, "double", 1.5)["output"] == 3


def test_llsq(output_of, rng):
    x = rng.normal(size=6)
    for n in (2, 7, 10):  # with and without a point at zero
        given = lists(x=x, n=n)
        assert_close(output_of("llsq", "primal", **given), by_hand.llsq(x, n))
        assert_close(output_of("llsq", "gradient", **given), by_hand.complex_step(lambda x, n=n: by_hand.llsq(x, n), x))


def test_lse(output_of, rng):
    x = rng.normal(size=9)
    assert_close(output_of("lse", "primal", **lists(x=x)), by_hand.lse(x))
    assert_close(output_of("lse", "gradient", **lists(x=x)), by_hand.complex_step(by_hand.lse, x))
    assert output_of("lse", "primal", x=[1000.0, 1000.0]) == 1000 + np.log(2)
    assert output_of("lse", "gradient", x=[1000.0, 0.0]) == [1, 0]


def test_ode(output_of, rng):
    for n, s in ((1, 3), (5, 1), (4, 7)):
        x = rng.normal(size=n)
        assert_close(output_of("ode", "primal", **lists(x=x, s=s)), by_hand.ode(x, s))
        last = by_hand.complex_step(lambda x, s=s: by_hand.ode(x, s)[-1], x)
        assert_close(output_of("ode", "gradient", **lists(x=x, s=s)), last)


def test_kmeans(output_of, rng):
    points = rng.random((60, 3))
    centroids = points[-5:] + 0.01 * rng.random((5, 3))
    cost, step = by_hand.kmeans(points, centroids)
    assert_close(output_of("kmeans", "cost", **lists(points=points, centroids=centroids)), cost)
    assert_close(output_of("kmeans", "dir", **lists(points=points, centroids=centroids)), step)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_gmm(output_of, rng, d):
    k, n, m, gamma = 3, 7, 2, 0.8
    x, alpha, mu, q = (rng.normal(size=s) for s in ((n, d), k, (k, d), (k, d)))
    lower = rng.normal(size=(k, d * (d - 1) // 2))
    given = lists(d=d, k=k, n=n, m=m, gamma=gamma, x=x, alpha=alpha, mu=mu, q=q, l=lower)
    parameters = {"alpha": alpha, "mu": mu, "q": q, "l": lower}
    assert_close(output_of("gmm", "objective", **given), by_hand.gmm(*parameters.values(), x, m, gamma))
    gradient = output_of("gmm", "jacobian", **given)
    assert list(gradient) == list(parameters)
    for name in parameters:
        if not parameters[name].size:
            assert gradient[name] == [[]] * k
            continue
        of_one = lambda p, name=name: by_hand.gmm(*(parameters | {name: p}).values(), x, m, gamma)  # noqa: E731
        assert_close(gradient[name], by_hand.complex_step(of_one, parameters[name]))


@pytest.mark.parametrize("ell", [1, 2, 3, 6])
def test_det(output_of, rng, ell):
    a = rng.random((ell, ell))
    given = lists(A=a.ravel(), ell=ell)
    assert_close(output_of("det", "primal", **given), np.linalg.det(a))
    cofactors = np.linalg.det(a) * np.linalg.inv(a).T
    np.testing.assert_allclose(output_of("det", "gradient", **given), cofactors.ravel(), rtol=1e-9)


def test_lstm(output_of, rng):
    pytest.importorskip("scipy")
    layers, width, length = 2, 3, 6
    main, extra, state, sequence = (
        rng.normal(size=s) for s in ((2 * layers, 4 * width), (3, width), (2 * layers, width), (length, width))
    )
    given = lists(main_params=main, extra_params=extra, state=state, sequence=sequence)
    assert_close(output_of("lstm", "objective", **given), by_hand.lstm(main, extra, state, sequence))
    of_main = by_hand.complex_step(lambda p: by_hand.lstm(p, extra, state, sequence), main)
    of_extra = by_hand.complex_step(lambda p: by_hand.lstm(main, p, state, sequence), extra)
    assert_close(output_of("lstm", "jacobian", **given), np.concatenate([of_main.ravel(), of_extra.ravel()]))


@pytest.mark.parametrize("rotation", [[0.1, 0.2, 0.3], [0.0, 0.0, 0.0]], ids=["rotated", "not rotated"])
def test_ba(output_of, rotation):
    given = BA | {"cam": rotation + CAMERA[3:]}
    parameters, feature = np.array([*given["cam"], *given["x"], given["w"]]), np.array(given["feat"])
    errors = output_of("ba", "objective", **given)
    assert_close(errors["reproj_error"]["elements"], by_hand.ba(parameters, feature))
    assert errors["w_err"] == {"element": 0.75, "repeated": 12}

    found = output_of("ba", "jacobian", **given)
    rows = by_hand.complex_step(lambda p: by_hand.ba(p, feature), parameters)
    assert_close(found["vals"], [*rows[0], *rows[1], -1.0])
    assert found["cols"] == 2 * [*range(11), 22, 23, 24, 31] + [42]
    assert found["rows"] == [*range(0, 361, 15), 361, 362, 363, 364, 365, 372]


def test_the_whole_sparse_jacobian_of_ba():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    module = protocol.find("ba")
    arguments = module.read(BA)
    rows, columns, values = module.sparse_jacobian(*arguments)
    matrix = scipy_sparse.csr_array((values, columns, rows), shape=(36, 22 + 9 + 12)).toarray()

    def errors(flat):
        cameras, points, weights = flat[:22].reshape(2, 11), flat[22:31].reshape(3, 3), flat[31:]
        seen = [by_hand.ba(np.concatenate([cameras[i % 2], points[i % 3], weights[i : i + 1]]), np.array(BA["feat"]))
                for i in range(12)]  # fmt: skip
        return np.concatenate([*seen, 1 - weights**2])

    assert_close(matrix, by_hand.complex_step(errors, np.concatenate([x.ravel() for x in arguments[:3]])))


@pytest.fixture
def hand(rng):
    bones, vertices = 22, 12
    return lists(
        bone_count=bones,
        bone_names=[f"bone {i}" for i in range(bones)],
        parents=[-1, 0] + [1 if i % 4 == 2 else i - 1 for i in range(2, bones)],
        base_relatives=rng.normal(size=(bones, 4, 4)) / 2,
        inverse_base_absolutes=rng.normal(size=(bones, 4, 4)) / 2,
        base_positions=rng.normal(size=(vertices, 4)),
        weights=rng.random((vertices, bones)),
        triangles=rng.integers(0, vertices, (9, 3)),
        is_mirrored=False,
    )


@pytest.mark.parametrize("case", ["vertices", "triangles", "mirrored", "not rotated"])
def test_ht(output_of, rng, hand, case):
    n = 5
    theta, points = rng.normal(size=26), rng.normal(size=(n, 3))
    us = None if case == "vertices" else rng.random((n, 2))
    correspondences = rng.integers(0, 9, n)
    hand["is_mirrored"] = case == "mirrored"
    if case == "not rotated":
        theta[:3] = 0.0
    data = {"model": hand, "correspondences": correspondences.tolist(), "points": points.tolist()}
    given = lists(theta=theta, us=[] if us is None else us, data=data)
    assert_close(output_of("ht", "objective", **given), by_hand.ht(theta, us, hand, correspondences, points))

    want = by_hand.complex_step(lambda theta: by_hand.ht(theta, us, hand, correspondences, points), theta)
    if us is not None:
        of_us = by_hand.complex_step(lambda us: by_hand.ht(theta, us, hand, correspondences, points), us)
        own = np.concatenate([of_us[3 * i : 3 * i + 3, i] for i in range(n)])
        want = np.concatenate([own, want], axis=1)
    assert_close(output_of("ht", "jacobian", **given), want)


@pytest.mark.parametrize("function", ["ff", "fr", "rf", "rr"])
def test_saddle(output_of, function):
    start = np.array([0.50002, 0.004])  # a few steps until they are shorter than the benchmark's bound
    want = by_hand.saddle(start)
    assert np.all(want[:2] < start)
    assert_close(output_of("saddle", function, start=start.tolist()), want)


@pytest.mark.parametrize("function", ["fr", "rr"])
def test_particle(function):
    w = 0.2034  # a step or two from where descent gives up
    want = by_hand.particle(w)
    assert w < want < w + 1e-3
    got = ask("particle", function, {"w": w})["output"]
    assert got == pytest.approx(want, rel=1e-12)


# --- the protocol ---------------------------------------------------------------------------------


def test_a_session():
    """The process itself, from the first message to the end of its input."""
    messages = [
        {"id": 0, "kind": "start", "eval": "lse", "config": {"anything": 1}},
        {"id": 1, "kind": "define", "module": "lse"},
        {"id": 2, "kind": "define", "module": "unheard of"},
        {"id": 3, "kind": "evaluate", "module": "lse", "function": "gradient", "description": "two",
         "input": {"x": [0, 0], "min_runs": 3, "min_seconds": 0}},
        {"id": 4, "kind": "analysis", "of": 3, "valid": True},
        {"id": 5, "kind": "a kind that doesn't exist yet"},
        {"id": 6, "kind": "evaluate", "module": "hello", "function": "double", "input": 2},
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "bench.gradbench"],
        input="".join(json.dumps(m) + "\n" for m in messages),
        env=environment({"GPUAD_BACKEND": "numpy"}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    start, define, refused, evaluated, analysis, unknown, hello = replies = list(
        map(json.loads, done.stdout.split("\n")[:-1])
    )
    assert [r["id"] for r in replies] == list(range(7))
    assert start == {"id": 0, "tool": "gpuad"}
    assert define == {"id": 1, "success": True}
    assert refused["success"] is False
    assert "unheard of" in refused["error"]
    assert evaluated["success"], evaluated["error"]
    assert evaluated["output"] == [0.5, 0.5]
    assert [t["name"] for t in evaluated["timings"]] == 3 * ["evaluate"]
    assert all(isinstance(t["nanoseconds"], int) and t["nanoseconds"] > 0 for t in evaluated["timings"])
    assert analysis == {"id": 4}
    assert unknown == {"id": 5}
    assert hello["output"] == 4


def test_every_answer_is_sent_at_once():
    """An eval waits for the answer before it sends the next message."""
    tool = subprocess.Popen(
        [sys.executable, "-m", "bench.gradbench"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment({"GPUAD_BACKEND": "numpy"}),
        cwd=ROOT,
    )
    with tool:
        for i in range(3):
            os.write(tool.stdin.fileno(), json.dumps({"id": i, "kind": "define", "module": "llsq"}).encode() + b"\n")
            assert json.loads(tool.stdout.readline()) == {"id": i, "success": True}
        tool.stdin.close()
        assert tool.wait(timeout=60) == 0


def test_bytes_that_are_no_text_are_answered_and_a_reader_that_leaves_ends_the_tool():
    tool = subprocess.Popen(
        [sys.executable, "-m", "bench.gradbench"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment({"GPUAD_BACKEND": "numpy"}), cwd=ROOT,
    )  # fmt: skip
    with tool:
        os.write(tool.stdin.fileno(), b"\xff\xfe\n")
        assert json.loads(tool.stdout.readline())["success"] is False
        tool.stdout.close()
        os.write(tool.stdin.fileno(), b'{"id": 1, "kind": "start"}\n')
        assert tool.stderr.read() == b""
        assert tool.wait(timeout=60) == 141


def test_runs_go_on_until_they_are_as_many_and_as_long_as_asked():
    assert len(ask("lse", "primal", {"x": [1.0]}, min_runs=4)["timings"]) == 4
    assert len(ask("lse", "primal", {"x": [1.0]}, min_runs=0)["timings"]) == 1
    timings = ask("lse", "primal", {"x": [1.0]}, min_runs=2, min_seconds=0.01)["timings"]
    assert len(timings) > 2
    assert sum(t["nanoseconds"] for t in timings) >= 10**7
    assert sum(t["nanoseconds"] for t in timings[:-1]) < 10**7


@pytest.mark.parametrize(
    ("module", "function", "given", "named"),
    [
        ("unheard of", "primal", {}, "unheard of"),
        ("protocol", "primal", {}, "protocol"),  # a module of ours, but no eval
        ("descent", "primal", {}, "descent"),
        ("llsq", "jacobian", {"x": [1.0], "n": 3}, "primal, gradient"),
        ("llsq", "gradient", {"x": [1.0]}, "'n'"),
        ("lse", "gradient", {"x": ["a"]}, "'a'"),
        ("det", "primal", {"A": [1, 2, 3], "ell": 2}, "reshape"),
        ("lse", "primal", {"x": [float("nan")]}, "JSON"),
        ("lse", "primal", {"x": []}, ""),
        ("hello", "double", "two", "two"),
    ],
)
def test_what_cannot_be_done_is_answered(module, function, given, named):
    reply = ask(module, function, given)
    assert reply.keys() == {"id", "success", "error"}
    assert reply["success"] is False
    assert named in reply["error"]


@pytest.mark.parametrize("line", ["", "no JSON", "[]", "{}", '{"id": 3}', '{"id": 3, "kind": "evaluate"}'])
def test_lines_that_are_no_messages_are_answered(line):
    reply = json.loads(protocol.answer(line))
    assert reply["success"] is False
    assert reply["error"]


def test_every_eval_is_there():
    for name in protocol.EVALS:
        if name != "lstm":  # whose functions need SciPy
            assert json.loads(protocol.answer(json.dumps({"id": 1, "kind": "define", "module": name})))["success"]
