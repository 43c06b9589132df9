# The two commands of a newcomer: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# The demos: configs/<demo>.py, trained on embedded data, into runs/<demo>. docs/instances.md and
# docs/extrapolation.md explain those but the first. No score is known for extrapolation.
SCORED := demo demo_neurites demo_cars
DEMOS := $(SCORED) demo_extrapolation
DATA_demo := lidc_phantom
DATA_demo_neurites := neurites_phantom
DATA_demo_cars := streets_phantom
DATA_demo_extrapolation := neurites_phantom

.PHONY: $(DEMOS) test lint docs explore clean

# Everything that is there already is used again; `make clean` starts from nothing.
$(DEMOS): $(READY)
	$(BIN)/python -m experiments.build_data --name=$(DATA_$@) --data_dir=datasets
	$(BIN)/python -m experiments.train --config=configs/$@.py --workdir=runs/$@
	$(if $(filter $@,$(SCORED)),$(BIN)/python -m experiments.evaluate --workdir=runs/$@)
	$(BIN)/python -m experiments.sample --workdir=runs/$@

# A page on the demo's model, or on any other: make explore CHECKPOINT=pretrained/lidc_phantom
CHECKPOINT ?= runs/demo
explore: $(READY)
	$(BIN)/python -m experiments.explore --checkpoint=$(CHECKPOINT)

test: $(READY)
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadgroup

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check --python $(VENV) hpunet_jax

# The site, into build/site. Its packages are pinned in docs/requirements.lock.
docs: $(VENV)/docs
	DISABLE_MKDOCS_2_WARNING=true NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

$(VENV)/docs: docs/requirements.lock $(READY)
	$(BIN)/python -m pip install --quiet --requirement docs/requirements.lock
	touch $@

$(READY): requirements.lock setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) datasets runs
