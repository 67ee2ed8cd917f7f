"""autograd's module of this name: ``isinstance(x, ArrayBox)`` says whether ``x`` is a traced array."""

from ..autograd_names.nodes import Box as ArrayBox
from ..autograd_names.nodes import Box as Box
from ..autograd_names.nodes import SequenceBox as SequenceBox

__all__ = ["ArrayBox", "Box", "SequenceBox"]
