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

.PHONY: $(DEMOS) test test-matrix lint docs explore clean

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

# The suite on each version of JAX that setup.py allows, in an environment of its own that holds the
# locked packages but for JAX. JAX 0.11 and 0.12 need Python 3.12. One alone: make test-jax-0.12.
PYTHON312 ?= python3.12
MATRIX := 0.10 0.11 0.12
PYTHON_0.10 := $(PYTHON)
PYTHON_0.11 := $(PYTHON312)
PYTHON_0.12 := $(PYTHON312)
test-matrix: $(MATRIX:%=test-jax-%)

test-jax-%: .venv-jax-%/ready
	.venv-jax-$*/bin/python -m pytest --numprocesses=auto --dist=loadgroup

.venv-jax-%/ready: requirements.lock setup.py
	$(PYTHON_$*) -m venv .venv-jax-$*
	grep --invert-match --extended-regexp '^jax(lib)?==' requirements.lock > .venv-jax-$*/others.lock
	.venv-jax-$*/bin/python -m pip install --quiet --requirement .venv-jax-$*/others.lock \
		'jax==$*.*' 'jaxlib==$*.*'
	.venv-jax-$*/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

.PRECIOUS: .venv-jax-%/ready

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
	rm -rf $(VENV) .venv-jax-* datasets runs
