# `make figures` and `make test` work on a bare clone: they make .venv, install the pinned versions and run.
# uv is used where it is installed, pip otherwise. PYTHON picks the interpreter (3.11 to 3.13).
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# One BLAS thread: jaxlib's LAPACK and XLA's own pool would otherwise fight for the cores.
export OPENBLAS_NUM_THREADS := 1

.PHONY: env figures test check bench notebooks constraints clean

env: $(STAMP)

figures: $(STAMP)
	$(PY) -m experiments --preset laptop

test: $(STAMP)
	$(PY) -m pytest -n auto --dist loadfile

check: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(PY) -m pyright

bench: $(STAMP)
	$(PY) -m benchmarks.l1_solve --out figures/benchmark_l1.json
	taskset -c 0 $(PY) -m benchmarks.l1_solve --out figures/benchmark_l1_one_core.json \
	  --peers DAQP PIQP LinearSVR --cells 50x100 200x500 500x2000 1000x200 rank20 rank20-factored
	$(PY) -m benchmarks.l1_readme
	$(PY) -m benchmarks.descent_sweep --out figures/benchmark_descent.json
	$(PY) -m benchmarks.growth
	$(PY) -m benchmarks.halfspace_lanes

notebooks: $(STAMP)
	$(PY) -m jupyter lab notebooks

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "jaxrobust needs Python >= 3.11; $(PYTHON) is older: try make PYTHON=python3.12"; exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(PY) --constraint constraints.txt --group dev --editable .; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "pip>=25.1" && \
	  $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group dev --editable .; \
	fi
	@touch $@

# Written anew when a dependency changes; needs uv.
constraints:
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --no-header --no-annotate --quiet --upgrade -o constraints.txt

clean:
	rm -rf $(VENV)
