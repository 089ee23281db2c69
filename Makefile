# `make help` lists the targets. The environment in .venv is made by the first target that needs it.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
AUDIT := $(VENV)/audit
RUNTIME_LOCK := $(if $(GPU),requirements-gpu.lock,requirements.lock)
JAVA := $(shell command -v java 2>/dev/null)
UV := $(shell command -v uv 2>/dev/null)
UV_LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header --upgrade

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# The command line of make as it was typed, with a \ before blanks and $$ for $. `gatewise` makes options of it.
override export TYPED = $(MAKEOVERRIDES)
# A `kill` of make reaches the command itself: no shell is between them.
GATEWISE := exec python -m pipeline --make "$$TYPED"

.DEFAULT_GOAL := help
.PHONY: help repro report record compare ui explain verify promote rollback serve score demo test bench audit check format lock clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10
	@echo
	@echo "make repro takes any parameter of params.yaml: make repro DATASET=imdb SEEDS=1,2 UNITS=64"
	@echo "GPU=1 builds the environment with TensorFlow's CUDA build. .venv/bin/gatewise --help lists all commands."

repro: $(VENV)/.runtime  ## run the pipeline: DATASET=imdb for the tutorial's experiment at full size
	@$(GATEWISE) run

report: $(VENV)/.runtime  ## make data/results/report.html anew, with the times that MLflow knows
	@$(GATEWISE) report

record: $(VENV)/.runtime  ## write the MLflow runs of what is on disk again, after the logging has changed
	@$(GATEWISE) record

compare: $(VENV)/.runtime  ## two commits or experiments side by side: A=HEAD~1 B=HEAD (default B: the files as they are)
	@$(GATEWISE) compare

ui: $(VENV)/.runtime  ## open the MLflow UI (PORT=5000)
	@$(GATEWISE) ui

explain: $(VENV)/.runtime  ## see how LSTM and GRU read a text: TEXT="not good at all" (MODELS=lstm-1,gru-2)
	@$(GATEWISE) explain

verify: $(VENV)/.runtime  ## prove that the commit gives the results in its dvc.lock (STAGE=train@lstm-1 for a part)
	@$(GATEWISE) verify

promote: $(VENV)/.runtime  ## make the best model the champion, if it is not worse than today's (MODEL=gru-2)
	@$(GATEWISE) promote

rollback: $(VENV)/.runtime  ## make the former champion the champion again
	@$(GATEWISE) rollback

serve: $(VENV)/.runtime  ## serve the champion over HTTP (PORT=5001 MODEL=gru-1)
	@$(GATEWISE) serve

score: $(VENV)/.spark  ## classify Parquet files with Spark: INPUT=reviews OUTPUT=answers (COLUMN=text KEEP="id" PARTITIONS=8 MODEL=gru-1)
	@$(GATEWISE) score

demo: $(VENV)/.runtime  ## a page where LSTM, GRU and baseline answer side by side (PORT=5002)
	@$(GATEWISE) demo

test: $(VENV)/.development $(if $(JAVA),$(VENV)/.spark)  ## run the tests (ALL=1: the slow ones too; COVERAGE=1: the share of lines run)
	pytest $(if $(ALL),-m "slow or not slow") $(if $(COVERAGE),--cov=pipeline --cov-report=term:skip-covered)

bench: $(VENV)/.bench  ## how fast training is: against the tutorial's way, PyTorch and the hardware (on IMDB; half an hour)
	@python -m benchmarks.speed

audit: $(AUDIT)/.installed $(VENV)/.runtime  ## look for known weaknesses in all locked packages, and list what is installed (sbom.json)
	@$(AUDIT)/bin/python -m tests.audit
	@$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o sbom.json $(VENV)/bin/python
	@echo "sbom.json lists what is installed in $(VENV), in CycloneDX's form"

check: $(VENV)/.development  ## run the linter, the formatter and the type checker
	ruff check .
	ruff format --check .
	mypy

format: $(VENV)/.development  ## format the code
	ruff check --fix .
	ruff format .

