"""Elementwise stretches of a program as single kernels: what isn't computed yet, the plan of it, and who runs it."""
