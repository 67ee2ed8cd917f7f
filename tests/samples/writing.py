"""Samples of writing into arrays, and of reading views of what was written into."""

from . import sample


def _written(index, view=lambda y: y):
    def f(np, x, v):
        y = (x * 2.0).copy()  # in C's order, whatever that of x
        part = view(y)
        part[index] = v * v
        return y * y

    return f


def _read(view):
    def f(np, x, v):
        y = (x * 2.0).copy()
        part = view(y)
        y[..., 1:] = v
        return part * part, y

    return f


def _mask(np, x, v):
    y = x * x
    y[y > 1.0] = v
    return y * v


def _into(np, x, v):
    y = x * 2.0
    y[1:] += v
    y *= y[:1]
    return y


SAMPLES = [
    sample("write", _written(1), (4,), (), complex=True, label="entry"),
    sample("write", _written(slice(1, 3)), (4,), (2,), complex=True, label="slice"),
    sample("write", _written(slice(None, None, -2)), (4, 2), (1, 2), label="steps back, broadcast"),
    sample("write", _written((slice(None), 1)), (3, 4), (3,), complex=True, label="column"),
    sample("write", _written((0, slice(1, None))), (3, 4), (1, 1, 3), label="more axes than the place"),
    sample("write", _written(([2, 0], [1, 3])), (3, 4), (2,), label="entries"),
    sample("write", _written([2, 0]), (3, 4), (2, 4), complex=True, label="rows"),
    sample("write", _written(1, lambda y: y.T), (3, 4), (3,), label="row of the transpose"),
    sample("write", _written(slice(2, 5), lambda y: y.reshape(-1)), (3, 4), (3,), complex=True, label="flat"),
    sample("write", _written(0, lambda y: y[1:][:, ::-1]), (3, 4), (4,), label="row of a view of a view"),
    sample("write", _written(slice(0, 0)), (4,), (), label="nothing"),
    sample("write", _written(...), (0, 3), (3,), label="all of nothing"),
    sample("write", _mask, (5,), (), label="mask"),
    sample("write", _into, (4,), (3,), complex=True, label="in place"),
    sample("read write", _read(lambda y: y[1:]), (4,), (), complex=True),
    sample("read write", _read(lambda y: y.T), (3, 4), (3, 1)),
    sample("read write", _read(lambda y: y.reshape(4, 3)[::2]), (3, 4), (), complex=True),
    sample("read write", _read(lambda y: y[0]), (2, 3), (2,)),
]
