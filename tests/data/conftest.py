"""The real files, where the folder that packs them lies beside the repository."""

import subprocess
import sys
from pathlib import Path

import pytest

UNPACK = Path(__file__).parents[3] / "shared" / "data" / "unpack.py"


@pytest.fixture(scope="session")
def real_adult(tmp_path_factory):
    if not UNPACK.exists():
        pytest.skip("the packed data sets are not beside the repository")
    target = tmp_path_factory.mktemp("real")
    subprocess.run([sys.executable, UNPACK, target, "adult"], check=True, capture_output=True)
    return target
