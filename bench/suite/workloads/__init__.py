"""All workloads, by group, in the order in which they are measured."""

from __future__ import annotations

from ..workload import Workload
from . import chains, networks, overhead, primitives, probability, scaling, simulations, transformations

GROUPS = {
    "chains": "elementwise chains on large arrays",
    "overhead": "tiny arrays and long programs, where recording costs more than arithmetic",
    "programs": "whole programs: networks, simulations, likelihoods",
    "transformations": "Jacobians, Hessians, Hessians times vectors, gradients of each example",
    "primitives": "single operations, forward and backward",
    "scaling": "how time grows with size, depth and width",
    "memory": "a long chain on a large array, with and without checkpoints",
}

ALL: tuple[Workload, ...] = tuple(
    sorted(
        [
            *chains.WORKLOADS,
            *overhead.WORKLOADS,
            *networks.WORKLOADS,
            *simulations.WORKLOADS,
            *probability.WORKLOADS,
            *transformations.WORKLOADS,
            *primitives.WORKLOADS,
            *scaling.WORKLOADS,
        ],
        key=lambda w: list(GROUPS).index(w.group),
    )
)
