"""The determinant by expansion along the rows, every minor computed once.

The minors of the last m rows are those of each choice of m columns; all of one size are computed at once, from those
of the size before.
"""

import itertools

import gpuad.numpy as np
from gpuad import grad, jit


def read(given):
    return np.array(given["A"], dtype=float), expansions(given["ell"])


def primal(a, expansions):
    minors, ell = np.ones(1), len(expansions)
    for row, (columns, smaller) in zip(a.reshape(ell, ell)[::-1], expansions, strict=True):
        signs = (-1.0) ** np.arange(columns.shape[1])
        minors = np.sum(signs * row[columns] * minors[smaller], axis=1)
    return minors[0]


def expansions(ell):
    """For m = 1 to ``ell``: every choice of m columns, and the numbers of those without its first, second, ... one.

    That depends on the size alone, whatever the matrix.
    """
    found, numbers = [], {(): 0}
    for m in range(1, ell + 1):
        choices = list(itertools.combinations(range(ell), m))
        without = [[numbers[c[:j] + c[j + 1 :]] for j in range(m)] for c in choices]
        found.append((np.array(choices), np.array(without)))
        numbers = {c: i for i, c in enumerate(choices)}
    return found


FUNCTIONS = {"primal": jit(primal), "gradient": jit(grad(primal))}
