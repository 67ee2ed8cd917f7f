"""How primitives are stated, and the four that every statement needs.

A cotangent must have the shape and dtype of the value that it belongs to. Broadcasting is undone by a
sum, promotion by a cast, here, once, for all elementwise primitives: their rules needn't think of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..core.batch import Batch
from ..core.box import Spec, spec_of
from ..core.forward import Forward
from ..core.memory import View
from ..core.primitive import Binary, Finish, Primitive, Rule, Unary
from ..core.tape import binary_recorder, unary_recorder
from ..fused.staging import staged_cast, staged_sum_to, staged_view
from .batching import elementwise as entrywise
from .batching import into_shape, summed_to

P = TypeVar("P", bound=Primitive)

#: Every primitive of the library, by name. The tests go through it and demand samples for each.
registry: dict[str, Primitive] = {}


def register(prim: P) -> P:
    """Enter a primitive into ``registry``, and return it."""
    if prim.name in registry:
        raise ValueError(f"two primitives are called {prim.name!r}")
    registry[prim.name] = prim
    return prim


def unary(
    name: str,
    vjp: Rule,
    forward: Callable[..., Any] | None = None,
    *,
    plain: bool = True,
    scalar: str | None = None,
) -> Unary:
    """An elementwise primitive of one argument, with its derivative.

    ``plain=False`` where a result may have another dtype than a floating-point argument. ``scalar``: what it does to
    one entry ``{0}``, for fused kernels; see ``Primitive.scalar``.
    """
    prim = Unary(name, unary_recorder, forward)
    prim.scalar = scalar
    prim.define_vjps([vjp], plain=plain, finish=fit)
    return register(prim)


def binary(
    name: str,
    vjp_x: Rule | None,
    vjp_y: Rule | None,
    forward: Callable[..., Any] | None = None,
    *,
    plain: bool = True,
    scalar: str | None = None,
) -> Binary:
    """An elementwise primitive of two arguments, with a derivative for each.

    ``plain=False`` where a Python number must stay one. ``scalar``: what it does to entries ``{0}`` and ``{1}``.
    """
    prim = Binary(name, binary_recorder, forward)
    prim.scalar = scalar
    prim.define_vjps([vjp_x, vjp_y], plain=plain, finish=fit)
    return register(prim)


def operation(
    name: str,
    forward: Callable[..., Any] | None,
    *vjps: Rule | None,
    linear: bool = False,
    finish: Finish | None = None,
    multiply_adds: Callable[..., int] | None = None,
    elementwise: bool = False,
    jvp: Rule | None = None,
    batch: Rule | None = None,
    deferred: Callable[..., Any] | None = None,
) -> Primitive:
    """Any other primitive.

    ``linear``: in each argument, the others held (a product is, too). ``finish=fit`` where arguments of
    different shapes or dtypes meet. ``multiply_adds(ans, *args, **params)`` counts those of a call.

    Forward mode finds its rules by itself, see ``core.forward``; one may be stated that costs less:
    ``jvp(tangents, ans, *args, **params)``, where the tangents of arguments that stay are ``None``.
    ``elementwise``: as ``unary`` and ``binary`` are, so that the VJP is the JVP as well. ``batch``: what it does
    with an axis of examples, one of the rules in ``ops.batching``. ``deferred``: how it waits, see ``fused.staging``.
    """
    prim = Primitive(name, forward)
    prim.define_vjps(vjps, linear=linear, finish=finish)
    prim.elementwise, prim.jvp, prim.batch, prim.deferred = elementwise, jvp, batch, deferred
    prim.multiply_adds = multiply_adds
    return register(prim)


def view(
    name: str,
    forward: Callable[..., Any],
    vjp: Rule,
    *,
    writable: bool = True,
    rearranges: bool = False,
    batch: Rule | None = None,
    deferred: Callable[..., Any] | None = None,
) -> View:
    """A linear primitive of one array whose result shares its memory where NumPy's does.

    ``writable``: what is written into the result is written into the argument. ``rearranges``: it has the
    entries of the argument, each once.
    """
    prim = View(name, forward)
    prim.define_vjps([vjp], linear=True)
    prim.writable, prim.rearranges, prim.batch, prim.deferred = writable, rearranges, batch, deferred
    return register(prim)


def variadic(
    name: str,
    forward: Callable[..., Any] | None,
    vjp: Rule,
    *,
    linear: bool = False,
    finish: Finish | None = None,
    jvp: Rule | None = None,
    batch: Rule | None = None,
) -> Primitive:
    """A primitive of any number of arrays: ``vjp(k, g, ans, *args, **params)`` is that of the k-th.

    One that may be called with thousands states ``vjp(k, g, ans, **params)``.
    """
    prim = Primitive(name, forward)
    prim.define_variadic_vjp(vjp, linear=linear, finish=finish)
    prim.jvp, prim.batch = jvp, batch
    return register(prim)


def constant(
    name: str, forward: Callable[..., Any] | None = None, *, batch: Rule | None = None, scalar: str | None = None
) -> Primitive:
    """A primitive whose results don't vary with its arguments, but for jumps."""
    prim = Primitive(name, forward)
    prim.piecewise_constant, prim.batch, prim.scalar = True, batch, scalar
    return register(prim)


