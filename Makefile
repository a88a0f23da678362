# Relaykeep: `make help` lists the targets.
# Tools come from test/tools (pinned by its go.mod); the binaries that tests and
# the local cluster need are built from source by test/cluster into a cache outside
# the repository.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION ?= dev
GO ?= go
TOOL := $(GO) tool -modfile=test/tools/go.mod
CLUSTER := bin/cluster
LINT := bin/golangci-lint

# Debian packages of the servers, clients and libraries that tests run against; test/services/install has those
# that would start a service of the machine's, ejabberd and PostgreSQL.
TEST_PACKAGES := curl gcc haproxy libc6-dev libsignal-protocol-c-dev libssl-dev lua-dbi-sqlite3 profanity prosody python3-aiohttp python3-jwcrypto python3-oldmemo \
	python3-slixmpp python3-twomemo python3-xmlschema strace tmux

# Debian packages of the clients that `make clients` drives, and of what it needs: a
# screen and the accessibility interface. npm fetches Converse.js; one that is there will do.
CLIENT_PACKAGES := adwaita-icon-theme at-spi2-core chromium dbus dino-im fonts-dejavu-core fonts-noto-color-emoji \
	gajim gajim-omemo gir1.2-atspi-2.0 imagemagick openbox profanity psi-plus psi-plus-plugins python3-gi tmux xdotool xvfb

# The XMPP server of `make clients`: prosody or ejabberd.
SERVER := prosody

# $(call once,NAME,VALUE), as the value of a variable, has it computed when it is first needed, and only then.
once = $(eval $1 := $2)$2

# The product's packages, and all that are tested without a cluster of nodes. Whole
# packages that need real servers are below test/; elsewhere -short leaves out the tests
# that start one. test/scale has benchmarks alone.
PRODUCT := ./api/... ./charts/... ./cmd/... ./controllers/... ./relay/...
PACKAGES = $(call once,PACKAGES,$(shell $(GO) list ./... | grep -v -e /test/e2e -e /test/demo -e /test/scale))

MODULE = $(call once,MODULE,$(shell $(GO) list -m))

# The packages below folders, and in them.
below = $(filter $(foreach folder,$1,$(MODULE)/$(folder) $(MODULE)/$(folder)/%),$(PACKAGES))

# The race detector slows computing down several times, so only packages whose
# goroutines share memory run under it. Their tests that call test/racing do less under
# it, or nothing, and run without it as well. RACE_AT_NIGHT are whole relays, links, commands and the reconcilers, with real
# servers, and what has so many tests that they would take minutes under it: `make nightly` runs them under it, and here only
# their parts do that begin goroutines (the queue, the writer, the engines).
RACE_AT_NIGHT = $(addprefix $(MODULE)/,cmd/kubectl-relay/internal/command cmd/kubectl-relay/internal/vaultaudit controllers relay/carrier/xmpp relay/message relay/store test/dataplane test/interop test/keys test/link)
# A package that begins no goroutine, neither itself nor in its tests, has nothing to race.
CONCURRENT = $(addprefix $(MODULE)/,$(shell grep -rlE --include='*.go' '^\s*go |"sync|errgroup|chan |httptest|Parallel|AddCleanup' cmd controllers relay test | sed 's|/[^/]*$$||' | sort -u))
RACE = $(call once,RACE,$(filter $(CONCURRENT),$(filter-out $(RACE_AT_NIGHT) $(MODULE)/relay/signal,$(call below,cmd/kubectl-relay controllers/internal/poll relay test/lab test/services/faultproxy))))
# What computes or compiles for long and starts few servers or none, and as much else as makes the halves of `make test` even.
COMPUTING = $(addprefix $(MODULE)/,relay/message relay/store relay/signal relay/receipt test/interop/signalc test/keys controllers/internal/admission) $(call below,test/images test/release)
PLAIN = $(filter-out $(RACE) $(COMPUTING),$(PACKAGES))
# Those whose tests take longest begin first, so that none of them is left alone at the end: go test keeps the order.
LONGEST = $(addprefix $(MODULE)/,test/dataplane controllers cmd/kubectl-relay/internal/command test/interop test/link relay/carrier/xmpp test/keys controllers/internal/admission \
	relay/message relay/store relay/store/internal/postgres)
