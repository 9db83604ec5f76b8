"""`python -m experiments [NAME ...] [--preset smoke|laptop|gpu]`: run studies; `list` lists."""

from experiments import found
from jaxrobust.lab import main

if __name__ == "__main__":
    raise SystemExit(main(found))
