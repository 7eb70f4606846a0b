# make run    the daemon in the foreground, on 127.0.0.1:5000, its cache in ./var
# make demo   an upstream, the daemon and a client on this machine alone: MISS, then HIT
# make test   the whole suite; UNIT=1 leaves the real servers and clients out
# make pictures  those of the README, of the web UI; and every page of it, under build/ui
# make lint   ruff and mypy, and TypeScript for the web UI
# make docs   writes docs/configuration.md and etc/regcache.yml anew from the schema
# make package-test  the Debian package, built and tried in a clean Debian 13; as root
# make bench  side by side with docker-registry, nginx and varnish; QUICK=1 for two minutes

PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
OLDEST_TWISTED := 24.11.0
TOOLS := .venv-tools
UI_TOOLS := tools/ui
LANES := 4
# "compat" puts the checkout itself on the path, so that twistd finds the plugin in it.
INSTALL := -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat

.PHONY: package-test venv run demo test test-one bench docs pictures lint format clean

venv: $(VENV)/.installed

$(VENV)/.installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(INSTALL) -e '.[test,lint]'
	touch $@

$(OLDEST)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python $(INSTALL) -e '.[test]' 'Twisted == $(OLDEST_TWISTED)'
	touch $@

# Programs that tests use and that want other versions of libraries than the tests do.
$(TOOLS)/.installed: Makefile
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check sslyze kubernetes-validate
	touch $@

# What checks the scripts of the web UI and looks at its pages; nothing of it is shipped.
$(UI_TOOLS)/node_modules/.installed: $(UI_TOOLS)/package.json $(UI_TOOLS)/package-lock.json
	npm --prefix $(UI_TOOLS) ci --no-audit --no-fund --loglevel=error
	touch $@

run: venv
	$(VENV)/bin/python tools/first_run.py var
	exec $(VENV)/bin/twistd -n --pidfile= regcache -c var/regcache.yml

demo: venv
	exec $(VENV)/bin/python tools/demo.py

# Everything on the newest Twisted, the unit tests once more on the oldest supported one. As
# many modules of the integration tests as LANES run side by side; 4 keep two cores busy.
ifdef UNIT
test: venv
	$(VENV)/bin/python tests/run.py --unit
else
test: venv $(OLDEST)/.installed $(TOOLS)/.installed $(UI_TOOLS)/node_modules/.installed
	exec $(VENV)/bin/python tests/run.py --lanes $(LANES) --oldest $(OLDEST)/bin/python
endif

# make test-one NAME=tests.integration.test_thin_thread
test-one: venv
	$(VENV)/bin/python tests/run.py $(NAME)

# Needs root, mmdebstrap and apt's own sources, and nothing of the checkout's environment.
package-test:
	tools/test-package build/package

# make bench QUICK=1 PROFILE=1 PEERS=DNR WORK="cold paced"; see benchmarks/README.md
bench: venv
	$(VENV)/bin/python -m benchmarks $(if $(QUICK),--quick) $(if $(PROFILE),--profile) \
		$(if $(PEERS),--peers $(PEERS)) $(WORK)

# docs/configuration.md and etc/regcache.yml, from the keys in regcache/config
docs: venv
	$(VENV)/bin/python tools/write_reference.py

pictures: venv
	$(VENV)/bin/python tools/ui_pictures.py
	$(VENV)/bin/python tools/ui_pages.py

lint: venv $(UI_TOOLS)/node_modules/.installed
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(UI_TOOLS)/node_modules/.bin/tsc -p $(UI_TOOLS)

format: venv
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

clean:
	rm -rf $(VENV) $(OLDEST) $(TOOLS) $(UI_TOOLS)/node_modules build dist var *.egg-info _trial_temp* .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