longest_first = $(filter $1,$(LONGEST)) $(filter-out $(LONGEST),$1)
# SQLite is C that was translated: what it keeps is no memory that Go's detector knows, and under
# it each query takes three times as long.
RACE_FLAGS = -race '-gcflags=modernc.org/...=-dwarf=false -race=false -d=checkptr=0'

EXHAUSTIVE_FILES = $(shell grep -rl --include='*_test.go' '/test/racing"' api charts cmd controllers relay test)
# Elsewhere they run with the others.
EXHAUSTIVE = $(filter $(RACE),$(addprefix $(MODULE)/,$(sort $(patsubst %/,%,$(dir $(EXHAUSTIVE_FILES))))))
EXHAUSTIVE_TESTS = $(shell awk '/^func Test/ { name = $$2; sub(/[^A-Za-z0-9_].*/, "", name) } /racing\.[SE]/ { print "^" name "$$" }' $(EXHAUSTIVE_FILES) | sort -u | paste -sd '|')

# Go collects garbage each time that memory has grown by so much, in percent. Tests' processes are small and soon
# over, so that they, and the servers that they start, spare much of it. A relay's process sets that itself, as in its pod.
TEST_GOGC ?= 400
test-fast test-parts test-servers: export GOGC := $(TEST_GOGC)

# How many packages are tested at once, and how many tests of one that allow it: many wait
# for servers part of the time. More of both leave servers no processor for so long that ejabberd
# forgets what it was to pass on.
PARALLEL ?= 3
TESTS ?= 4

# Where tests keep their files: in memory where there is room, which spares them waiting
# for the disk. Go's testing package has them in GOTMPDIR if that is set. IN_SAME_SCRATCH is the same folder each time, for Go knows a test's
# result again only if its environment is as it was; what a test that was killed left there goes after two hours.
SCRATCH ?= $(shell [ "$$(df --output=avail --block-size=1G /dev/shm 2>/dev/null | tail -n 1)" -ge 8 ] 2>/dev/null && echo /dev/shm || echo $${TMPDIR:-/tmp})
TO_SCRATCH = export GOTMPDIR=$$scratch TMPDIR=$$scratch
IN_SCRATCH = scratch=$$(mktemp -d $(SCRATCH)/relaykeep-test-XXXXXX); trap 'rm -rf "$$scratch"' EXIT; $(TO_SCRATCH)
IN_SAME_SCRATCH = scratch=$(SCRATCH)/relaykeep-tests-$$(id -u); mkdir -p -m 700 "$$scratch"; \
	[ -O "$$scratch" ] || { echo "$$scratch belongs to somebody else: set SCRATCH to another folder" >&2; exit 1; }; \
	find "$$scratch" -mindepth 1 -maxdepth 1 -mmin +120 -exec rm -rf {} +; $(TO_SCRATCH)

# Only the race detector needs a C compiler.
export CGO_ENABLED ?= 0

# How all is compiled, also by the go commands that tools and tests run, so that what the product, its tests and the cluster's programs share is
# compiled once, wherever the checkout is (test/images/binary has the same): without what debuggers need; with one processor for each of the compilers
# that run at once, which takes a quarter less of their time; and without collecting garbage below two gibibytes, which takes up to a sixth less. Few packages
# need half of that. Make's own children have it already.
LEAN := -trimpath -buildvcs=false -gcflags=all=-dwarf=false '-toolexec=env GOMAXPROCS=1 GOGC=off GOMEMLIMIT=2GiB' '-ldflags=-s -w'
ifeq ($(MAKELEVEL),0)
export GOFLAGS := $(strip $(shell $(GO) env GOFLAGS) $(LEAN))
endif

##@ General

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*##"} /^[a-zA-Z_-]+:.*?##/ {printf "  %-16s %s\n", $$1, $$2} /^##@/ {printf "\n%s\n", substr($$0, 5)}' $(MAKEFILE_LIST)