def shape(x: Any) -> tuple[int, ...]:
    """The shape of an array, a number, or what stands for an argument that a rule doesn't read."""
    return spec_of(x).shape


def fit(h: Any, spec: Spec, prim: Primitive | None = None, k: int = 0) -> Any:
    """The cotangent ``h`` of a broadcast, promoted value, as that of the value itself."""
    have = spec_of(h)
    if have is spec:
        return h
    if have.shape != spec.shape:
        h = sum_to(h, shape=spec.shape)
    if have.dtype != spec.dtype:
        if have.dtype.kind == "c" and spec.dtype.kind != "c":
            h = real(h)
        if spec_of(h).dtype != spec.dtype:
            h = astype(h, dtype=spec.dtype)
    return h


def fit_tangent(t: Any, spec: Spec) -> Any:
    """The tangent ``t`` of a value that is broadcast and promoted, as that of the result: the way back of ``fit``."""
    have = spec_of(t)
    if have is spec:
        return t
    if have.dtype != spec.dtype:
        if have.dtype.kind == "c" and spec.dtype.kind != "c":
            t = real(t)
        if spec_of(t).dtype != spec.dtype:
            t = astype(t, dtype=spec.dtype)
    return broadcast_to(t, shape=spec.shape) if have.shape != spec.shape else t


Forward.fit = staticmethod(fit_tangent)


def _sum_to(xp: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    extra = x.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and x.shape[i + extra] != 1)
    # NumPy would sum to float64 for no dtype but integers, and these have no cotangents.
    total = xp.add.reduce(x, axes) if axes else x
    return total if total.shape == shape else total.reshape(shape)


#: Sum ``x`` to ``shape``, from which it can be broadcast: what undoes broadcasting.
sum_to: Primitive = operation(
    "sum_to",
    _sum_to,
    lambda g, ans, x, *, shape: broadcast_to(g, shape=x.shape),
    linear=True,
    batch=summed_to,
    deferred=staged_sum_to,
)

broadcast_to: Primitive = view(
    "broadcast_to",
    lambda xp, x, *, shape: xp.broadcast_to(x, shape),
    lambda g, ans, x, *, shape: sum_to(g, shape=x.shape),
    writable=False,
    batch=into_shape,
    deferred=staged_view,
)
Batch.broadcast = broadcast_to

astype: Primitive = operation(
    "astype",
    lambda xp, x, *, dtype: xp.asarray(x).astype(dtype)[()] if not hasattr(x, "astype") else x.astype(dtype),
    lambda g, ans, x, *, dtype: fit(g, x),
    linear=True,
    batch=entrywise,
    deferred=staged_cast,
)

real: Unary = unary("real", lambda g, ans, x: g, lambda xp, x: xp.real(x), plain=False, scalar="real({0})")
