# Two commands do everything on a fresh Debian 12: `make run` and `make test`.

BUILD := build
JOBS  := $(shell nproc)

.PHONY: run test full build packages packages-full format style bench conformance clean

run: build
	scripts/demo.sh

build: packages
	@cmake --preset release >$(BUILD)-configure.log 2>&1 || { cat $(BUILD)-configure.log; exit 1; }
	@mv $(BUILD)-configure.log $(BUILD)/configure.log
	@cmake --build $(BUILD) -j $(JOBS)

packages:
	@scripts/install-packages.sh

packages-full:
	@scripts/install-packages.sh full

# The fast set: formatting, unit tests, cases; a minute or two after the build.
test: build
	scripts/run_tests.py fast

# What CI runs after it: static analysis, the official suite, sanitizer builds, stress, slow cases.
full: packages-full build
	scripts/run_tests.py full

bench: build
	bench/run.py

# The programs' own test suites, here and on the host, against the tables in docs/conformance; an hour on two cores.
conformance: build
	@tests/conformance/run.py

format:
	git ls-files '*.cc' '*.h' | xargs clang-format-19 -i

style: packages-full build
	scripts/check_style.py format readmes tidy

clean:
	rm -rf build build-*
