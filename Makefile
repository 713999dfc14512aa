# What a person runs; CI runs the same. `make demo` and `make test` do everything on a fresh machine.
VENV := .venv
STAMP := $(VENV)/.installed
FILE ?=
EFFECT ?= anime
BENCH ?= all
MODULE ?=
SAMPLE ?=

.PHONY: demo test bench lint format mutants services clean

demo: $(STAMP)  ## a photo and a video through the pipeline; FILE=me.jpg EFFECT=anime takes yours
	$(VENV)/bin/mayfly demo $(if $(FILE),"$(FILE)" --effect "$(EFFECT)")

test: $(STAMP)  ## every test, on real servers
	scripts/test

bench: $(STAMP)  ## all benchmarks, or BENCH=video
	eval "$$(scripts/services up)" && $(VENV)/bin/python -m benchmarks $(BENCH)

lint: $(STAMP)  ## what CI checks besides the tests
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(STAMP)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# mutmut is in a folder of its own: what it brings besides changes the names of Celery's processes.
mutants: $(STAMP)  ## mistakes that no test notices: MODULE=db/claims.py, and SAMPLE=60 for some of many
	$(VENV)/bin/pip install --quiet --upgrade --no-deps --target .mutants mutmut==3.8.1 libcst==1.9.0
	eval "$$(scripts/services up)" && PYTHONPATH=.mutants $(VENV)/bin/python scripts/mutants $(MODULE) \
		$(if $(SAMPLE),--sample $(SAMPLE))

services: $(STAMP)  ## RabbitMQ, PostgreSQL and S3 for trials; eval "$(scripts/services up)" for their addresses
	scripts/services up

$(STAMP): setup.cfg pyproject.toml scripts/setup
	scripts/setup
	touch $(STAMP)

clean:
	scripts/services down --purge
	rm -rf $(VENV) demo-output
