# What there is to do: `make setup`, `make demo`, `make test`, `make check`, `make chaos`; `make proto` and `make lock`
# after a change of what they are made from; `make clean` takes away all that the others have put here.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := setup
.DELETE_ON_ERROR:
.PHONY: setup demo test check check-lock bench chaos swaps cluster cluster-down submit flink proto lock clean

VENV := .venv
PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv
ENVIRONMENT := $(VENV)/.made
JARS := jars/kafka/.fetched

# $(call need,PROGRAM,REMEDY): end with one clear line if PROGRAM is not there.
need = command -v $(1) >/dev/null || { echo "$(1) is missing: $(2)" >&2; exit 1; }
need-java = PATH="$${JAVA_HOME:+$$JAVA_HOME/bin/}"; PATH="$${PATH:-$(PATH)}" \
  $(call need,java,install a JDK 17 and put it on PATH or set JAVA_HOME to one)

setup: $(ENVIRONMENT) $(JARS)

# The first uv comes through pip, with the hash that the lock has for it; all else comes through uv.
$(ENVIRONMENT): requirements-dev.txt pyproject.toml
	@$(call need,python3.11,install Python 3.11)
	test -x $(PYTHON) || python3.11 -m venv $(VENV)
	sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt | $(PYTHON) -m pip install -q --require-hashes -r /dev/stdin
	$(UV) pip sync -q --python $(PYTHON) --require-hashes requirements-dev.txt
	$(UV) pip install -q --python $(PYTHON) --no-deps --no-build-isolation -e .
	touch $@

# The folders are made anew, so that no jar of an older version stays on the class path.
$(JARS): jars/pom.xml $(wildcard jars/src/main/java/modelserving/functions/*.java)
	@$(need-java)
	@$(call need,mvn,install Maven 3.6.3 or later)
	rm -rf jars/flink jars/kafka jars/target
	mvn -q -B -f jars/pom.xml package
	touch $@

MODE := swaps
JOIN := partitioned
RECORDS := 50000
KEEP :=

demo: setup
	@$(VENV)/bin/modelserving demo --mode $(MODE) $(if $(filter swaps,$(MODE)),--join $(JOIN) --records $(RECORDS)) \
	  $(if $(KEEP),--keep)

# Two side by side; then one after the other those that keep the machine busy, or compare speeds.
test: setup
	$(VENV)/bin/pytest -n 2 --dist loadfile -m "not alone"
	$(VENV)/bin/pytest -m alone

check: $(ENVIRONMENT) check-lock
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pytest -q tests/test_generated.py tests/test_lock.py

PINS := --generate-hashes --python-version 3.11
COMPILE := pip compile -q pyproject.toml $(PINS) -o requirements.txt
COMPILE_DEV := pip compile -q pyproject.toml --group dev --constraint requirements.txt $(PINS) -o requirements-dev.txt
MLSERVER_LOCK := bench/mlserver/requirements.txt
COMPILE_MLSERVER := pip compile -q bench/mlserver/requirements.in $(PINS) -o $(MLSERVER_LOCK)

lock: $(ENVIRONMENT)
	$(UV) $(COMPILE)
	$(UV) $(COMPILE_DEV)
	$(UV) $(COMPILE_MLSERVER)

# Locked again in a copy, the lock files must come out as they are: what is pinned stays pinned while it still fits.
check-lock: $(ENVIRONMENT)
	@copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; \
	cp --parents pyproject.toml requirements.txt requirements-dev.txt $(MLSERVER_LOCK:.txt=.in) $(MLSERVER_LOCK) "$$copy"; \
	uv=$$PWD/$(UV); cd "$$copy"; \
	"$$uv" $(COMPILE); "$$uv" $(COMPILE_DEV); "$$uv" $(COMPILE_MLSERVER); \
	for file in requirements.txt requirements-dev.txt $(MLSERVER_LOCK); do \
	  diff "$$OLDPWD/$$file" $$file || { echo "$$file is not current: run make lock" >&2; exit 1; }; \
	done

proto: $(ENVIRONMENT)
	$(PYTHON) proto/generate.py

# A standalone Flink cluster in .run/cluster: `make cluster`, `make submit ARGS="--join keyed"`,
# `make flink ARGS="list"` for the rest of Flink's command line, `make cluster-down`.
CLUSTER := $(PYTHON) -m modelserving.local.cluster
PARALLELISM := 1
ARGS := --join partitioned
SCRIPT := jobs/model_serving.py

cluster: setup
	@$(CLUSTER) up

cluster-down:
	@$(CLUSTER) down

submit: setup
	@$(CLUSTER) flink -- run --detached --parallelism $(PARALLELISM) $(if $(SAVEPOINT),--fromSavepoint $(SAVEPOINT)) \
	  --python $(SCRIPT) $(ARGS)

flink: setup
	@$(CLUSTER) flink -- $(ARGS)

# All of it takes hours. Shorter: `make bench ROUNDS=1 WARM_UP=5 SECONDS=10 PIPELINES="partitioned java-peer"
# MODELS="tensorflow tree" PARTS="throughput latency"`; after an interruption, go on with RESUME=1.
bench: setup
	@$(PYTHON) -m bench.main --parallelism $(PARALLELISM) $(if $(RESUME),--resume) $(if $(DOCS),--docs $(DOCS)) \
	  $(if $(PARTS),--parts "$(PARTS)") $(if $(PIPELINES),--pipelines "$(PIPELINES)") \
	  $(if $(MODELS),--models "$(MODELS)") $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(WARM_UP),--warm-up $(WARM_UP)) \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(MOST_RECORDS),--most-records $(MOST_RECORDS)) \
	  $(if $(BACKLOG),--backlog $(BACKLOG))

# Random faults under load: `make chaos MINUTES=10 SEED=7`; with JOIN=speculative into the speculative job alone.
MINUTES := 10
SEED := 1

chaos: setup
	@$(PYTHON) -m tests.faults.chaos --minutes $(MINUTES) --seed $(SEED) \
	  $(if $(filter command,$(origin JOIN)),--join $(JOIN))

SWAPS := 1000

swaps: setup
	@$(PYTHON) -m bench.swaps --swaps $(SWAPS) --join $(JOIN)

clean:
	rm -rf $(VENV) jars/flink jars/kafka jars/target bench/java-peer/target *.egg-info .run .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
