# The targets are short and print what they run. They need only Python >= 3.11 and make.
#   make run     everything, on http://127.0.0.1:5000/   (another port: PORT=5001 make run)
#   make test    the whole suite                         (make test ARGS="tests/clients -x")
#   make e2e     the pages in a real Chromium            (make e2e ARGS="-k panel", make e2e CHROMIUM=/path/to/it)
#                installs Debian's chromium-headless-shell if it is missing (without root: unpacks it into .cache/)
#   make bench   benchmarks, see bench/README.md         (make bench ARGS="throughput")
#   make lock    update requirements.lock after a change to requirements.txt
#   make release install what a production host needs, see docs/operations.md
#   make soak    long tests: kill -9 a hundred times, outages that last days, a gigabyte in one line of an import,
#                50 users clicking while letters are sent, real Exim and Postfix that limit the rate, the verdicts of
#                an installed SpamAssassin
#   make audit   known vulnerabilities of dependencies (if the index has them), unsafe patterns, secrets in
#                the repository; 15 seconds. Without a network the first check is skipped with a message
#   make screenshots  screenshots for README and docs, from the demo's data
#   make assets  reduce Bootstrap's stylesheet and the font to what we use; needs Node.js
# To use another interpreter: make PYTHON=/path/to/python3.12 run

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11 python,$(shell \
	command -v $(name) >/dev/null 2>&1 && $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
ARGS ?=
# Run programs through the interpreter: a virtualenv's scripts fail in a path with spaces.
RUN := .venv/bin/python -m
# uv takes seconds and pip a minute, but pip supports proxies and mirrors that uv does not.
INSTALL = $(RUN) uv pip install -q --compile-bytecode --python .venv/bin/python -r $(1) 2>/dev/null || $(RUN) pip install -q -r $(1)
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard skymailing/translations/*/LC_MESSAGES/messages.po))

.NOTPARALLEL:
.PHONY: run test e2e screenshots assets audit soak bench lint format translations lock release install install-dev clean

run: install
	@$(RUN) flask --app wsgi up --migrate

# With a bytecode cache, test processes need not compile all files again.
test: export PYTHONDONTWRITEBYTECODE =
test: install-dev
	$(RUN) pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

# Four processes, because each often waits for a worker of its service, or for a slow response.
e2e: export PYTHONDONTWRITEBYTECODE =
e2e: install-dev
	@CHROMIUM="$$(sh tests/e2e/chromium.sh)" && export CHROMIUM && set -x && \
	$(RUN) pytest -m e2e -n 4 --dist loadfile tests/e2e $(ARGS)

screenshots: install-dev
	$(RUN) tests.e2e.screenshots

soak: install-dev
	$(RUN) pytest -m soak tests $(ARGS)
	$(RUN) bench crowd mailbox --full

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

assets: install-dev
	@sh tools/bootstrap.sh
	@sh tools/font.sh

translations: install-dev
	$(RUN) babel.messages.frontend -q extract -F babel.cfg -k _l -k lazy_gettext -k lazy_pgettext:1c,2 --add-location=file --no-wrap --sort-by-file -o messages.pot skymailing
	$(RUN) babel.messages.frontend -q update -i messages.pot -d skymailing/translations -l ru --no-fuzzy-matching --ignore-obsolete --no-wrap --ignore-pot-creation-date

# Pin by hash the files that production hosts and the image install. Run this after changing requirements.txt.
lock: install
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(RUN) uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links -o requirements.lock requirements.txt

# Install only what a production host needs, nothing for tests: see docs/operations.md.
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
	@test -n "$(PYTHON)" || { echo "SkyMailing needs Python 3.11 or newer; install it, or specify it: make PYTHON=/path/to/python3.12 run" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11; specify a newer one: make PYTHON=/path/to/python3.12 run" >&2; exit 1; }
	@echo "Creating a virtualenv in .venv ..."
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; echo "Python cannot create a virtualenv; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }
	@$(RUN) pip install -q --disable-pip-version-check uv || true

.venv/installed: requirements.txt | .venv/pyvenv.cfg
	@echo "Installing the dependencies ..."
	@$(call INSTALL,requirements.txt)
	@touch $@

.venv/installed-dev: requirements-dev.txt requirements.txt | .venv/pyvenv.cfg
	@echo "Installing the dependencies of tests and lint ..."
	@$(call INSTALL,requirements-dev.txt)
	@touch $@ .venv/installed

%.mo: %.po | .venv/installed
	@$(RUN) babel.messages.frontend -q compile -i $< -o $@
