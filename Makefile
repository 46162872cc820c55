# How long `make fuzz` runs each fuzz target.
FUZZTIME ?= 20s

.PHONY: test test-long run bench pgo results lint fuzz

test:
	go vet ./...
	go test ./...

# The same tests with many more random runs, and those that take minutes.
test-long:
	RINGMAP_LONG=1 go test -count=1 -timeout 60m ./...

run:
	go build -o ringmap . && ./ringmap run scenarios/linux-4vcpu.yaml

# As a release is built: guided by the profile that `make pgo` records.
bench:
	go test -pgo=$(CURDIR)/default.pgo -run '^$$' -bench . -benchmem ./...

# Records default.pgo, which go build finds by its name.
pgo:
	mkdir -p bin
	go test -trimpath -pgo=off -o bin/writes.test -cpuprofile bin/writes.prof -run '^$$' -bench PatternWrites -benchtime 10000000x ./bench
	go test -trimpath -pgo=off -o bin/ring.test -cpuprofile bin/ring.prof -run '^$$' -bench 'Ring$$' ./kvmcore
	go test -trimpath -pgo=off -o bin/core.test -cpuprofile bin/core.prof -run '^$$' -bench 'Core$$' -benchtime 100000000x ./cpu/exec
	go tool pprof -proto bin/writes.prof bin/ring.prof bin/core.prof > default.pgo

# Answers every claim anew: results/index.html.
results:
	go build -o ringmap . && ./ringmap experiment run all --out results

lint:
	@unformatted="$$(gofmt -l .)"; if [ -n "$$unformatted" ]; then echo "gofmt -w is due: $$unformatted"; exit 1; fi
	go vet ./...
	go test -count=1 -run '^(TestRepository|TestRules)$$' .

fuzz:
	FUZZTIME=$(FUZZTIME) bash .ci/fuzz
