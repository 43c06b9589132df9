# The two commands of a newcomer: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEMO := runs/demo

.PHONY: demo demo_neurites demo_cars test lint clean

# Everything that is there already is used again; `make clean` starts from nothing.
demo: $(READY)
	$(BIN)/python -m experiments.build_data --name=lidc_phantom --data_dir=datasets
	$(BIN)/python -m experiments.train --config=configs/demo.py --workdir=$(DEMO)
	$(BIN)/python -m experiments.sample --workdir=$(DEMO)
	$(BIN)/python -m experiments.evaluate --workdir=$(DEMO)

# Instance segmentation from samples, on generated slices and streets (docs/instances.md).
demo_neurites: $(READY)
	$(BIN)/python -m experiments.build_data --name=neurites_phantom --data_dir=datasets
	$(BIN)/python -m experiments.train --config=configs/demo_neurites.py --workdir=runs/$@
	$(BIN)/python -m experiments.sample --workdir=runs/$@
	$(BIN)/python -m experiments.evaluate --workdir=runs/$@

demo_cars: $(READY)
	$(BIN)/python -m experiments.build_data --name=streets_phantom --data_dir=datasets
	$(BIN)/python -m experiments.train --config=configs/demo_cars.py --workdir=runs/$@
	$(BIN)/python -m experiments.sample --workdir=runs/$@
	$(BIN)/python -m experiments.evaluate --workdir=runs/$@

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(READY): requirements.lock setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) datasets runs
