# How long `make fuzz` runs each fuzz target.
FUZZTIME ?= 20s

.PHONY: test test-long run bench lint fuzz

test:
	go vet ./...
	go test ./...

# The same tests with many more random runs, and those that take minutes.
test-long:
	RINGMAP_LONG=1 go test -count=1 -timeout 60m ./...

run:
	go build -o ringmap . && ./ringmap run scenarios/linux-4vcpu.yaml

bench:
	go test -run '^$$' -bench . -benchmem ./...

lint:
	@unformatted="$$(gofmt -l .)"; if [ -n "$$unformatted" ]; then echo "gofmt -w is due: $$unformatted"; exit 1; fi
	go vet ./...
	go test -count=1 -run '^(TestRepository|TestRules)$$' .

fuzz:
	@set -e; packages=$$(go list ./...); for package in $$packages; do \
		targets=$$(go test -list '^Fuzz' $$package); for target in $$targets; do case $$target in Fuzz*) \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package;; \
		esac; done; \
	done
