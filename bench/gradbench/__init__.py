"""gpuad's tool for GradBench (github.com/gradbench/gradbench): gradients of its twelve programs on request.

``python -m bench.gradbench`` answers one line of JSON with another; ``README.md`` beside this says how to run it.
"""
