"""Every test runs in float64 with strict promotion, warnings as errors and shapes checked."""

import os
import subprocess
import sys
from contextlib import contextmanager, nullcontext
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
UNPACK_CROWD = Path(__file__).parent / "data" / "unpack_crowd.py"


def unpacked(tmp_path_factory, name, commands):
    """Give a folder that the commands have filled: once for all workers."""
    if not UNPACK.exists():
        return None
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # the workers share it
    target, done = base / name, base / f"{name}.done"
    with locked(base / f"{name}.lock"):
        if not done.exists():
            for script, *names in commands:
                run = [sys.executable, script, target, *names]
                subprocess.run(run, check=True, capture_output=True)
            done.touch()
    return target


@contextmanager
def locked(path):
    """Hold a lock that the system takes back if its holder dies."""
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# Rooms whose tests compile less; certificates are held to the truth as users compile them.
QUICK = {"crowd", "data", "deep", "distill", "halfspace", "noise", "recovery", "smoothed", "sop"}
OPTIMISED = {"test_convex_batch", "test_convex_fuzz"}


@pytest.fixture(autouse=True, scope="module")
def quick_compilation(request):
    """Compile less in the rooms' tests (`tests.quick`)."""
    from tests import quick

    path = Path(request.path)
    if path.stem in OPTIMISED:
        from jaxrobust.sop.convex import program

        for kept in (program._compiled, program._compiled_part, program._solver):
            kept.cache_clear()
    less = path.parent.name in QUICK and path.stem not in OPTIMISED
    with quick.compilation() if less else nullcontext():
        yield


@pytest.fixture(scope="session")
def real_data(tmp_path_factory):
    """Give the folder of real files, or None where what packs them is not beside the repository.

    All but the pictures of CIFAR-10, which take longer to unpack than the tests without them.
    """
    names = ("adult", "fashion", "cifar10n", "cifar10h")
    return unpacked(tmp_path_factory, "real", [(UNPACK, *names), (UNPACK_CROWD,)])


@pytest.fixture(scope="session")
def real_images(tmp_path_factory):
    """Give a folder with CIFAR-10's pictures, and what people said of them; skip without."""
    target = unpacked(tmp_path_factory, "images", [(UNPACK, "cifar10", "cifar10n", "cifar10h")])
    return target or pytest.skip("the packed data sets are not beside the repository")


@pytest.fixture(scope="session")
def real_files(real_data):
    """Give the folder of real files; skip where there is none."""
    return real_data or pytest.skip("the packed data sets are not beside the repository")
