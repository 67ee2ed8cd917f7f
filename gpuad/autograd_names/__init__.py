"""What autograd's modules offer, in terms of gpuad's core.

The modules under autograd's own names (``gpuad.extend``, ``gpuad.tracer``, ``gpuad.core``, …) pass these
on. Nothing of it is imported before a program asks for it.
"""
