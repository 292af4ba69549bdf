# The two commands of a fresh clone: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow fuzz types lint clean

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade -r requirements.txt
	touch $@

# Minutes on two cores: small phantoms, two short trainings, tables, pictures.
demo: $(VENV)/.installed
	$(BIN)/python main.py simulate demo/data --volumes 60 --slices 4 --matrix 256x160
	$(BIN)/python main.py train config/demo_baseline.yaml data.path=demo/data --out demo/run
	$(BIN)/python main.py validate demo/run
	$(BIN)/python main.py train config/demo_generative.yaml data.path=demo/data model.baseline=demo/run \
		--out demo/generative
	$(BIN)/python main.py validate demo/generative
	$(BIN)/python main.py reconstruct demo/generative demo/data/singlecoil_val/file1000049.h5 demo/reconstruction \
		--slice 2 --acceleration 8 --samples 8

# two processes of one thread each: most of the time is Python starting and tiny trainings
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadgroup --no-loadscope-reorder

# types beside the tests, and a failure of either is one
test: $(VENV)/.installed
	$(BIN)/mypy & types=$$!; $(PYTEST); tests=$$?; wait $$types && exit $$tests

test-slow: $(VENV)/.installed
	$(PYTEST) -m slow --timeout 3600

fuzz: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m fuzz --timeout 7200

# 35 seconds of one core; with what it remembers of the last time, 1 second if nothing changed
types: $(VENV)/.installed
	$(BIN)/mypy

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

clean:
	rm -rf demo .pytest_cache .ruff_cache .mypy_cache
