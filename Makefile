# make run    set up and run the main job, configs/pim-gpt.yaml, into results/pim-gpt
# make test   set up and run every check
# make test-trace  the tests that need torch and transformers, which it installs (large)
# make docs       build the documentation into build/docs, warnings as errors
# make notebooks  run the notebooks and render them beside their scripts
# make clean  remove everything that the two leave behind

PYTHON ?= python3
BIN := .venv/bin

# Nothing is left outside the clone: no pip cache, no font cache of matplotlib.
export PIP_NO_CACHE_DIR := 1
export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib

.PHONY: run test docs clean notebooks

run: .venv/installed
	$(BIN)/pimsim run configs/pim-gpt.yaml --out results/pim-gpt

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict pimsim
	$(BIN)/lint-imports
	$(BIN)/pytest -q --basetemp=.venv/pytest
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest -q --basetemp=.venv/pytest -m nojit

notebooks: .venv/installed
	$(BIN)/python notebooks/render.py

docs: .venv/installed
	$(BIN)/python -m sphinx -W --keep-going -q docs build/docs

# The recorder of models; its other tests are part of `make test`.
test-trace: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,trace]'
	$(BIN)/pytest -q --basetemp=.venv/pytest tests/export

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

clean:
	rm -rf .venv results build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find pimsim tests -name __pycache__ -type d -prune -exec rm -rf {} +
