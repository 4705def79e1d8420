# `make help` lists the targets. Only `setup` installs packages; `test`, `demo`, `compare` and `soak` run it first.
# `build`, `rock` and `pack` install nothing: they name what is missing, and fail.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup build rock pack test demo compare soak clean

SCENARIO ?= tour
ARGS ?=

# The Tarantool with which `test`, `demo`, `compare` and `soak` run everything: a path, or a name on the PATH. One from a
# path is of use below other directories, too.
TARANTOOL ?= tarantool
override TARANTOOL := $(if $(findstring /,$(TARANTOOL)),$(abspath $(TARANTOOL)),$(TARANTOOL))
export TARANTOOL

# Offered to cargo, a jobserver that it cannot join makes it complain.
unexport MAKEFLAGS

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing (Debian packages; cargo must be there)
	@scripts/setup.sh

build: ## build the native part: target/release/libmembership.so
	@scripts/setup.sh check build
	@cargo build --release --locked --package membership --package membershipctl

rock: ## build the rock and install it into ./.rocks
	@scripts/setup.sh check rock
	@scripts/rock.sh make

pack: ## build the rock and pack it for this platform as scm-1 and as the present version, and its source (VERSION=2.5.3-1: as that)
	@scripts/setup.sh check pack
	@scripts/rock.sh make
	@scripts/rock.sh $(if $(VERSION),pack-as $(VERSION),pack)

test: setup rock ## setup, then check everything (TARANTOOL=/path/to/another)
	@scripts/test.sh

demo: setup rock ## setup, then watch five instances meet, die and return (SCENARIO=tour, partition, loss, stall, rotate)
	@"$$TARANTOOL" examples/demo.lua $(SCENARIO)

compare: setup rock ## setup, then measure real groups, and compare with the goals, membership 2.x and serf (ARGS="--runs 1 idle")
	@bench/compare $(ARGS)

soak: setup rock ## setup, then half an hour of faults for real processes, checked after each heap of them (SOAK_MINUTES, SOAK_INSTANCES, SOAK_SEED)
	@bench/soak

clean: ## remove what was built
	@rm -rf target .rocks build.luarocks membership-scm-1.tar.gz ./*.rock
