"""Operators on functions of one argument, as operators on functions of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .util import subvals

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def unary_to_nary(unary_operator: Callable[..., Any]) -> Callable[..., Any]:
    """``operator(fun, x)`` for a ``fun`` of one argument, as ``operator(fun, argnum)(*args, **kwargs)``.

    For several ``argnum``, ``x`` is the tuple of these arguments. What else the operator is given is
    passed on.
    """

    @wraps(unary_operator)
    def nary_operator(fun: Callable[..., Any], argnum: Any = 0, *op_args: Any, **op_kwargs: Any) -> Any:
        assert type(argnum) in (int, tuple, list), argnum

        @wrap_nary_f(fun, unary_operator, argnum)
        def nary_f(*args: Any, **kwargs: Any) -> Any:
            @wraps(fun)
            def unary_f(x: Any) -> Any:
                chosen = [(argnum, x)] if type(argnum) is int else zip(argnum, x, strict=True)
                return fun(*subvals(args, chosen), **kwargs)

            x = args[argnum] if type(argnum) is int else tuple(args[i] for i in argnum)
            return unary_operator(unary_f, x, *op_args, **op_kwargs)

        return nary_f

    return nary_operator


def wraps(fun: Any, namestr: str = "{fun}", docstr: str = "{doc}", **names: Any) -> Decorator:
    """Give a function the name and the documentation of ``fun``, put into these templates."""

    def wrap(f: Callable[..., Any]) -> Callable[..., Any]:
        f.__name__ = namestr.format(fun=get_name(fun), **names)
        f.__doc__ = docstr.format(fun=get_name(fun), doc=get_doc(fun), **names)
        return f

    return wrap


def wrap_nary_f(fun: Any, op: Any, argnum: Any) -> Decorator:
    """Name a function after the operator that made it."""
    docstr = """\
    {op} of function {fun} with respect to argument number {argnum}. Takes the
    same arguments as {fun} but returns the {op}.
    """
    return wraps(fun, "{op}_of_{fun}_wrt_argnum_{argnum}", docstr, op=get_name(op), argnum=argnum)


def get_name(f: Any) -> str:
    return getattr(f, "__name__", "[unknown name]")


def get_doc(f: Any) -> str:
    return getattr(f, "__doc__", "") or ""
