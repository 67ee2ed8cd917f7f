"""autograd's module of this name: the vector spaces of arrays."""

from ..autograd_names.vspaces import ArrayVSpace as ArrayVSpace
from ..autograd_names.vspaces import ComplexArrayVSpace as ComplexArrayVSpace
from ..autograd_names.vspaces import NamedTupleVSpace as NamedTupleVSpace
from ..autograd_names.vspaces import VSpace as VSpace
