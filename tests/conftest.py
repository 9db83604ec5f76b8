"""Every test runs in float64 with strict promotion, warnings as errors and shapes checked."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

settings.register_profile(
    "jaxrobust", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("jaxrobust")

# Shape annotations are checked at run time in the tests only.
install_import_hook(
    "jaxrobust", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)
