"""Train a two-layer network on handwritten digits: the program that ``python -m gpuad`` runs.

It is written as any NumPy program would be. gpuad's part is ``value_and_grad``, which turns the
loss into its gradient, and ``cost``, which counts the multiply-adds that a call did.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

import gpuad
import gpuad.numpy as np
from gpuad import value_and_grad
from gpuad.backend import Backend
from gpuad.demo import load_digits

PIXELS, HIDDEN, CLASSES = 64, 128, 10
BATCH = 16
EPOCHS = 60
RATE = 0.1  # learning rate of the first epoch; it falls to zero along half a cosine
MOMENTUM = 0.9
NOISE = 0.3  # added to the pixels (0 to 1) in training: single images are not learned by heart
CHECKED = 20  # weights of each parameter whose gradient is checked
TOLERANCE = 1e-6  # largest relative error that the check lets pass

Params = dict[str, Any]


# --- the network ---------------------------------------------------------------------------------


def scores(params: Params, x: Any) -> Any:
    z = x @ params["w1"] + params["b1"]
    hidden = z / (1 + np.exp(-z))  # silu: like relu, but smooth, so that differences can check it
    return hidden @ params["w2"] + params["b2"]


def loss(params: Params, x: Any, targets: Any) -> Any:
    """Softmax cross-entropy, averaged over the images; ``targets`` are rows of zeros and one 1."""
    z = scores(params, x)
    z = z - np.max(z, axis=1, keepdims=True)
    log_probability = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(np.sum(targets * log_probability, axis=1))


def first_weights(random: numpy.random.Generator) -> Params:
    return {
        "w1": random.normal(scale=PIXELS**-0.5, size=(PIXELS, HIDDEN)),
        "b1": numpy.zeros(HIDDEN),
        "w2": random.normal(scale=HIDDEN**-0.5, size=(HIDDEN, CLASSES)),
        "b2": numpy.zeros(CLASSES),
    }


# --- the data ------------------------------------------------------------------------------------


def for_testing(labels: Any) -> Any:
    """Which images are kept for the test: every fifth of each digit, so always the same ones."""
    chosen = numpy.zeros(len(labels), dtype=bool)
    for digit in range(CLASSES):
        chosen[numpy.flatnonzero(labels == digit)[::5]] = True
    return chosen


# --- training ------------------------------------------------------------------------------------


def train(
    params: Params,
    images: Any,
    targets: Any,
    backend: Backend,
    random: numpy.random.Generator,
    epochs: int,
    progress: Callable[[int, int, float], None],
) -> Params:
    """Mini-batch gradient descent with momentum. Images and targets are on the host."""
    step = value_and_grad(loss)
    velocity = {name: 0 * p for name, p in params.items()}
    starts = range(0, len(images) - BATCH + 1, BATCH)
    for epoch in range(epochs):
        rate = RATE / 2 * (1 + math.cos(math.pi * epoch / epochs))
        order = random.permutation(len(images))
        noisy = images[order] + NOISE * random.normal(size=images.shape)
        x, y = gpuad.to_backend((noisy, targets[order]), backend.name)
        total = 0.0
        for start in starts:
            batch = slice(start, start + BATCH)
            value, gradient = step(params, x[batch], y[batch])
            for name in params:
                velocity[name] = MOMENTUM * velocity[name] - rate * gradient[name]
                params[name] = params[name] + velocity[name]
            total = total + value  # a device keeps it to itself until the epoch is over
        progress(epoch + 1, epochs, float(total) / len(starts))
    return params


def central_difference(params: Params, name: str, i: int, x: Any, y: Any) -> float:
    """The derivative of the loss by weight ``i`` of ``name``, to fourth order."""
    h = 1e-3
    changed = params[name].copy()
    flat = changed.reshape(-1)  # a view: writing to it writes to `changed`
    centre = float(flat[i])

    def loss_at(offset: float) -> float:
        flat[i] = centre + offset
        return float(loss({**params, name: changed}, x, y))

    return (8 * (loss_at(h) - loss_at(-h)) - (loss_at(2 * h) - loss_at(-2 * h))) / (12 * h)


def largest_error(params: Params, x: Any, y: Any, random: numpy.random.Generator) -> float:
    """The largest relative error of the gradient at ``CHECKED`` weights of each parameter.

    Relative to the derivative itself, or to a thousandth of the parameter's largest one where that
    is more: a derivative next to zero is a difference of equal numbers, and all rounding.
    """
    gradient = value_and_grad(loss)(params, x, y)[1]
    worst = 0.0
    for name, p in params.items():
        least = 1e-3 * float(abs(gradient[name]).max())
        for i in random.choice(p.size, size=min(CHECKED, p.size), replace=False).tolist():
            numeric = central_difference(params, name, i, x, y)
            exact = float(gradient[name].reshape(-1)[i])
            if exact != numeric:
                worst = max(worst, abs(exact - numeric) / max(abs(exact), abs(numeric), least))
    return worst


# --- how much work it is -------------------------------------------------------------------------


@dataclass
class Work:
    """Multiply-adds and seconds of one pass over the images."""

    forward: int
    backward: int  # passing the error signal on to the images, too
    backward_weights: int  # what training needs: the gradient of the weights alone
    forward_seconds: float
    backward_seconds: float


def measure(params: Params, x: Any, y: Any, backend: Backend, repeats: int = 15) -> Work:
    everything = value_and_grad(loss, argnums=(0, 1))
    forward = gpuad.cost(loss)(params, x, y).multiply_adds
    both = gpuad.cost(everything)(params, x, y).multiply_adds
    training = gpuad.cost(value_and_grad(loss))(params, x, y).multiply_adds

    def seconds(f: Callable[..., Any]) -> float:
        start = time.perf_counter()
        f(params, x, y)
        backend.synchronize()
        return time.perf_counter() - start

    pairs = [(seconds(loss), seconds(everything)) for _ in range(repeats)]
    forward_seconds = statistics.median(f for f, _ in pairs)
    return Work(
        forward=forward,
        backward=both - forward,
        backward_weights=training - forward,
        forward_seconds=forward_seconds,
        backward_seconds=statistics.median(b for _, b in pairs) - forward_seconds,
    )


# --- the demonstration ---------------------------------------------------------------------------


def show_progress(epoch: int, epochs: int, value: float) -> None:
    """One line that is rewritten on a terminal; four plain lines anywhere else."""
    text = f"training   epoch {epoch}/{epochs}, loss {value:.4f}"
    if sys.stdout is not None and sys.stdout.isatty():
        print(f"\r{text}", end="\n" if epoch == epochs else "", flush=True)
    elif epoch % max(1, epochs // 4) == 0 or epoch == epochs:
        print(text, flush=True)


def run(backend: Backend, why: str, seed: int = 0, epochs: int = EPOCHS) -> tuple[Params, bool]:
    """Run the demonstration, printing as it goes.

    Returns the trained weights as NumPy arrays, and whether the gradient agreed with the central
    differences.
    """
    began = time.perf_counter()
    random = numpy.random.default_rng(seed)
    device = backend.device_name()
    print(f"gpuad      {gpuad.__version__}, seed {seed}")
    print(f"backend    {backend.name} on {device}; {why}")

    pixels, labels = load_digits()
    images = pixels / 16.0
    targets = numpy.eye(CLASSES)[labels]
    testing = for_testing(labels)
    train_images, train_targets = images[~testing], targets[~testing]
    print(
        f"data       {len(images):,} handwritten digits (UCI), "
        f"{len(train_images):,} to learn from and {testing.sum()} to test with"
    )

    with gpuad.use(backend.name):
        params = gpuad.to_backend(first_weights(random), backend.name)
        weights = sum(p.size for p in params.values())
        print(f"network    {PIXELS}-{HIDDEN}-{CLASSES}, silu, softmax cross-entropy: {weights:,} weights in float64")
        x, y = gpuad.to_backend((train_images, train_targets), backend.name)

        error = largest_error(params, x[:BATCH], y[:BATCH], random)
        agrees = error <= TOLERANCE
        print(
            f"gradient   {'agrees with' if agrees else 'DISAGREES WITH'} central differences at "
            f"up to {CHECKED} weights of each parameter: largest relative error {error:.1e}",
            flush=True,
        )

        params = train(params, train_images, train_targets, backend, random, epochs, show_progress)
        test_images = gpuad.to_backend(images[testing], backend.name)
        answers = gpuad.to_numpy(scores(params, test_images)).argmax(axis=1)
        right = int((answers == labels[testing]).sum())
        print(f"accuracy   {100 * right / len(answers):.1f} % of the test images ({right} of {len(answers)})")

        work = measure(params, x, y, backend)
        print(f"work       one pass over the {len(x):,} images, multiply-adds as counted:")
        print(f"           forward   {work.forward:>12,} in {1e3 * work.forward_seconds:6.2f} ms")
        print(
            f"           backward  {work.backward:>12,} in {1e3 * work.backward_seconds:6.2f} ms"
            f" = {work.backward / work.forward:.4g} x forward"
        )
        print(
            f"           training  {work.backward_weights:>12,} backward"
            f" = {work.backward_weights / work.forward:.4g} x forward:"
            " the first layer passes no error on"
        )
    print(f"time       {time.perf_counter() - began:.1f} s without imports", flush=True)
    return gpuad.to_numpy(params), agrees
