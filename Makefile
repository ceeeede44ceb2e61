# Every target does its own set-up: a machine needs Python 3.11 or newer (with venv) and make, nothing else.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
NEWEST := .venv-newest
PIP := -m pip install --quiet --disable-pip-version-check

.PHONY: help run test test-newest lint emulators demo-restart demo-scale-out soak clean

help:
	@echo "make run            the bot on http://localhost:3978/api/messages, state in state.db"
	@echo "make test           all tests, on the pinned SDKs and real emulators"
	@echo "make test-newest    the storage tests again on the newest Azure SDKs"
	@echo "make soak           an hour's worth of turns, three replicas, trouble all the way"
	@echo "make lint           ruff and mypy"
	@echo "make emulators      Azurite and a Cosmos DB server in the foreground, without Docker"
	@echo "make demo-restart   watch the bot survive kill -9"
	@echo "make demo-scale-out watch three replicas and a burst of messages, beside the stock storages"

run: $(VENV)/.run
	@$(VENV)/bin/python app.py

test: $(VENV)/.dev
	$(VENV)/bin/python -m pytest $(ARGS)

test-newest: $(NEWEST)/.dev
	$(NEWEST)/bin/python -m pytest tests/contract $(ARGS)

soak: $(VENV)/.dev
	SOAK_TURNS=36000 $(VENV)/bin/python -m pytest tests/e2e/test_soak.py -m cosmos -s $(ARGS)

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy .

emulators: $(VENV)/.dev
	@$(VENV)/bin/python -m infra.local.emulators

demo-restart: $(VENV)/.dev
	@$(VENV)/bin/python -m demos.restart

demo-scale-out: $(VENV)/.dev
	@$(VENV)/bin/python -m demos.scale_out

clean:
	rm -rf $(VENV) $(NEWEST) infra/local/node_modules

$(VENV)/.run: requirements.txt | $(VENV)/bin/python
	$(VENV)/bin/python $(PIP) -r $<
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(VENV)/bin/python $(PIP) -r $<
	@touch $@ $(VENV)/.run

$(NEWEST)/.dev: requirements-newest.txt requirements-newest-peers.txt | $(NEWEST)/bin/python
	$(NEWEST)/bin/python $(PIP) -r $<
	$(NEWEST)/bin/python $(PIP) --no-deps -r requirements-newest-peers.txt
	@touch $@

%/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $*
