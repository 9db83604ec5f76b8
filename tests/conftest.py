"""Every test runs in float64 with strict promotion, warnings as errors and shapes checked."""

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest
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

UNPACK = Path(__file__).parents[2] / "shared" / "data" / "unpack.py"


@pytest.fixture(scope="session")
def real_data(tmp_path_factory):
    """Give the folder of real files, or None where what packs them is not beside the repository."""
    if not UNPACK.exists():
        return None
    target = tmp_path_factory.mktemp("real")
    subprocess.run([sys.executable, UNPACK, target, "adult"], check=True, capture_output=True)
    return target


@pytest.fixture(scope="session")
def real_adult(real_data):
    if real_data is None:
        pytest.skip("the packed data sets are not beside the repository")
    return real_data
