# Thin: each target says what it runs. Needs Python >= 3.11 and make, nothing else.
#   make run     everything, on http://127.0.0.1:5000/   (PORT=5001 make run for another port)
#   make test    the whole suite                         (make test ARGS="tests/clients -x")
#   make e2e     the pages in a real Chromium            (make e2e ARGS="-k panel", make e2e CHROMIUM=/path/to/it)
#                installs Debian's chromium when there is none, or unpacks it into .cache/ without root
#   make bench   how fast it is, see bench/README.md     (make bench ARGS="throughput")
#   make lock    requirements.lock anew, after a change of requirements.txt
#   make release what a production host needs, see docs/operations.md
#   make soak    what takes long: kill -9 a hundred times, outages of days, a line of a gigabyte in an import,
#                50 people clicking while letters go out
#   make audit   known faults of what we install (where the index tells any), unsafe patterns, secrets in the
#                repository; a quarter of a minute, and without a network it says that the first was skipped
#   make screenshots  pictures of the pages for README and docs, from the demo's data
#   make assets  Bootstrap's stylesheet, reduced to what pages use; needs Node.js
# Another interpreter: make PYTHON=/path/to/python3.12 run

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11 python,$(shell \
	command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
ARGS ?=
# Always through the interpreter: scripts in a virtualenv fail below a path with spaces.
RUN := .venv/bin/python -m
# uv needs seconds where pip needs a minute; pip knows proxies and mirrors that uv does not.
INSTALL = $(RUN) uv pip install -q --python .venv/bin/python -r $(1) 2>/dev/null || $(RUN) pip install -q -r $(1)
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard skymailing/translations/*/LC_MESSAGES/messages.po))

.NOTPARALLEL:
.PHONY: run test e2e screenshots assets audit soak bench lint format translations lock release install install-dev clean

run: install
	@$(RUN) flask --app wsgi up --migrate

test: install-dev
	$(RUN) pytest -n 3 --dist loadfile $(ARGS)

e2e: install-dev
	@CHROMIUM="$$(sh tests/e2e/chromium.sh)" && export CHROMIUM && set -x && \
	$(RUN) pytest -m e2e -n 2 --dist loadfile tests/e2e $(ARGS)

screenshots: install-dev
	$(RUN) tests.e2e.screenshots

soak: install-dev
	$(RUN) pytest -m soak tests $(ARGS)
	$(RUN) bench crowd --full

lint: install-dev
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	@sh tools/eslint.sh

audit: install-dev
	.venv/bin/python .ci/audit.py

format: install-dev
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: install-dev
	$(RUN) bench $(ARGS)

assets:
	@sh tools/bootstrap.sh

translations: install-dev
	$(RUN) babel.messages.frontend -q extract -F babel.cfg -k _l -k lazy_gettext -k lazy_pgettext:1c,2 --add-location=file --no-wrap --sort-by-file -o messages.pot skymailing
	$(RUN) babel.messages.frontend -q update -i messages.pot -d skymailing/translations -l ru --no-fuzzy-matching --ignore-obsolete --no-wrap --ignore-pot-creation-date

# The exact files, by hash, that a production host or an image installs: after each change of requirements.txt.
lock: install
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(RUN) uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links -o requirements.lock requirements.txt

# What a production host needs of this directory, and nothing for tests: see docs/operations.md.
release: .venv/pyvenv.cfg
	$(RUN) pip install -q --disable-pip-version-check --require-hashes --no-deps --only-binary :all: --no-binary crontab -r requirements.lock
	$(RUN) babel.messages.frontend -q compile -d skymailing/translations
	$(RUN) compileall -q wsgi.py config.py skymailing migrations

install: .venv/installed $(CATALOGUES)

install-dev: .venv/installed-dev $(CATALOGUES)

clean:
	rm -rf .venv .cache node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis $(CATALOGUES)
	find skymailing migrations tests -name __pycache__ -prune -exec rm -rf {} +

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "SkyMailing needs Python 3.11 or newer; install it, or name it: make PYTHON=/path/to/python3.12 run" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=/path/to/python3.12 run" >&2; exit 1; }
	@echo "Making a virtualenv in .venv ..."
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; echo "Python cannot make a virtualenv; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }
	@$(RUN) pip install -q --disable-pip-version-check uv || true

.venv/installed: requirements.txt | .venv/pyvenv.cfg
	@echo "Installing what the service needs ..."
	@$(call INSTALL,requirements.txt)
	@touch $@

.venv/installed-dev: requirements-dev.txt requirements.txt | .venv/pyvenv.cfg
	@echo "Installing what tests and lint need ..."
	@$(call INSTALL,requirements-dev.txt)
	@touch $@ .venv/installed

%.mo: %.po | .venv/installed
	@$(RUN) babel.messages.frontend -q compile -i $< -o $@
