"""autograd's ``differential_operators``."""

from .autograd_names.operators import deriv as deriv
from .autograd_names.operators import grad_and_aux as grad_and_aux
from .autograd_names.operators import grad_named as grad_named
from .autograd_names.operators import hessian_tensor_product as hessian_tensor_product
from .autograd_names.operators import hessian_vector_product as hessian_vector_product
from .autograd_names.operators import holomorphic_grad as holomorphic_grad
from .autograd_names.operators import make_ggnvp as make_ggnvp
from .autograd_names.operators import make_hvp as make_hvp
from .autograd_names.operators import make_jvp as make_jvp
from .autograd_names.operators import make_jvp_reversemode as make_jvp_reversemode
from .autograd_names.operators import make_vjp as make_vjp
from .autograd_names.operators import multigrad_dict as multigrad_dict
from .autograd_names.operators import tensor_jacobian_product as tensor_jacobian_product
from .autograd_names.operators import vector_jacobian_product as vector_jacobian_product
from .checkpointing import checkpoint as checkpoint
from .transforms.gradients import elementwise_grad as elementwise_grad
from .transforms.gradients import grad as grad
from .transforms.gradients import value_and_grad as value_and_grad
from .transforms.jacobians import hessian as hessian
from .transforms.jacobians import jacobian as jacobian
