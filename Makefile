# Chores. `make demo` and `make test` set up what they need; neither asks for anything to be installed first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_FLAGS := --disable-pip-version-check --quiet --require-hashes

.PHONY: install install-dev demo test check format bench pins system-packages clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml config/requirements/runtime.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "İzinKapı needs Python 3.11 or newer, found " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) -r config/requirements/runtime.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-build-isolation --no-deps --editable .
	touch $@

install-dev: $(VENV)/.installed-dev

$(VENV)/.installed-dev: $(VENV)/.installed config/requirements/dev.txt
	$(BIN)/python -m pip install $(PIP_FLAGS) -r config/requirements/dev.txt
	touch $@

# The main job on one machine: gateway, embedded store, sample mail, and what became of each message.
demo: install
	$(BIN)/izinkapi demo --directory var/demo

# Everything that must hold: format, lint, types, and the tests (which start their own servers).
test: install-dev system-packages check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Side-by-side load test: direct, bare relaying, Postfix before-queue proxy, İzinKapı. Loopback only.
bench: install-dev system-packages
	$(BIN)/python -m loadtest.bench

# Real servers and clients that the tests run against.
system-packages:
	sh config/requirements/system-packages.sh

# Pin the whole dependency tree again, with hashes and without the name of any package index.
pins:
	$(PYTHON) -m uv pip compile -q --generate-hashes --universal --no-header --no-annotate --no-emit-index-url \
		--extra build pyproject.toml -o config/requirements/runtime.txt
	$(PYTHON) -m uv pip compile -q --generate-hashes --universal --no-header --no-annotate --no-emit-index-url \
		--extra build --extra dev pyproject.toml -o config/requirements/dev.txt

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis
