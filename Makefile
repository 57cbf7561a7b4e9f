# make demo    the main job, with all set-up: a program here gets an answer from a Service there
# make test    the same set-up, then every check and test
# make check   formatting, types, imports, unit and property tests, strict C
# make bench   the figures, and the floors that they must keep
# make clean   remove what was built here (not the sandbox's caches: sandbox/sandbox down)
#
# KUBECONFIG=FILE make demo uses that cluster instead of the sandbox.

PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
BUILT := build/.built
PACKAGED := build/.packages
NATIVE := $(wildcard src/_fastpath/* preload/*.c preload/*.h preload/*.py preload/*.map preload/CMakeLists.txt) \
	CMakeLists.txt setup.py
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test check bench clean setup cluster house

setup: $(BUILT)

$(PACKAGED): setup/packages setup/packages.txt
	@$(PYTHON) setup/packages
	@mkdir -p build && touch $@

$(BIN)/python: $(PACKAGED)
	@echo "setup: Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.requirements: $(BIN)/python pyproject.toml setup/constraints.txt
	@echo "setup: Python packages"
	@$(PYTHON) setup/requirements pyproject.toml > build/requirements.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c setup/constraints.txt -r build/requirements.txt
	@touch $@

$(BUILT): $(VENV)/.requirements $(NATIVE)
	@echo "setup: building the engine and the shim"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@
