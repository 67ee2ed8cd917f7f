"""What a plan (gpuad/fused/plan.py) means, in plain NumPy: one step at a time, every value an array.

The executors are compared with this. A text such as ``"{0} * {1}"`` is read here as Python, which it nearly is.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.special as sp

#: The texts that aren't Python.
C_ONLY = {
    "{0} && {1}": np.logical_and,
    "{0} || {1}": np.logical_or,
    "!{0} != !{1}": np.logical_xor,
    "!{0}": np.logical_not,
    "{0} ? {1} : {2}": np.where,
}

#: The functions that texts name, where NumPy has another name for them or none.
FUNCTIONS = {
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "modulo": np.remainder,
    "digamma": sp.psi,
    **{
        name: getattr(sp, name)
        for name in "entr erf erfc erfcinv erfinv expit gamma gammaln log_expit log_ndtr logit ndtr ndtri "
        "xlog1py xlogy".split()
    },
}


class _Names(dict):
    """Names in a text: the arguments, the functions above, and NumPy's."""

    def __missing__(self, name):
        return FUNCTIONS[name] if name in FUNCTIONS else getattr(np, name)


def meaning(text, *args):
    """The value of a step's text for arrays, with NumPy's own promotion of what ``args`` are."""
    if text in C_ONLY:
        return C_ONLY[text](*args)
    named = text.format(*(f"a{k}" for k in range(len(args))))
    return eval(named, {"__builtins__": {}}, _Names({f"a{k}": a for k, a in enumerate(args)}))


def run_plan(plan, call):
    """The arrays that ``call.outputs`` should hold, new ones; sums are taken in float64 or complex128."""
    lengths = tuple(call.lengths)
    assert len(lengths) == plan.ndim
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        values = [_operand(*given, lengths) for given in zip(plan.operands, call.arrays, call.strides, strict=True)]
        values += [np.asarray(n).astype(d) for n, d in zip(call.numbers, plan.numbers, strict=True)]
        for step in plan.steps:
            args = [values[a].astype(d) for a, d in zip(step.args, step.takes, strict=True)]
            if step.fold is None:
                values.append(np.asarray(meaning(step.scalar, *args)).astype(step.dtype))
            else:
                values.append(_fold(step.fold, np.broadcast_to(args[0], lengths)).astype(step.dtype))
        return [_output(output, values[output.value], lengths) for output in plan.outputs]


def _operand(operand, array, strides, lengths):
    assert array.dtype == operand.dtype
    for stated, given in zip(operand.strides, strides, strict=True):
        assert stated is None or stated == given
    if not all(lengths):
        view = np.zeros(lengths, array.dtype)  # nothing is read, and the array may be of any size
    else:
        in_bytes = [s * array.itemsize for s in strides]
        view = np.lib.stride_tricks.as_strided(array, lengths, in_bytes, writeable=False)
    # What is the same along the row is one value per row, even of a row without entries.
    if lengths and operand.strides[-1] == 0:
        return view[..., :1] if lengths[-1] else np.zeros((*lengths[:-1], 1), array.dtype)
    return view


def _fold(how, x):
    if how == "add":
        return x.sum(axis=-1, keepdims=True, dtype=_wide(x.dtype))
    if x.dtype.kind == "f":
        start = -np.inf if how == "maximum" else np.inf
        return getattr(np, how).reduce(x, axis=-1, keepdims=True, initial=start)
    return getattr(np, how).reduce(x, axis=-1, keepdims=True)


def _wide(dtype):
    """In what NumPy should add up, to be the more precise of the two."""
    if dtype.kind == "f":
        return np.promote_types(dtype, np.float64)
    return np.promote_types(dtype, np.complex128) if dtype.kind == "c" else None


def _output(output, value, lengths):
    summed = output.summed
    if output.per_row:
        assert not summed[-1]
        value, lengths, summed = value[..., 0] if value.ndim else value, lengths[:-1], summed[:-1]
    value = np.broadcast_to(value, lengths)
    axes = tuple(k for k, s in enumerate(summed) if s)
    if axes:
        value = value.sum(axis=axes, dtype=_wide(value.dtype))
    return np.array(value, dtype=output.dtype, order="C")