lock:  ## resolve the dependencies of pyproject.toml anew (needs uv)
	$(UV_LOCK) pyproject.toml --extra cpu -o requirements.lock
	$(UV_LOCK) pyproject.toml --extra gpu -c requirements.lock -o requirements-gpu.lock
	$(UV_LOCK) pyproject.toml --extra spark -c requirements.lock -o requirements-spark.lock
	$(UV_LOCK) --group dev -c requirements.lock -o requirements-dev.lock
	$(UV_LOCK) --group audit -o requirements-audit.lock

clean:  ## remove the environment; data, results and runs stay (.venv/bin/gatewise clean shows what they take)
	rm -rf $(VENV)

# What is half made (by a Python without ensurepip, say) must not be taken for an environment by the next run.
FORGET := { rm -rf $(VENV); echo "error: $(VENV) could not be made, and is removed"; exit 1; }

# uv is faster; without it, pip does the same.
ifdef UV
$(VENV)/bin/python:
	@uv venv --quiet --python 3.11 $(VENV) || $(FORGET)
DURATION := some seconds, or as long as 600 MB take to arrive
PIP := uv pip install --quiet --python $(VENV)/bin/python
INSTALL = $(PIP) --compile-bytecode --require-hashes -r $(1)
else
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed; name yours with make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || $(FORGET)
DURATION := some minutes; with uv it takes seconds
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
# pip would print four lines for each package. Here its packages are counted, on one line of a terminal: those that have
# arrived, then those that are unpacked, of which pip says nothing for minutes. Ctrl-C does not reach what counts them,
# so that it looks whether this shell is still there.
INSTALLED = $$(ls -d $(VENV)/lib/*/site-packages/*.dist-info | wc -l)
UNPACKING = while sleep $$step > /dev/null 2>&1 && kill -0 $$$$ 2> /dev/null; do \
		printf "  %s of %s packages unpacked            $$end" $$(($(INSTALLED) - before)) $$n; \
	done
INSTALL = n=0; before=$(INSTALLED); counter=; step=25; end='\n'; [ ! -t 1 ] || { step=1; end='\r'; }; \
	{ $(PIP:--quiet=--progress-bar off) --require-hashes -r $(1); echo "ended $$?"; } | while read -r word next _; do \
		case $$word-$$next in \
			Collecting-* | Processing-*) n=$$((n + 1)); \
				[ $$((n % step)) != 0 ] || printf "  %s of about $$(grep -c == $(1)) packages$$end" $$n;; \
			Installing-collected) $(UNPACKING) & counter=$$!;; \
			ended-*) [ -z "$$counter" ] || kill $$counter; \
				[ $$step != 1 ] || echo; \
				exit $$next;; \
		esac; \
	done
endif

# The command `gatewise` is this folder itself; what builds it, setuptools, is in the lock.
$(VENV)/.runtime: $(RUNTIME_LOCK) pyproject.toml | $(VENV)/bin/python
	@echo "installing $(RUNTIME_LOCK) into $(VENV) (once; $(DURATION))"
	@$(call INSTALL,$(RUNTIME_LOCK))
	@PYTHONWARNINGS=ignore $(PIP) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/.development: requirements-dev.lock $(VENV)/.runtime
	@echo "installing requirements-dev.lock into $(VENV) (once)"
	@$(call INSTALL,requirements-dev.lock)
	@touch $@

# In no lock: one version of PyTorch is different files for CPU and GPU. Only the benchmark knows it.
$(VENV)/.bench: pyproject.toml $(VENV)/.runtime
	@echo "installing PyTorch into $(VENV) for the benchmark (once)"
	@$(VENV)/bin/python -m pip install --quiet --group bench
	@touch $@

$(AUDIT)/.installed: requirements-audit.lock | $(VENV)/bin/python
	@echo "installing requirements-audit.lock into $(AUDIT) (once)"
	@$(VENV)/bin/python -m venv --clear $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-audit.lock
	@touch $@

$(VENV)/.spark: requirements-spark.lock $(VENV)/.runtime
	@echo "installing requirements-spark.lock into $(VENV) (once)"
	@$(call INSTALL,requirements-spark.lock)
	@touch $@
