# Every target works on a fresh machine with python3 and make: it makes .venv and installs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
WORKERS ?= 2
export GOMP_SPINCOUNT ?= 10000

.PHONY: help demo test test-slow check bench docs kernels clean
help:
	@echo "make demo       train a model on real digits, evaluate it, write a report (about 4 minutes)"
	@echo "make test       the test suite     make test-slow  the learning tests that take minutes"
	@echo "make test FAMILY=flow              the tests that concern a family"
	@echo "make check      lint, types, floors  make bench    peers side by side    make docs  documentation"

# torch first, pinned and by plain pip: an open range may bring gigabytes of CUDA packages.
NATIVE := CMakeLists.txt $(wildcard src/phosphene/kernels/src/*)
$(VENV)/base: constraints.txt pyproject.toml $(NATIVE)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet "$$(grep '^torch==' constraints.txt)"
	$(PIP) install --quiet --editable . --constraint constraints.txt
	touch $@

$(VENV)/dev: $(VENV)/base
	$(PIP) install --quiet --editable ".[dev]" --constraint constraints.txt
	touch $@

$(VENV)/peers: $(VENV)/base
	$(PIP) install --quiet --editable ".[peers]" --constraint constraints.txt
	touch $@

$(VENV)/docs: $(VENV)/base
	$(PIP) install --quiet --editable ".[docs]" --constraint constraints.txt
	touch $@

demo: $(VENV)/base
	$(BIN)/phosphene demo

# Groups of tests, and their order, are those of tests/conftest.py. Bytecode is kept even where the
# environment says otherwise: without it, every process compiles the library and the tests anew.
test: $(VENV)/dev
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) \
		--dist loadscope --no-loadscope-reorder --durations=30 --durations-min=0.5 \
		-m "not slow" $(if $(FAMILY),--family $(FAMILY))

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -m slow $(if $(FAMILY),--family $(FAMILY))

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/peers
	$(BIN)/python -m benchmarks.autoencoder --quick
	$(BIN)/python -m benchmarks.metrics --quick
	$(BIN)/python -m benchmarks.autoregressive --quick
	$(BIN)/python -m benchmarks.flow --quick
	$(BIN)/python -m benchmarks.diffusion --quick
	$(BIN)/python -m benchmarks.decision --quick
	$(BIN)/python -m benchmarks.learning --quick

docs: $(VENV)/docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# In place, for working on the kernels; an installation builds its own.
kernels:
	$(PYTHON) src/phosphene/kernels/build.py

clean:
	rm -f src/phosphene/kernels/*.so
	rm -rf $(VENV) docs/_build .mypy_cache .ruff_cache .import_linter_cache
