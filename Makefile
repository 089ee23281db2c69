# `make help` lists the targets. The environment in .venv is made by the first target that needs it.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
RUNTIME_LOCK := $(if $(GPU),requirements-gpu.lock,requirements.lock)
JAVA := $(shell command -v java 2>/dev/null)
UV := $(shell command -v uv 2>/dev/null)
UV_LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header --upgrade

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# What stands on the command line of `make repro`, and is not for make itself, is a parameter of params.yaml:
# UNITS=32, or train.units=32. An unknown one is refused before any work. The environment sets none.
GIVEN = $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
PARAMETERS = $(foreach name,$(filter-out PYTHON GPU VENV,$(GIVEN)),$(call option,$(name),$(call typed,$(name))))
option = --$(call lowered,$(1))=$(call quoted,$(or $(2),$(error $(1)= has no value)))
# A name in capitals is one in small letters (UNITS is units); any other is meant as it stands (datasets.MyData.test).
lowered = $(shell printf %s $(call quoted,$(1)) | sed '/[a-z]/!y/ABCDEFGHIJKLMNOPQRSTUVWXYZ/abcdefghijklmnopqrstuvwxyz/')
# As it was typed: what stands behind a $ is no variable.
typed = $(value $(1))
# As one word for the shell, whatever is in it.
quoted = '$(subst ','\'',$(1))'
# An option of a tool with the variable's value, where there is one.
given = $(if $(call typed,$(2)),$(1) $(call quoted,$(call typed,$(2))))

# The text for `make explain`, as it was typed: what stands behind a $ is no variable.
override TEXT := $(value TEXT)
export TEXT

.DEFAULT_GOAL := help
.PHONY: help repro report compare ui explain verify promote rollback serve score demo test bench check format lock clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10
	@echo
	@echo "make repro takes any parameter of params.yaml: make repro DATASET=imdb SEEDS=1,2 UNITS=32"
	@echo "GPU=1 builds the environment with TensorFlow's CUDA build."

repro: $(VENV)/.runtime  ## run the pipeline: DATASET=imdb for the tutorial's experiment at full size
	@python -m pipeline.tools.reproduce $(PARAMETERS)

report: $(VENV)/.runtime  ## make data/results/report.html anew, with the times that MLflow knows
	@python -m pipeline.tools.report

compare: $(VENV)/.runtime  ## two commits or experiments side by side: A=HEAD~1 B=HEAD (default B: the files as they are)
	@$(if $(A),,$(error say what to compare: make compare A=HEAD~1, or A=main B=small))
	@python -m pipeline.tools.compare $(call given,,A) $(call given,,B)

ui: $(VENV)/.runtime  ## open the MLflow UI (PORT=5000)
	@python -m pipeline.tools.ui --port $(or $(PORT),5000)

explain: $(VENV)/.runtime  ## see how LSTM and GRU read a text: TEXT="not good at all" (MODELS=lstm-1,gru-2)
	@python -m pipeline.tools.explain $(call given,--models,MODELS) -- "$$TEXT"

verify: $(VENV)/.runtime  ## prove that the commit gives the results in its dvc.lock (STAGE=train@lstm-1 for a part)
	@python -m pipeline.tools.verify $(call given,--stage,STAGE)

promote: $(VENV)/.runtime  ## make the best model the champion, if it is not worse than today's (MODEL=gru-2)
	@python -m pipeline.tools.promote $(call given,--model,MODEL)

rollback: $(VENV)/.runtime  ## make the former champion the champion again
	@python -m pipeline.tools.promote --rollback

serve: $(VENV)/.runtime  ## serve the champion over HTTP (PORT=5001 MODEL=gru-1)
	@python -m pipeline.tools.serve --port $(or $(PORT),5001) $(call given,--model,MODEL)

score: $(VENV)/.spark  ## classify Parquet files with Spark: INPUT=reviews OUTPUT=answers (COLUMN=text KEEP="id" PARTITIONS=8 MODEL=gru-1)
	@python -m pipeline.tools.score $(call given,--input,INPUT) $(call given,--output,OUTPUT) \
		$(call given,--column,COLUMN) $(if $(KEEP),--keep $(KEEP)) $(call given,--partitions,PARTITIONS) $(call given,--model,MODEL)

demo: $(VENV)/.runtime  ## a page where LSTM, GRU and baseline answer side by side (PORT=5002)
	@python -m pipeline.tools.demo --port $(or $(PORT),5002)

test: $(VENV)/.development $(if $(JAVA),$(VENV)/.spark)  ## run the tests (ALL=1: the slow ones too)
	pytest $(if $(ALL),-m "slow or not slow")

bench: $(VENV)/.bench  ## how fast training is: against the tutorial's way, PyTorch and the hardware (on IMDB; 20 minutes)
	@python -m benchmarks.speed

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

clean:  ## remove the environment; data, results and runs stay
	rm -rf $(VENV)

# What is half made (by a Python without ensurepip, say) must not be taken for an environment by the next run.
FORGET := { rm -rf $(VENV); echo "error: $(VENV) could not be made, and is removed"; exit 1; }

# uv is faster; without it, pip does the same.
ifdef UV
$(VENV)/bin/python:
	@uv venv --quiet --python 3.11 $(VENV) || $(FORGET)
DURATION := some seconds
INSTALL := uv pip install --quiet --python $(VENV)/bin/python --compile-bytecode --require-hashes
else
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed; name yours with make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || $(FORGET)
DURATION := some minutes, and silently; with uv it takes seconds
INSTALL := $(VENV)/bin/python -m pip install --quiet --require-hashes
endif

$(VENV)/.runtime: $(RUNTIME_LOCK) | $(VENV)/bin/python
	@echo "installing $(RUNTIME_LOCK) into $(VENV) (once; $(DURATION))"
	@$(INSTALL) -r $(RUNTIME_LOCK)
	@touch $@

$(VENV)/.development: requirements-dev.lock $(VENV)/.runtime
	@echo "installing requirements-dev.lock into $(VENV) (once)"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

# In no lock: one version of PyTorch is different files for CPU and GPU. Only the benchmark knows it.
$(VENV)/.bench: pyproject.toml $(VENV)/.runtime
	@echo "installing PyTorch into $(VENV) for the benchmark (once)"
	@$(VENV)/bin/python -m pip install --quiet --group bench
	@touch $@

$(VENV)/.spark: requirements-spark.lock $(VENV)/.runtime
	$(INSTALL) -r requirements-spark.lock
	@touch $@
