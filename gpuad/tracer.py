"""autograd's ``tracer``: tracing functions into nodes, and telling traced arrays from others."""

from .autograd_names.nodes import Box as Box
from .autograd_names.nodes import Node as Node
from .autograd_names.nodes import isbox as isbox
from .autograd_names.nodes import trace as trace
from .autograd_names.rules import notrace_primitive as notrace_primitive
from .autograd_names.rules import primitive as primitive
from .autograd_names.rules import register_notrace as register_notrace
from .autograd_names.vspaces import getval as getval
from .util import subvals as subvals
from .util import toposort as toposort
