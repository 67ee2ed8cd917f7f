"""autograd's ``builtins``: Python's own, for a traced container is an ordinary one here, but for traced arrays.

>>> import numpy as np
>>> from gpuad import grad
>>> def f(x):
...     assert isinstance(x, np.ndarray)
...     return np.sum(x)
>>> grad(f)(np.ones(2))
array([1., 1.])
"""

import builtins as _builtins
from builtins import dict as dict
from builtins import list as list
from builtins import tuple as tuple

from .autograd_names.nodes import DictBox as DictBox
from .autograd_names.nodes import SequenceBox as SequenceBox
from .autograd_names.nodes import container_take as container_take
from .autograd_names.rules import notrace_primitive as _notrace_primitive
from .autograd_names.vspaces import ContainerVSpace as ContainerVSpace
from .autograd_names.vspaces import DictVSpace as DictVSpace
from .autograd_names.vspaces import ListVSpace as ListVSpace
from .autograd_names.vspaces import NamedTupleVSpace as NamedTupleVSpace
from .autograd_names.vspaces import SequenceVSpace as SequenceVSpace
from .autograd_names.vspaces import TupleVSpace as TupleVSpace

#: Of a traced array: what its value is an instance of.
isinstance = _notrace_primitive(_builtins.isinstance)
#: Of a traced array: the type of its value.
type = _notrace_primitive(_builtins.type)


def make_sequence(seq_type, *args):  # type: ignore[no-untyped-def]
    """A sequence of a type, of parts."""
    return seq_type(args)
