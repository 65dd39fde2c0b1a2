# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
#
#   make demo [SECONDS=20] [PORT=8787]   local gateway, simulated robot and bridge, until Ctrl+C
#   make test [ARGS='-k x']  linter, type check and all tests
#   make env                 only set up .venv; PYTHON=/usr/bin/python3.12 takes that python
#   make bench               what it costs, 10 minutes: readers of messages, CPU and memory of the bridge,
#                            what the gateway takes and how fast it answers;
#                            each against its peers in the same run
#   make trials [BAG=…]      kill programs and gateways at random moments, and look for what is missing; two cameras on
#                            a link of 1 Mbit/s, and how late telemetry is;
#                            drive a robot by hand over a bad network, and see it stop in every way;
#                            with BAG=recording also whether its dry run says what the live road gives
#   make lint | types | fix | clean

IN_ENV := ./scripts/in_env.sh

.PHONY: demo env test lint types fix bench trials clean
.DEFAULT_GOAL := demo

demo: env
	@$(IN_ENV) plexus-bridge demo $(if $(SECONDS),--seconds $(SECONDS)) $(if $(PORT),--port $(PORT))

env:
	@./scripts/env.sh

test: lint types
	$(IN_ENV) python -m pytest $(ARGS)

lint: env
	$(IN_ENV) ruff check .

types: env
	$(IN_ENV) mypy

fix: env
	$(IN_ENV) ruff check --fix .

bench: env
	$(IN_ENV) python bench/readers.py
	$(IN_ENV) python bench/bridge_cpu.py
	$(IN_ENV) python bench/video.py
	$(IN_ENV) python bench/gateway_ingest.py
	$(IN_ENV) python bench/python_api.py
	$(IN_ENV) python bench/gateway_queries.py
	$(IN_ENV) python bench/gateway_commands.py
	$(IN_ENV) python bench/delivery.py
	$(IN_ENV) python bench/durability.py

trials: env
	$(IN_ENV) python test/trials/kill_rounds.py
	$(IN_ENV) python test/trials/kill_rounds.py --durability outage --rounds 10
	$(IN_ENV) python test/trials/python_kill_rounds.py
	$(IN_ENV) python test/trials/narrow_link.py
	$(IN_ENV) python test/trials/driving.py
	$(if $(BAG),$(IN_ENV) python test/trials/live_equals_check.py $(BAG))

clean:
	rm -rf .venv build install log *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
