"""What a program costs line by line, forward and backward: whom an operation is put down to."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

import gpuad
import gpuad.numpy as gnp
from command_line import ROOT, environment
from gpuad import checkpoint, cost, custom_vjp, grad, hvp, jacfwd, jacrev, jvp, value_and_grad, vjp, vmap

W = np.linspace(-1.0, 1.0, 12).reshape(3, 4)
X = np.linspace(0.0, 1.0, 6).reshape(2, 3)


def program(w, x):
    h = x @ w  # the product
    y = np.tanh(h)  # the activation
    return np.sum(y * y)  # the loss


def by_text(counted):
    """The cost of each line by what its comment says."""
    return {line.text.rpartition("# ")[2]: of_line for line, of_line in counted.by_line.items()}


def test_lines_of_a_forward_pass():
    lines = by_text(cost(program)(W, X))
    assert list(lines) == ["the product", "the activation", "the loss"]
    product, activation, loss = lines.values()
    assert product.by_primitive == {"matmul": 24}
    assert activation.bytes_by_primitive == {"tanh": 2 * 64}
    assert loss.bytes_by_primitive == {"multiply": 2 * 64, "sum": 64 + 8}
    assert not any(line.backward.calls for line in lines.values())


@pytest.mark.parametrize(
    "derivative",
    [grad(program), value_and_grad(program), lambda w, x: vjp(program, w, x)[1](1.0)],
    ids=["grad", "value_and_grad", "vjp"],
)
def test_a_backward_pass_is_put_down_to_the_lines_of_the_program(derivative):
    counted = cost(derivative)(W, X)
    lines = by_text(counted)
    assert {"the product", "the activation", "the loss"} == set(lines)
    assert lines["the product"].forward.by_primitive == {"matmul": 24}
    assert set(lines["the product"].backward.by_primitive) == {"matmul"}
    assert set(lines["the activation"].backward.bytes_by_primitive) == {"multiply", "subtract"}
    assert "spread" in lines["the loss"].backward.bytes_by_primitive
    for of in (lambda c: c.multiply_adds, lambda c: c.bytes, lambda c: c.calls):
        assert of(counted) == of(counted.forward) + of(counted.backward) == sum(map(of, lines.values()))
    assert by_text(counted.forward).keys() == lines.keys()
    assert {n: lines[n].forward.bytes for n in lines} == {n: c.bytes for n, c in by_text(cost(program)(W, X)).items()}


def test_where_a_function_is_called_from_does_not_matter():
    def layer(w, x):
        return np.tanh(x @ w)  # the layer

    def two_layers(v, w, x):
        return np.sum(layer(w, layer(v, x)))  # the sum

    lines = by_text(cost(grad(two_layers, (0, 1)))(W, np.ones((4, 5)), X))
    assert lines["the layer"].forward.by_primitive == {"matmul": 2 * 3 * 4 + 2 * 4 * 5}
    assert lines["the layer"].backward.by_primitive == {"matmul": 2 * 3 * 4 + 2 * 2 * 4 * 5}
    assert lines["the layer"].forward.parts and not lines["the sum"].multiply_adds
    assert {line.function for line in cost(two_layers)(W, np.ones((4, 5)), X).by_line} == {"layer", "two_layers"}


def test_second_derivatives_belong_to_the_lines_they_come_from():
    once = by_text(cost(grad(program))(W, X))
    twice = by_text(cost(lambda w, x, v: hvp(program)(w, x, v))(W, X, W))
    nested = by_text(cost(grad(lambda w, x: np.sum(grad(program)(w, x) * W)))(W, X))
    for lines in (twice, nested):
        assert lines["the product"].multiply_adds == 2 * once["the product"].multiply_adds
        assert {name for name, of_line in lines.items() if of_line.multiply_adds} == {"the product"}
        assert lines["the activation"].bytes > once["the activation"].bytes


def test_forward_mode_goes_forward():
    def spectrum(w):
        m = w @ w.T  # a product
        return np.linalg.inv(m + np.eye(3))  # its inverse

    counted = cost(lambda w: jvp(spectrum, (w,), (w,)))(W)
    assert not counted.backward.calls
    lines = by_text(counted)
    assert lines["a product"].by_primitive == {"matmul": 3 * 36}
    assert lines["its inverse"].calls > 2


def test_what_is_added_up_at_the_end_belongs_to_who_asked():
    def first_and_last(w):
        z = np.sum(w * w)  # squares
        return z + w[0, 0] * w[2, 3]  # entries

    def ask(w):
        return grad(first_and_last)(w)  # the question

    lines = by_text(cost(ask)(W))
    assert list(lines) == ["squares", "entries", "the question"] or list(lines) == ["squares", "entries"]
    assert not lines["entries"].multiply_adds


def test_entries_that_wait_until_the_end():
    def entries(w):
        return w[0, 0] * w[2, 3]  # entries

    def ask(w):
        return grad(entries)(w)  # the question

    lines = by_text(cost(ask)(W))
    assert list(lines) == ["entries", "the question"]
    assert lines["the question"].backward.bytes_by_primitive == {"scatter_add": 8 + 8 + W.nbytes}


def test_what_is_computed_again_is_part_of_the_way_back():
    @checkpoint
    def block(w, x):
        return np.tanh(x @ w)  # the block

    def total(w, x):
        return np.sum(block(w, x) ** 2)

    lines = by_text(cost(grad(total))(W, X))
    assert lines["the block"].forward.by_primitive == {"matmul": 24}
    assert lines["the block"].backward.by_primitive == {"matmul": 24 + 24}  # again, and backward


def test_rules_of_ones_own_are_lines_of_the_program():
    @custom_vjp
    def double(x):
        return x + x

    def forwards(x):
        return x + x, None  # there

    def backwards(_, g):
        return (g * 2.0,)  # and back

    double.defvjp(forwards, backwards)
    lines = by_text(cost(grad(lambda x: np.sum(double(x) ** 2)))(np.ones(4)))
    assert lines["there"].forward.bytes_by_primitive == {"add": 64}
    assert lines["and back"].backward.bytes_by_primitive == {"multiply": 64}
    # Where nothing is differentiated it is one operation.
    assert cost(lambda x: double(x))(np.ones(4)).bytes_by_primitive == {"double": 64}


def test_of_many_examples():
    def one(w, x):
        return np.sum(np.tanh(x @ w))  # of one

    lines = by_text(cost(vmap(grad(one), (None, 0)))(W, X))
    assert lines["of one"].forward.multiply_adds == lines["of one"].backward.multiply_adds == 24


def test_rows_and_columns_of_a_jacobian():
    def layer(w):
        return np.tanh(X @ w)  # the layer

    by_rows, by_columns = (by_text(cost(j(layer))(W))["the layer"] for j in (jacrev, jacfwd))
    assert by_rows.forward.multiply_adds == 24
    assert by_rows.backward.multiply_adds == 8 * 24
    assert by_columns.forward.multiply_adds == 24 + 12 * 24
    assert by_columns.backward.calls == 0


def test_counting_within_counting_keeps_both_apart():
    inner = []

    def f(w, x):
        inner.append(cost(grad(program))(w, x))
        return np.sum(w)  # only this

    outer = by_text(cost(f)(W, X))
    alone = cost(grad(program))(W, X)
    assert inner[0].parts == alone.parts
    assert {name: c.bytes for name, c in outer.items()} == {name: c.bytes for name, c in by_text(alone).items()} | {
        "only this": W.nbytes + 8
    }


def test_functions_of_numpys_belong_to_the_line_that_calls():
    counted = cost(np.matmul)(X, W)  # here
    assert by_text(counted)["here"].multiply_adds == 24
    ((line, _),) = counted.by_line.items()
    assert (line.file, line.function) == (__file__, sys._getframe().f_code.co_name)


def test_writes_are_counted_and_change_nothing_else():
    def f(x):
        z = gnp.zeros(3)
        for i in range(3):
            z[i] = x[i] ** 2  # in
        z[1:] *= x[0]  # over
        return np.sum(z)

    x = np.arange(1.0, 4.0)
    gradients = []
    counted = cost(lambda x: gradients.append(gpuad.stop_gradient(grad(f)(x))))(x)
    np.testing.assert_allclose(gradients[0], grad(f)(x))
    np.testing.assert_allclose(gradients[0], [2 + 4 + 9, 4, 6])
    lines = by_text(counted)
    assert lines["in"].forward.bytes_by_primitive["write"] == 3 * 16
    assert lines["over"].forward.bytes_by_primitive["write"] == 2 * 16


@pytest.mark.parametrize("size", [5, 300_000])
def test_gradients_are_the_same_while_they_are_counted(size, backend):
    def f(x):
        x[1:3] = x[:2] * 2.0
        y = gnp.where(x > 0, gnp.exp(-x) * x, 0.5 * x)
        return gnp.sum(y[::2] ** 2) + y[0] * gnp.sum(gnp.stack([y, x]).T @ gnp.ones(2, "float64"))

    x = backend.asarray(np.linspace(-1.0, 2.0, size))
    want = backend.to_numpy(grad(f)(x))
    got = []
    with gpuad.use(backend.name):
        counted = cost(lambda x: got.append(gpuad.stop_gradient(grad(f)(x))))(x)
    found = got[0]
    np.testing.assert_allclose(backend.to_numpy(found), want, rtol=1e-12, atol=1e-12)
    assert counted.backward.bytes > counted.forward.bytes > 0


# --- the table ------------------------------------------------------------------------------------


def numbers(row):
    return [int(cell.replace(",", "")) for cell in row.split() if cell.replace(",", "").isdigit()]


def test_the_table():
    counted = cost(grad(program))(W, X)
    head, units, *rows, total = str(counted).splitlines()
    assert head.split() == ["forward", "backward"]
    assert units.split() == ["multiply-adds", "bytes"] * 2
    assert max(map(len, (head, units, *rows, total))) <= 120
    headings = [row for row in rows if not row.startswith(" ")]
    assert [row.partition(" ")[2].partition("#")[0].strip() for row in headings] == [
        "h = x @ w",
        "y = np.tanh(h)",
        "return np.sum(y * y)",
    ]
    assert all(row.startswith("test_cost_lines.py:") for row in headings)
    f, b = counted.forward, counted.backward
    assert numbers(total) == [f.multiply_adds, f.bytes, b.multiply_adds, b.bytes]
    (matmul,) = (row for row in rows if row.split()[0] == "matmul")
    assert numbers(matmul) == [24, 48 + 96 + 64, 24, f.by_line and b.bytes_by_primitive["matmul"]]
    assert repr(counted) == f"<Cost: 48 multiply-adds, {counted.bytes:,} bytes, {counted.calls} calls>"


def test_the_table_of_nothing():
    counted = cost(lambda: None)()
    assert (counted.multiply_adds, counted.bytes, counted.calls, counted.by_line) == (0, 0, 0, {})
    assert str(counted).splitlines()[-1].split() == ["in", "all", "0", "0", "0", "0"]


def test_a_program_without_a_file():
    names = {"np": np}
    exec(compile("def f(x):\n    return np.sin(x)\n", "<typed in>", "exec"), names)
    counted = cost(names["f"])(np.ones(2))
    ((line, _),) = counted.by_line.items()
    assert line == ("<typed in>", 2, "f")
    assert "<typed in>:2 f" in str(counted)


def test_the_page_shows_what_its_program_prints(tmp_path):
    page = (ROOT / "docs" / "textbook.md").read_text()
    program, table = (block.strip("\n") for block in re.findall(r"```(?:python)?\n(.*?)```", page, re.DOTALL))
    (tmp_path / "network.py").write_text(program)
    done = subprocess.run([sys.executable, "network.py"], cwd=tmp_path, env=environment({"GPUAD_BACKEND": "numpy"}),
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert (done.stderr, done.stdout.strip("\n").splitlines()) == ("", table.splitlines())
