# The first target that needs the virtual environment .venv creates it.
#   make demo    train, evaluate, publish, serve, show calls, stop
#   make test    the whole test suite

PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-benchmarks
DATASET ?= ml-latest-small
RECOMMENDER_PORT ?= 50051
MODEL_SERVER_PORT ?= 8500
WEB_PORT ?= 8080

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

.DEFAULT_GOAL := help
.PHONY: help demo serve dev-certs train report bench bench-training test test-fast test-long test-distributed conformance game-day soak check format protos docs \
	compose-test cluster-test lock audit sbom pin-images install clean

help:
	@echo 'make demo          train on MovieLens, publish, serve, show calls of every RPC, stop'
	@echo 'make serve         train unless artifacts/ holds a release, then serve until Ctrl-C; prints the address of a page'
	@echo 'make train         train and publish a release into artifacts/'
	@echo 'make report        write an HTML page about the newest release in artifacts/: figures, plots, examples'
	@echo 'make bench         measure everything that docs/benchmarks.md says of speed; TF_SERVING=/path/to/tensorflow_model_server puts that in'
	@echo 'make bench-training  measure seconds, memory and quality of training beside ALS; ROWS="19m 100m" for more ratings'
	@echo 'make test          all tests but those that take long'
	@echo 'make test-fast     the tests that are not marked slow: within a minute on two cores'
	@echo 'make test-long     the tests that make test leaves out'
	@echo 'make test-distributed  what takes more than one host or other storage; says what was skipped and why'
	@echo 'make conformance   ask the server at TF_SERVING_ADDRESS, or else the stand-in, what TensorFlow Serving is known to do'
	@echo 'make game-day      break a stack in eight ways, and show which alert fires, after how long, and what to do'
	@echo 'make soak          the long tests, SOAK_SECONDS (120) each: releases swapped, workers killed, abuse, arbitrary bytes'
	@echo 'make check         everything that is checked without running the product: linters, types, imports, generated code'
	@echo 'make format        format the code, and apply the fixes that the linter is sure of'
	@echo 'make protos        generate the code under protos/ and docs/api.md'
	@echo 'make docs          generate docs/commands.md and docs/metrics.md, and build a site of all pages into site/'
	@echo 'make compose-test  build the images and run docker-compose.yml; says which model server it runs'
	@echo 'make cluster-test  build a Kubernetes cluster of one node from source, once, and run deploy/k8s in it; needs root'
	@echo 'make dev-certs     make certificates and a token in certs/; `make serve CERTS=certs` serves with them'
	@echo 'make lock          refresh constraints.txt and the locks of the images'
	@echo 'make audit         ask an advisory service about every package of constraints.txt'
	@echo 'make sbom          write sbom.json, a CycloneDX bill of materials'
	@echo 'make pin-images    add the digests that registries give to the images in deploy/ and docker-compose.yml'
	@echo 'make install       create .venv and nothing else'
	@echo 'make clean         remove .venv, artifacts/, site/ and caches'
	@echo
	@echo 'DATASET=ml-1m chooses another MovieLens data set for demo, serve, train and report.'
	@echo 'RECOMMENDER_PORT (50051), MODEL_SERVER_PORT (8500) and WEB_PORT (8080) choose the ports of serve.'

demo: $(STAMP)
	@$(BIN)/python -m tools.demo --dataset $(DATASET)

serve: $(STAMP)
	@$(BIN)/python -m tools.serve --dataset $(DATASET) \
		--recommender-port $(RECOMMENDER_PORT) --model-server-port $(MODEL_SERVER_PORT) --web-port $(WEB_PORT) $(if $(CERTS),--certs $(CERTS))

dev-certs: $(STAMP)
	@$(BIN)/python -m tools.dev_certs

train: $(STAMP)
	@$(BIN)/python -m trainer --dataset $(DATASET)

report: $(STAMP)
	@$(BIN)/python -m trainer report --dataset $(DATASET)

bench: $(BENCH_STAMP)
	@$(BIN)/python -m benchmarks

bench-training: $(BENCH_STAMP)
	@$(BIN)/python -m benchmarks.training $(ROWS)

test: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile -m 'not long' --durations 20

test-long: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m long --durations 0

test-fast: $(STAMP)
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile -m 'not slow and not long'

# In hosts of their own, made of network namespaces, with a server that speaks S3, and trainers that fit one model.
DISTRIBUTED = tests/stack/test_hosts.py tests/stack/test_many_workers.py $(wildcard tests/stack/test_object_storage.py)

test-distributed: $(STAMP)
	@PATH=$(CURDIR)/.tools/bin:$$PATH $(BIN)/python -m pytest -s -rs --durations=0 --durations-min=5 $(DISTRIBUTED)

# Your own server must serve the models of the tests: `.venv/bin/python -m tests.conformance prepare FOLDER` writes them
# and prints how to start it.
conformance: $(STAMP)
	@$(BIN)/python -m pytest tests/conformance

game-day: $(STAMP)
	@PATH=$(CURDIR)/.tools/bin:$$PATH $(BIN)/python -m tools.game_day

