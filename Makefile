# Every target installs what it needs first. ARGS=... is passed on: make run ARGS=--once, make test ARGS="-k csv".
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help install run run-aws test check lint lint-aws format bench bench-accuracy bench-peers soak openapi test-tools test-keras constraints clean build-ApiFunction build-DropFunction build-DropResultsFunction build-SweeperFunction build-WebhooksFunction

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.dev ## Build .venv with everything that development needs

run: $(VENV)/.run ## Run a demo batch through the service; ARGS=--once stops after it
	@$(BIN)/sync-analyzer demo $(ARGS)

run-aws: $(VENV)/.run-aws ## The same on DynamoDB, SQS and S3, in an emulator on this machine
	@$(BIN)/sync-analyzer demo --backend aws --local $(ARGS)

test: $(VENV)/.dev test-tools ## Run the tests
	@$(BIN)/python -m pytest -n 2 $(ARGS)

check: lint lint-aws test ## Format, lint, types, import contracts, containers, template.yaml, tests

lint: $(VENV)/.dev ## Format, lint, types, import contracts, containers
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint infra/api.Dockerfile infra/worker.Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec infra/compose.yaml

lint-aws: $(VENV)-aws/.done ## Check template.yaml with sam, cfn-lint and checkov
	@SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-central-1 $(VENV)-aws/bin/sam validate --lint --template template.yaml
	@$(VENV)-aws/bin/cfn-lint template.yaml
	@$(VENV)-aws/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download

format: $(VENV)/.dev ## Format the code and mend what the linter can
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

bench: $(VENV)/.dev test-tools ## Measure speed and memory; writes docs/benchmarks.md
	@$(BIN)/python -m tests.bench $(ARGS)

soak: $(VENV)/.dev ## Go through 10,000 items, 500 jobs and 1,000 webhooks, with faults; ARGS=aws|memory|webhooks for one; ends by itself
	@$(BIN)/python -m tests.soak $(ARGS)

openapi: $(VENV)/.dev ## Write docs/openapi.json anew from the routes
	@$(BIN)/python infra/openapi.py >docs/openapi.json

bench-accuracy: $(VENV)/.dev test-tools ## Measure accuracy on a generated corpus; writes docs/accuracy.md
	@$(BIN)/python -m tests.accuracy.run $(or $(ARGS),--recordings b --seed 5)

bench-peers: $(VENV)/.dev test-tools ## Compare with other programs; ARGS=--speed takes times; writes docs/peers.md
	@$(BIN)/python -m tests.peers $(ARGS)

test-tools: ## Install the system's tools that tests use: ffmpeg, jq, curl
	@sh infra/install-tools.sh ffmpeg jq curl

test-keras: $(VENV)-keras/.done ## Compare YAMNet in torch with Keras; takes half a gigabyte of packages of its own
	@PYTHONPATH=. $(VENV)-keras/bin/python tests/models/keras_yamnet.py compare

constraints: $(VENV)/.dev ## Write constraints.txt anew from the newest versions that fit
	@sh infra/freeze-constraints.sh "$(PYTHON)"
	@$(BIN)/python infra/lambda_requirements.py >infra/lambda-requirements.txt

clean: ## Remove what the targets made
	@rm -rf $(VENV) $(VENV)-aws $(VENV)-keras build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@sh infra/make-venv.sh "$(PYTHON)" $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing what a run needs into $(VENV)"
	@$(PIP) --editable '.[worker]'
	@touch $@

$(VENV)/.run-aws: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing what a run on an emulator needs into $(VENV)"
	@$(PIP) --editable '.[worker,aws-local]'
	@touch $@ $(VENV)/.run

$(VENV)-aws/.done: infra/lint-aws.txt
	@echo "installing the checkers of template.yaml into $(VENV)-aws"
	@sh infra/make-venv.sh "$(PYTHON)" $(VENV)-aws
	@$(VENV)-aws/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(VENV)-keras/.done: tests/models/requirements-keras.txt
	@echo "installing Keras, to compare with, into $(VENV)-keras"
	@sh infra/make-venv.sh "$(PYTHON)" $(VENV)-keras
	@$(VENV)-keras/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@$(VENV)-keras/bin/python -m pip install --quiet --disable-pip-version-check --no-deps tf-keras==2.21.0
	@touch $@

# `sam build` calls these, one for each function, and makes a zip of the folder.
build-ApiFunction build-DropFunction build-DropResultsFunction build-SweeperFunction build-WebhooksFunction:
	@sh infra/build-lambda.sh "$(PYTHON)" "$(ARTIFACTS_DIR)"

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing what development needs into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.run $(VENV)/.run-aws
