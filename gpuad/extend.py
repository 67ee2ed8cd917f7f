"""autograd's ``extend``: primitives, with rules in the form ``lambda ans, *args: lambda g: …``, and vector spaces.

gpuad's own form of a rule is that of ``gpuad.defvjp``.
"""

from .autograd_names.nodes import Box as Box
from .autograd_names.nodes import JVPNode as JVPNode
from .autograd_names.nodes import VJPNode as VJPNode
from .autograd_names.rules import def_linear as def_linear
from .autograd_names.rules import defjvp as defjvp
from .autograd_names.rules import defjvp_argnum as defjvp_argnum
from .autograd_names.rules import defjvp_argnums as defjvp_argnums
from .autograd_names.rules import defvjp as defvjp
from .autograd_names.rules import defvjp_argnum as defvjp_argnum
from .autograd_names.rules import defvjp_argnums as defvjp_argnums
from .autograd_names.rules import notrace_primitive as notrace_primitive
from .autograd_names.rules import primitive as primitive
from .autograd_names.rules import register_notrace as register_notrace
from .autograd_names.vspaces import SparseObject as SparseObject
from .autograd_names.vspaces import VSpace as VSpace
from .autograd_names.vspaces import vspace as vspace