SOAK_SECONDS ?= 120

soak: $(STAMP)
	@SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m pytest -s --timeout 3600 \
		tests/stack/test_hot_swap.py tests/stack/test_hosts.py tests/stack/test_abuse.py tests/recommender/test_workers.py tests/recommender/test_fuzz_requests.py tests/recommender/test_fuzz_releases.py

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/python -m tools.style
	@$(BIN)/python -m tools.protos --check
	@$(BIN)/python -m tools.proto_lint

format: $(STAMP)
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

protos: $(STAMP)
	@$(BIN)/python -m tools.protos

docs: $(STAMP)
	@$(BIN)/python -m tools.reference
	@$(BIN)/python -m tools.docs_site site

compose-test: $(STAMP)
	@$(BIN)/python -m tools.compose_test

# Building takes 20 to 40 minutes the first time, so .ci/run leaves it out.
cluster-test: $(STAMP)
	@PATH=$(CURDIR)/.tools/bin:$$PATH $(BIN)/python -m tools.cluster

# One file for .venv, and one for each image. With the hashes, nothing is installed that the index exchanged meanwhile.
LOCK = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-annotate --quiet

lock: $(STAMP)
	$(LOCK) $(addprefix --extra ,build service events milvus object-storage tracing web trainer report serving audit docs dev) --output-file constraints.txt
	$(LOCK) --extra benchmarks --constraint constraints.txt --output-file benchmarks/benchmarks.lock
	$(LOCK) --extra service --extra events --extra object-storage --extra tracing --constraint constraints.txt --output-file deploy/recommender.lock
	$(LOCK) --extra service --extra events --extra milvus --extra object-storage --extra tracing --constraint constraints.txt --output-file deploy/recommender-milvus.lock
	$(LOCK) --extra web --constraint constraints.txt --output-file deploy/web.lock
	$(LOCK) --extra trainer --extra events --extra object-storage --constraint constraints.txt --output-file deploy/trainer.lock
	$(LOCK) --extra serving --constraint constraints.txt --output-file deploy/model-server-stand-in.lock
	$(LOCK) --extra build --constraint constraints.txt --output-file deploy/build.lock

# Fails too where a package could not be looked up, or the advisory service does not answer.
audit: $(STAMP)
	@$(BIN)/python -m tools.audit

sbom: $(STAMP)
	@$(BIN)/cyclonedx-py requirements constraints.txt --pyproject pyproject.toml --output-reproducible --output-file sbom.json
	@echo 'sbom.json: a CycloneDX bill of materials of constraints.txt'

pin-images: $(STAMP)
	@$(BIN)/python -m tools.pin_images

clean:
	rm -rf $(VENV) artifacts certs site sbom.json .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(STAMP)

# annoy is published as source only, so a C++ compiler is needed once. It is built with the setuptools of the lock, which
# pip would otherwise fetch without a hash, and not taken from pip's cache, which may hold a build for another processor.
# Without -fno-ipa-ra, which only GCC has, GCC leaves out a vzeroupper and each search costs a third more (decision 2).
PIP = $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off

$(STAMP): pyproject.toml constraints.txt deploy/build.lock
	@test -n '$(PYTHON)' || { echo 'error: no Python 3.11, 3.12 or 3.13 on the PATH (or set PYTHON=/path/to/python)' >&2; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || command -v g++ >/dev/null || { \
		echo 'error: no C++ compiler: annoy is built from source (Debian: apt-get install g++; macOS: xcode-select --install)' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo 'error: $(PYTHON) lacks venv (Debian: apt-get install python3-venv python3-dev)' >&2; exit 1; }
	@echo 'setting up $(VENV) with $(PYTHON) (once, a minute or two: TensorFlow is large)'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --quiet --require-hashes --requirement deploy/build.lock
	@echo '  Building annoy'
	@flag=$$($${CXX:-c++} -fno-ipa-ra -fsyntax-only -x c++ /dev/null 2>/dev/null && echo -fno-ipa-ra); CXXFLAGS="$$CXXFLAGS $$flag" \
		$(PIP) --quiet --require-hashes --no-deps --no-cache-dir --no-build-isolation --use-pep517 \
		--requirement <(sed -n '/^annoy==/,/[^\]$$/p' constraints.txt)
	@$(PIP) --require-hashes --no-build-isolation --use-pep517 --requirement constraints.txt | sed -nE 's/^ *(Downloading|Using cached|Building wheel for) ([^ ]+).*/  \1 \2/p'
	@PYTHONWARNINGS=ignore $(PIP) --quiet --no-deps --no-build-isolation --editable . --editable clients/python
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@echo 'adding the libraries that are compared to $(VENV) (once)'
	@$(PIP) --quiet --require-hashes --no-deps --requirement <(sed -n '/^pybind11==/,/[^\]$$/p' benchmarks/benchmarks.lock)
	@$(PIP) --quiet --require-hashes --no-build-isolation --use-pep517 --requirement benchmarks/benchmarks.lock
	@touch $@