##@ Try it

DEMO = $(GO) run ./test/demo

.PHONY: demo
demo: ## From nothing to a customer's message and back, on a real two-node cluster; leaves it running
	@echo "About a minute once everything is built; the first time about ten, for Kubernetes and Vault are built from source."
	$(DEMO) up

.PHONY: demo-down
demo-down: ## End the demo and its cluster
	$(DEMO) down

.PHONY: cluster-up
cluster-up: $(CLUSTER) ## Start the local two-node cluster; the last line is KUBECONFIG=<path>
	@$(CLUSTER) up

.PHONY: cluster-down
cluster-down: $(CLUSTER) ## End the local cluster and leave nothing behind
	@$(CLUSTER) down

.PHONY: run-relay
run-relay: test-env ## Run one relay with a Vault and a Prosody, without a cluster; DEBUG=1 waits for a debugger at 127.0.0.1:2345
	$(GO) build -o bin/ ./cmd/kubectl-relay
	$(GO) build $(if $(DEBUG),-trimpath=false -gcflags='all=-N -l' -ldflags=) -o bin/run-relay ./test/runrelay
	$(if $(DEBUG),$(GO) build -modfile=test/tools/go.mod -o bin/dlv github.com/go-delve/delve/cmd/dlv)
	@. bin/test.env && exec bin/run-relay $(if $(DEBUG),-debugger bin/dlv)

##@ Build

.PHONY: build
build: ## Build manager, relay and kubectl-relay into bin/
	$(GO) build -ldflags "-s -w -X main.version=$(VERSION)" -o bin/ ./cmd/...

.PHONY: images
images: ## Build the container images (amd64, arm64) into dist/images, without a daemon or a registry
	$(GO) run ./test/images -version $(VERSION)

.PHONY: chart
chart: $(CLUSTER) ## Package the Helm chart into dist/charts
	$(GO) run ./charts/generate
	mkdir -p dist/charts
	helm=$$($(CLUSTER) binary helm | tail -n 1); "$$helm" lint charts/relaykeep && "$$helm" package charts/relaykeep -d dist/charts

.PHONY: release
release: ## Make all that a release VERSION=v1.2.3 has, twice to compare, into dist/VERSION, signed with KEY=file; publishes nothing
	$(GO) run ./test/release -version "$(VERSION)" -key "$(KEY)"

##@ Develop

