# make demo    the main job, with all set-up: a program here gets an answer from a Service there
# make test    the same set-up, then every check and test
# make check   formatting, types, imports, unit and property tests, strict C under sanitizers
# make bench   the figures, and the floors that they must keep
# make setup   packages, Python environment and build; leaves .venv/bin/telepresence
# make clean   remove what was built here (not the sandbox: sandbox/sandbox down)
#
# make demo KUBECONFIG=FILE uses that cluster instead of the sandbox; so do test and bench.

PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
BUILT := build/.built
PACKAGED := build/.packages
NATIVE := $(wildcard $(addprefix src/_fastpath/*,.c .h .pyx .pxd .pxi) preload/*.c preload/*.h) \
	$(wildcard supervisor/* sftp/* reaper/* realpaths/*) preload/ffi.py preload/exports.map preload/CMakeLists.txt CMakeLists.txt setup.py
# They start other programs, and an engine of another build.
UNSANITIZED := $(addprefix --ignore=tests/sockets/test_,pf.py portable.py rules.py service_process.py)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# Debian leaves the places of nft and iptables out of an ordinary user's PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH):/usr/sbin:/sbin

.PHONY: setup demo test check python-check c-check bench clean

setup: $(BUILT)

$(PACKAGED): setup/packages setup/packages.txt
	@$(PYTHON) setup/packages
	@mkdir -p build && touch $@

$(VENV)/.made: $(PACKAGED)
	@echo "setup: Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.requirements: $(VENV)/.made pyproject.toml setup/constraints.txt setup/requirements
	@echo "setup: Python packages"
	@$(PYTHON) setup/requirements pyproject.toml > build/requirements.txt
	@$(PIP) install -c setup/constraints.txt -r build/requirements.txt
	@touch $@

$(BUILT): $(VENV)/.requirements $(NATIVE)
	@echo "setup: building the engine and the shim"
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

demo: setup
	@setup/demo

check: python-check c-check

# In the order of how soon each fails.
python-check: setup
	ruff check .
	ruff format --check .
	mypy
	mypy --platform darwin
	lint-imports --no-logo
	pytest -q -rP tests/house
	pytest -q tests/unit tests/property

# Strict warnings are errors here; the sanitizers watch every C test, and the engine at its work.
c-check: setup
	cmake -S . -B build/sanitized -DSANITIZE=ON -DCMAKE_BUILD_TYPE=Debug > build/cmake.log
	cmake --build build/sanitized -j2 > build/cmake.log 2>&1 || { cat build/cmake.log; exit 1; }
	ctest --test-dir build/sanitized --output-on-failure
	CFLAGS="$(SANITIZE)" LDFLAGS="$(SANITIZE)" python setup.py -q build_ext \
		--build-lib build/sanitized/lib --build-temp build/sanitized/objects > build/sanitized.log 2>&1 \
		|| { cat build/sanitized.log; exit 1; }
	cp src/_fastpath/*.py build/sanitized/lib/_fastpath
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=build/sanitized/lib \
		pytest -q tests/sockets tests/unit/tunnel $(UNSANITIZED)

test: check
	@eval "$$(setup/cluster)" && set -x && \
		pytest -rs tests/sockets tests/preload tests/cluster

bench: setup
	@eval "$$(setup/cluster)" && for question in $$(grep -l "^from figures" bench/*.py); \
		do echo "== $$question"; python $$question || missed=1; done; exit $${missed:-0}

clean:
	rm -rf build .venv .benchmarks .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf src/*.egg-info
	find src tests bench -name '*.so' -exec rm {} + -o -name __pycache__ -prune -exec rm -rf {} +
