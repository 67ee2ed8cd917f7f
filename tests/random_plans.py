"""Random plans with arrays for them, laid out in every way that operands can be."""

from __future__ import annotations

import numpy as np

from gpuad.fused.plan import Call, Operand, Output, Plan, Step

#: Operations whose values stay small and change slowly, so that dtypes and orders of addition alone tell results apart.
UNARY = {"tanh": "tanh({0})", "sin": "sin({0})", "negative": "-{0}", "square": "{0} * {0}", "positive": "{0}"}
BINARY = {"add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}"}
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 16, 31, 33, 64, 65)


def views(rng, lengths):
    """How to take an operand of ``lengths`` from an array: the array's shape, the function, its strides if made."""
    ndim = len(lengths)
    own = [k for k in range(ndim) if rng.random() < 0.8]
    order = list(own)
    if rng.random() < 0.4:
        rng.shuffle(order)
    steps = {k: int(rng.choice([1, 1, 1, 1, 2, -1])) for k in own}
    shape = tuple(lengths[k] * abs(steps[k]) for k in order)
    back = [order.index(k) for k in own]
    slices = tuple(slice(None, None, steps[k]) for k in own)

    def view(base):
        return base.transpose(back)[slices] if own else base

    return shape, view, own


def operand(rng, lengths, dtype):
    """An operand of the plan, the NumPy array that it starts in, how to view such an array, and its strides."""
    shape, view, own = views(rng, lengths)
    base = random_array(rng, shape, dtype)
    seen = view(base)
    strides = [0] * len(lengths)
    for k, stride in zip(own, seen.strides, strict=True):
        strides[k] = stride // base.itemsize
    stated = [None] * len(lengths)
    for k, stride in enumerate(strides):
        if k not in own or (stride == 1 and k == len(lengths) - 1):
            stated[k] = stride
    return Operand(np.dtype(dtype), tuple(stated)), base, view, tuple(strides)


def random_array(rng, shape, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        return rng.integers(0, 5, shape).astype(dtype)
    x = rng.uniform(-1, 1, shape)
    return (x + 1j * rng.uniform(-1, 1, shape) if dtype.kind == "c" else x).astype(dtype)


def steps(rng, dtypes, count, folds, dtype):
    """Steps on values of the given dtypes; with ``folds``, some of which are folds."""
    made = []
    dtypes = list(dtypes)
    bools = []
    for _ in range(count):
        kinds = rng.random()
        args = [int(a) for a in rng.integers(0, len(dtypes), 2)]
        if folds and kinds < 0.3:
            how = "add" if np.dtype(dtype).kind == "c" else str(rng.choice(["add", "maximum", "minimum"]))
            made.append(Step(how, "{0}", (args[0],), (dtype,), dtype, how))
        elif kinds < 0.4 and np.dtype(dtype).kind != "c":
            made.append(Step("less", "{0} < {1}", tuple(args), (dtype, dtype), np.dtype(bool)))
            bools.append(len(dtypes))
        elif bools and kinds < 0.5:
            made.append(Step("where", "{0} ? {1} : {2}", (bools[-1], *args), (np.dtype(bool), dtype, dtype), dtype))
        elif kinds < 0.75:
            name = str(rng.choice(list(UNARY)))
            made.append(Step(name, UNARY[name], (args[0],), (dtype,), dtype))
        else:
            name = str(rng.choice(list(BINARY)))
            made.append(Step(name, BINARY[name], tuple(args), (dtype, dtype), dtype))
        dtypes.append(made[-1].dtype)
    return made


class Case:
    """A plan and a call of it. ``arrays`` are NumPy's, ``views`` what is done to them before they are passed."""

    def __init__(self, plan, lengths, arrays, views, strides, numbers):
        self.plan, self.lengths, self.arrays, self.views = plan, lengths, arrays, views
        self.strides, self.numbers = strides, numbers

    def call(self, convert, empty):
        """The call, with arrays made by ``convert(array)`` and outputs by ``empty(shape, dtype)``."""
        arrays = tuple(view(convert(a)) for a, view in zip(self.arrays, self.views, strict=True))
        outputs = tuple(empty(shape_of(o, self.lengths), o.dtype) for o in self.plan.outputs)
        return Call(self.lengths, arrays, self.strides, self.numbers, outputs)


def shape_of(output, lengths):
    kept = tuple(n for n, gone in zip(lengths, output.summed, strict=True) if not gone)
    return kept[:-1] if output.per_row else kept


def random_case(seed, dtype, folds=False, lengths=None):
    """A case whose operands and values are mostly of ``dtype``."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if lengths is None:
        lengths = tuple(int(rng.choice(LENGTHS)) for _ in range(rng.integers(1, 5)))
        while np.prod(lengths) > 6000:
            lengths = lengths[1:]
    given = [operand(rng, lengths, dtype) for _ in range(rng.integers(1, 4))]
    if dtype.kind == "f" and rng.random() < 0.5:
        given.append(operand(rng, lengths, rng.choice(["bool", "int32", "float32", "float16"])))
    numbers = (dtype,) * int(rng.integers(0, 3))
    dtypes = [g[0].dtype for g in given] + list(numbers)
    made = steps(rng, dtypes, int(rng.integers(2, 9)), folds, dtype)
    dtypes += [s.dtype for s in made]
    operands = [g[0] for g in given]
    per_row = [o.strides[-1] == 0 for o in operands] + [True] * len(numbers)
    for step in made:
        per_row.append(step.fold is not None or all(per_row[a] for a in step.args))
    outputs = []
    for _ in range(rng.integers(1, 5)):
        value = int(rng.integers(len(dtypes) - len(made), len(dtypes)))
        summed = (
            tuple(bool(s) for s in rng.random(len(lengths)) < 0.5) if rng.random() < 0.7 else (False,) * len(lengths)
        )
        row = bool(folds and per_row[value] and rng.random() < 0.7)
        summed = (*summed[:-1], False) if row else summed
        into = dtypes[value]
        if into.kind == "b" and any(summed):
            into = np.dtype(np.int64)
        outputs.append(Output(value, into, summed, row))
    plan = Plan(len(lengths), tuple(operands), numbers, tuple(made), tuple(outputs))
    values = tuple(complex(v, -v) if dtype.kind == "c" else float(v) for v in rng.uniform(-1, 1, len(numbers)))
    return Case(plan, lengths, [g[1] for g in given], [g[2] for g in given], tuple(g[3] for g in given), values)
