# Every target does its own set-up: a machine needs Python 3.11 or newer (with venv) and make, nothing else.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
NEWEST := .venv-newest
CHECKERS := .venv-infra
PEERS := .venv-bench
AUDIT := .venv-audit
MINUTES := 3
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile
PIP := -m pip install --quiet --disable-pip-version-check

.PHONY: help run chat test test-newest fuzz soak lock audit lint emulators demo-restart demo-scale-out bench bench-curves clean

help:
	@echo "make run            the bot, and a page to talk to it: http://localhost:3978/"
	@echo "make chat           talk to the running bot in the terminal"
	@echo "make test           all tests, on the pinned SDKs and real emulators"
	@echo "make test-newest    the storage tests again on the newest Azure SDKs"
	@echo "make fuzz           hostile requests, guided by coverage, for MINUTES=3 (Linux)"
	@echo "make soak           an hour's worth of turns, three replicas, trouble all the way"
	@echo "make lint           ruff and mypy"
	@echo "make lock           the newest versions that the requirements allow, with hashes"
	@echo "make audit          known vulnerabilities of the pinned packages, from PyPI"
	@echo "make emulators      Azurite and a Cosmos DB server in the foreground, without Docker"
	@echo "make demo-restart   watch the bot survive kill -9"
	@echo "make bench          turns a second, beside the stock SDK, its successor and a bare handler"
	@echo "make bench-curves   the same against load, size of state and idle conversations, as a picture"
	@echo "make demo-scale-out watch three replicas and a burst of messages, beside the stock storages"

run: $(VENV)/.run
	@$(VENV)/bin/python app.py

chat: $(VENV)/.dev
	@$(VENV)/bin/python -m demos.chat $(ARGS)

test: $(VENV)/.dev $(CHECKERS)/.dev
	$(VENV)/bin/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-newest: $(NEWEST)/.dev
	$(NEWEST)/bin/python -m pytest tests/contract $(SIDE_BY_SIDE) $(ARGS)

fuzz: $(VENV)/.dev
	$(VENV)/bin/python $(PIP) "atheris>=3,<4"
	$(VENV)/bin/python -m tests.fuzz $$((60 * $(MINUTES)))

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

bench: $(VENV)/.dev $(PEERS)/.dev
	@$(VENV)/bin/python -m demos.bench --peers $(PEERS)/bin/python $(ARGS)

bench-curves: $(VENV)/.dev $(PEERS)/.dev
	@$(VENV)/bin/python -m demos.bench.curves --peers $(PEERS)/bin/python $(ARGS)

clean:
	rm -rf $(VENV) $(NEWEST) $(CHECKERS) $(PEERS) $(AUDIT) infra/local/node_modules tests/clients/node_modules

# Of each requirements file, the versions that were tested; `make lock` takes the newest allowed. The image's additions come
# last: they are installed together with requirements.lock, and take its versions where both have one.
lock: $(VENV)/.dev
	$(VENV)/bin/python $(PIP) uv
	@for file in requirements requirements-dev infra/requirements-azure; do \
		case $$file in \
			infra/*) agreed="--constraints requirements.lock"; what="What the image has besides requirements.lock,";; \
			*) agreed=; what="The versions that the tests run on,";; \
		esac; \
		$(VENV)/bin/uv pip compile --quiet --upgrade $$agreed --universal --python-version 3.11 --generate-hashes --no-header \
			--no-annotate --no-emit-index-url --no-emit-find-links $$file.txt -o $$file.lock.new || exit 1; \
		echo "# $$what with the hashes of their files: made by \`make lock\` from $$file.txt." \
			| cat - $$file.lock.new > $$file.lock; rm $$file.lock.new; done

# Strict: otherwise "No known vulnerabilities found" is also said of packages that could not be looked up.
audit: | $(AUDIT)/bin/python
	$(AUDIT)/bin/python $(PIP) "pip-audit>=2.9,<3"
	@for lock in requirements requirements-dev infra/requirements-azure; do \
		$(AUDIT)/bin/pip-audit --strict --disable-pip --require-hashes -r $$lock.lock || failed=1; \
	done; exit $${failed:-0}

$(VENV)/.run: requirements.lock | $(VENV)/bin/python
	$(VENV)/bin/python $(PIP) --require-hashes -r $<
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/bin/python
	$(VENV)/bin/python $(PIP) --require-hashes -r $<
	@touch $@ $(VENV)/.run

$(NEWEST)/.dev: requirements-newest.txt requirements-newest-peers.txt | $(NEWEST)/bin/python
	$(NEWEST)/bin/python $(PIP) -r $<
	$(NEWEST)/bin/python $(PIP) --no-deps -r requirements-newest-peers.txt
	@touch $@

$(CHECKERS)/.dev: requirements-infra.txt | $(CHECKERS)/bin/python
	$(CHECKERS)/bin/python $(PIP) -r $<
	@touch $@

$(PEERS)/.dev: demos/bench/requirements.txt | $(PEERS)/bin/python
	$(PEERS)/bin/python $(PIP) -r $<
	@touch $@

%/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $*
