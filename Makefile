# make demo | test | check: each sets itself up first. Nothing is needed but Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
RUN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
# small models run fastest on one thread; tests use processes instead
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false

.PHONY: demo test test-slow check format install peers clean

demo: $(STAMP)  ## derive, prove, match, merge and measure two pairs of trained models
	@echo "== graphmerge demo: two pairs of small trained Transformers, about a minute"
	$(RUN)/graphmerge demo --out demo-output --force

test: $(STAMP)  ## the tests, on $(WORKERS) processes
	@echo "== tests, on $(WORKERS) processes"
	$(RUN)/python -m pytest -n $(WORKERS) --dist worksteal -q

test-slow: $(STAMP)  ## the long sweeps
	@echo "== slow tests, on $(WORKERS) processes"
	$(RUN)/python -m pytest -n $(WORKERS) -q -m slow

check: $(STAMP)  ## lint, format, types
	@echo "== ruff and basedpyright"
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/basedpyright

format: $(STAMP)
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

install: $(STAMP)

peers: $(PEERS)/.installed  ## the tools that benchmarks/compare.py measures ours beside, in an environment of their own

$(PEERS)/.installed: benchmarks/peers.txt
	@echo "== creating $(PEERS) with the versions of benchmarks/peers.txt (minutes, once)"
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt
	@touch $(PEERS)/.installed

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "graphmerge needs Python 3.11 or newer; set PYTHON=... (found: $$($(PYTHON) --version))"; exit 1; }
	@echo "== creating $(VENV) and installing graphmerge with the versions of constraints.txt (minutes, once)"
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $(STAMP)

clean:
	rm -rf $(VENV) $(PEERS) demo-output
