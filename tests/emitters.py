"""XLA's emitters of CPU kernels: the simpler ones take half as long to compile, a run uses the others.

JAX 0.12 has the others only; whether 0.11 still has both was not tried.
"""

import jax

FLAG = "xla_cpu_use_fusion_emitters"
BOTH = jax.__version_info__ < (0, 11)
SIMPLE = f"--{FLAG}=false" if BOTH else ""  # for XLA_FLAGS
AS_IN_A_RUN = {FLAG: True} if BOTH else {}  # compiler options