.PHONY: generate
generate: ## Regenerate CRDs, deep copies, role rules, what the chart takes from them, the API's reference, and pictures
	$(TOOL) controller-gen object paths=./api/v1alpha1
	$(TOOL) controller-gen crd paths=./api/v1alpha1 output:crd:dir=config/crd/bases
	$(TOOL) controller-gen rbac:roleName=relaykeep-manager paths=./controllers/... output:rbac:dir=config/rbac
	$(GO) run ./charts/generate
	$(GO) run ./docs/generate
	$(GO) -C test/tools run ./pictures $(addprefix ../../,$(wildcard docs/pictures/*.dot))

.PHONY: fmt
fmt: ## Format the code
	$(TOOL) gofumpt -w $$(git ls-files '*.go')

.PHONY: lint
lint: $(LINT) ## Lint every module
	$(LINT) run --allow-parallel-runners ./...
	cd test/cluster && ../../$(LINT) run --allow-parallel-runners --config ../../.golangci.yml ./...

# The most files of one package that may need each other.
CIRCLE ?= 6

.PHONY: circles
circles: ## Fail where too many files of a package need each other; CIRCLE says how many may
	$(GO) build -o bin/circles ./test/circles
	bin/circles -max $(CIRCLE) ./...
	cd test/cluster && ../../bin/circles -max $(CIRCLE) ./...

.PHONY: verify
verify: $(LINT) ## Generated files current, formatting, lint, circles of files, vulnerabilities; changes nothing
	$(GO) mod verify >/dev/null
	@hack=$$(mktemp -d); trap 'rm -rf "$$hack"' EXIT; mkdir "$$hack/copy"; \
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$$hack/copy" 2>/dev/null || true; \
	sums() { (cd "$$hack/copy" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }; \
	sums > "$$hack/before"; $(MAKE) -C "$$hack/copy" generate; sums > "$$hack/after"; \
	diff -u "$$hack/before" "$$hack/after" || { echo "generated files are not current: run 'make generate' and commit" >&2; exit 1; }
	@! git grep -nE '^(<<<<<<<|>>>>>>>) ' || { echo "left of a merge: remove them" >&2; exit 1; }
	@unformatted=$$($(TOOL) gofumpt -l $$(git ls-files '*.go')); \
	[ -z "$$unformatted" ] || { echo "not formatted (run 'make fmt'):" $$unformatted >&2; exit 1; }
	$(GO) mod tidy -diff
	$(MAKE) lint circles
	@if curl -fsS -m 10 -o /dev/null https://vuln.go.dev/index/db.json; then $(TOOL) govulncheck ./...; \
	else echo "########## SKIPPED: govulncheck, because https://vuln.go.dev cannot be reached from here ##########"; fi

##@ Test

.PHONY: test-fast
test-fast: ## Unit tests and the reconcilers' steps: about a minute once built, no servers, no root, no C
	$(GO) test -short -vet=off $(PRODUCT)

# What computes gives way to what waits for servers, which runs beside it.
.PHONY: test test-parts test-servers
test: test-env ## Every test that needs no cluster of nodes: real API server, Vault, Prosody, ejabberd; interop
	@said=$$(mktemp); trap 'rm -f "$$said"' EXIT; $(MAKE) -j 2 test-parts test-servers 2>&1 | tee "$$said" || { $(SUM_UP) "$$said" >&2; exit 1; }

# What failed is said once more at the end: each failed test's first lines, and the packages.
SUM_UP = awk 'BEGIN { print "\nfailed:" } /^ *--- FAIL|^panic:|^WARNING: DATA RACE/ { left = 60 } /^(ok|FAIL|[?]|--- PASS|===)/ { left = 0 } left-- > 0 || /^FAIL\t/'

test-parts:
	$(IN_SAME_SCRATCH); . bin/test.env; CGO_ENABLED=1 nice -n 19 $(GO) test -vet=off $(RACE_FLAGS) -p 3 -parallel $(TESTS) -timeout 30m $(call longest_first,$(RACE))
	$(IN_SAME_SCRATCH); . bin/test.env; nice -n 19 $(GO) test -vet=off -parallel $(TESTS) -timeout 30m $(call longest_first,$(COMPUTING))
	$(IN_SAME_SCRATCH); nice -n 19 $(GO) test -vet=off -run '$(EXHAUSTIVE_TESTS)' $(EXHAUSTIVE)
	nice -n 19 $(GO) -C test/cluster test -vet=off ./...

test-servers:
	$(IN_SAME_SCRATCH); . bin/test.env; $(GO) test -vet=off -p $(PARALLEL) -parallel $(TESTS) -timeout 30m $(call longest_first,$(PLAIN))

# What reads from a network that is not trusted, before anything is authenticated; and what a business or a customer wrote.
FUZZ_PACKAGES ?= ./relay/signal ./relay/omemo ./relay/carrier/xmpp ./relay/carrier/xmpp/internal/stanza ./relay/carrier/xmpp/internal/stream \
	./relay/rich ./relay/cloudapi ./relay/jwe ./relay/webhook ./relay/message/internal/record ./relay/parcel ./relay/proof ./relay/store ./relay/witness ./relay/store/internal/postgres ./api/contract
FUZZTIME ?= 60s
FUZZLIMIT ?= 15m

# How many mutated inputs each target gets in CI, the same ones in each run.
FUZZ_INPUTS ?= 5000

.PHONY: fuzz-replay
fuzz-replay: ## Every fuzz target on its corpus and FUZZ_INPUTS mutations of it (5000), the same in each run, as CI does
	RELAYKEEP_FUZZ_INPUTS=$(FUZZ_INPUTS) $(GO) test -run '^Fuzz' -vet=off $(FUZZ_PACKAGES)

.PHONY: fuzz
fuzz: ## Search at random with every fuzz target: FUZZTIME each (60s), two at once; findings are kept below testdata/fuzz. FUZZ_PACKAGES names other packages
	$(GO) run ./test/fuzz -time $(FUZZTIME) -limit $(FUZZLIMIT) $(FUZZ_PACKAGES)

.PHONY: e2e
e2e: ## The tests on the real two-node cluster, and then an upgrade of the last release on another one
	$(GO) test -p 1 -tags e2e -count 1 -timeout 60m -v ./test/e2e/...

.PHONY: clients
clients: test-env ## Converse.js in Chromium, Dino, Gajim, Profanity and Psi+ as customers of a real relay, as a table; SERVER=ejabberd; installs them; no part of CI
	$(CLUSTER) packages $(CLIENT_PACKAGES) $$(command -v npm >/dev/null || echo npm)
	. bin/test.env && $(GO) test -tags clients -count 1 -timeout 15m -v ./test/clients -server $(SERVER)
	$(GO) test -tags clients -count 1 -v ./cmd/kubectl-relay/internal/audit -run InARealBrowser

.PHONY: nightly
nightly: PARALLEL = 2
nightly: test-env ## What is too slow for CI: tests in full, under the race detector where there are goroutines, customers' own clients with each XMPP server
	$(IN_SCRATCH); . bin/test.env; RELAYKEEP_NIGHTLY=1 CGO_ENABLED=1 $(GO) test -vet=off $(RACE_FLAGS) -p $(PARALLEL) -timeout 60m $(RACE) $(RACE_AT_NIGHT) ./charts
	$(MAKE) clients SERVER=prosody
	$(MAKE) clients SERVER=ejabberd

# How many messages `make soak` has, half of them each way; the seed of its faults, 0 for another each time; about how many
# messages there are to each fault, 0 to choose; and where the relay's store is: sqlite or postgres.
N ?= 20000
SEED ?= 0
EVERY ?= 0
STORE ?= sqlite

.PHONY: soak
soak: test-env ## N messages both ways (20000) while everything around a relay breaks, counted at both ends; SEED, EVERY, STORE=postgres
	$(IN_SCRATCH); . bin/test.env; $(GO) test -vet=off -count 1 -timeout 0 -v ./test/soak -soak.n $(N) -soak.seed $(SEED) -soak.every $(EVERY) -soak.store $(STORE)

.PHONY: bench
bench: test-env ## The budgets, each as a ratio against a floor or a peer in the same run; RELAYKEEP_BENCH_DAYS=100 keeps 10 million messages, RELAYKEEP_BENCH_RELAYS=100 has the operator keep 100 relays instead of 1,000
	. bin/test.env; $(GO) run ./test/bench

.PHONY: findings
findings: ## Run findings/, what surprised in public software; ONLY names one. Downloads; no part of CI
	findings/lib/run.sh $(ONLY)

.PHONY: test-env
test-env: $(CLUSTER) ## Install and build what the tests run against; writes bin/test.env
	$(CLUSTER) packages $(TEST_PACKAGES) $$(command -v node >/dev/null || echo nodejs) $$(command -v npm >/dev/null || echo npm)
	$(GO) run ./test/services/install
	$(CLUSTER) binaries >/dev/null
	@mkdir -p bin; { \
	echo "export RELAYKEEP_VAULT=$$($(CLUSTER) binary vault | tail -n 1)"; \
	echo "export RELAYKEEP_VAULT_PLUGINS=$$(dirname "$$($(CLUSTER) binary vault-plugin-auth-kubernetes | tail -n 1)")"; \
	echo "export KUBEBUILDER_ASSETS=$$($(CLUSTER) binary envtest | tail -n 1)"; \
	} > bin/test.env

.PHONY: $(CLUSTER)
$(CLUSTER):
	@CGO_ENABLED=0 $(GO) -C test/cluster build -o ../../$(CLUSTER) .

$(LINT): test/tools/go.sum test/tools/golangci-lint/main.go
	$(GO) -C test/tools build -o ../../$(LINT) ./golangci-lint

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist
