# Everything here works on a fresh clone with Go, git, make and a Debian machine. `make help` lists the targets.
# Tags of the API's own module are not versions of the binary.
VERSION ?= $(shell git describe --tags --match='v[0-9]*' --always --dirty 2>/dev/null || echo dev)
IMAGE   ?= ledgerport:$(VERSION)
# Platforms of the image, and what speaks to the cluster.
IMAGE_PLATFORMS ?= linux/$(shell go env GOARCH)
KUBECTL         ?= kubectl
# What is deployed: config/jobs has attempts in pods of their own.
CONFIG          ?= config/default
CLAIMS  ?= 100000
KILLS   ?= 25
SEED    ?= 1
LDFLAGS := -s -w -X github.com/ledgerport/ledgerport/command.version=$(VERSION)

TOOLS         := go tool -modfile=hack/tools/go.mod
VALE          := go tool -modfile=hack/tools/vale/go.mod vale --no-global
GOLANGCI_LINT := go tool -modfile=hack/tools/golangci-lint/go.mod golangci-lint

ACTIONLINT    := go -C hack/release tool actionlint
KREW_VALIDATE := go tool -modfile=hack/tools/krew/go.mod validate-krew-manifest
RELEASE       := go -C hack/release run .

HELM          := go -C test/helm tool helm
# A chart's version is a semantic version: without a tag, 0.0.0 and the commit.
CHART_VERSION ?= $(shell echo '$(VERSION)' | sed -E 's/^v?([0-9]+\.[0-9]+\.[0-9]+)/\1/; t; s/.*/0.0.0-g&/')
# Pages are those of a release, or of the branch.
SITE_VERSION ?= $(or $(shell git describe --tags --exact-match --match='v[0-9]*' 2>/dev/null),main)
# When what is checked out was committed: a package has the same bytes whenever and wherever it is made.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.DEFAULT_GOAL := help
.PHONY: help build generate manifests chart site fmt lint test demo balance fuzz bench bench-apply bench-receipts bench-hostile bench-herd bench-console bench-guests bench-storm bench-fleet bench-history bench-shared watermark chaos nightly image release release-twice release-commit compatibility deploy undeploy kueue-image e2e e2e-nightly

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the one binary into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ledgerport ./cmd/ledgerport

generate: ## Generate deep copies of the API's types, the tables of options in docs/exporters, and the go.mod of the API, the examples and of tests with modules of their own
	cd api && $(subst -modfile=,-modfile=../,$(TOOLS)) controller-gen object paths=./...
	go run ./hack/options-table
	go -C api mod tidy
	go -C examples/exporter mod tidy
	go -C examples/application mod tidy
	go -C test/helm mod tidy
	go -C test/kueue mod tidy
	go -C test/openapi mod tidy
	go -C test/observability mod tidy

manifests: ## Generate CRDs, their pages in docs/reference, the operator's role, and what the chart has from both, from config/ and from the manager's flags; dashboards and the plain file of alerts
	cd api && $(subst -modfile=,-modfile=../,$(TOOLS)) controller-gen crd paths=./... output:crd:dir=../config/crd/bases
	go run ./hack/api-reference
	$(TOOLS) controller-gen rbac:roleName=ledgerport-manager paths=./internal/controller/... output:rbac:dir=config/rbac/operator
	go -C hack/monitoring run .
	go run ./hack/chart

fmt: ## Format all Go code
	$(GOLANGCI_LINT) fmt ./...

lint: ## Lint all Go code, dependency directions included, and the English of code and pages; render the directories of config that are applied; lint the chart
	$(GOLANGCI_LINT) run --allow-parallel-runners ./...
	cd api && $(subst -modfile=,-modfile=../,$(GOLANGCI_LINT)) run --allow-parallel-runners ./...
	cd hack/monitoring && $(subst -modfile=,-modfile=../../,$(GOLANGCI_LINT)) run --allow-parallel-runners ./...
	cd test/observability && $(subst -modfile=,-modfile=../../,$(GOLANGCI_LINT)) run --allow-parallel-runners ./...
	cd test/helm && $(subst -modfile=,-modfile=../../,$(GOLANGCI_LINT)) run --allow-parallel-runners ./...
	cd test/kueue && $(subst -modfile=,-modfile=../../,$(GOLANGCI_LINT)) run --allow-parallel-runners ./...
	cd hack/site && $(subst -modfile=,-modfile=../../,$(GOLANGCI_LINT)) run --allow-parallel-runners ./...
	cd hack/release && $(subst -modfile=,-modfile=../../,$(GOLANGCI_LINT)) run --allow-parallel-runners ./...
	cd test/openapi && $(subst -modfile=,-modfile=../../,$(GOLANGCI_LINT)) run --allow-parallel-runners ./...
	cd examples/application && $(subst -modfile=,-modfile=../../,$(GOLANGCI_LINT)) run --allow-parallel-runners ./...
	$(VALE) --output=line .
	$(TOOLS) kustomize build config/default >/dev/null
	$(TOOLS) kustomize build config/lockdown >/dev/null
	$(TOOLS) kustomize build config/books >/dev/null
	$(TOOLS) kustomize build config/exports-volume >/dev/null
	$(TOOLS) kustomize build config/jobs >/dev/null
	$(TOOLS) kustomize build config/console >/dev/null
	$(TOOLS) kustomize build config/console/impersonating >/dev/null
	$(TOOLS) kustomize build config/quota >/dev/null
	$(TOOLS) kustomize build config/admission >/dev/null
	$(TOOLS) kustomize build config/stamps >/dev/null
	$(TOOLS) kustomize build config/network-policy >/dev/null
	$(TOOLS) kustomize build config/prometheus >/dev/null
	$(TOOLS) kustomize build config/grafana >/dev/null
	$(TOOLS) kustomize build config/argocd >/dev/null
	$(HELM) lint --strict --quiet ../../charts/ledgerport
	$(ACTIONLINT) -pyflakes= $(addprefix ../../,$(wildcard .github/workflows/*.yaml))

test: ## Run all tests, against real servers of all that the operator speaks to; what they say is looked through for secrets
	go run ./hack/with-environment -scan sh -c 'go test -v -count=1 -timeout=40m ./... && go -C api test -v -count=1 ./... && go -C examples/exporter test -v -mod=mod -count=1 ./... && go -C examples/application test -v -mod=mod -count=1 ./... && go -C test/openapi test -v -mod=mod -count=1 ./... && go -C test/helm test -v -mod=mod -count=1 ./... && go -C test/observability test -v -mod=mod -count=1 ./... && go -C hack/monitoring test -v -count=1 ./... && go -C hack/site test -v -count=1 ./... && go -C hack/release test -v -count=1 ./...'

chart: ## Package the Helm chart into dist/, with the version of the tag, the same bytes each time (CHART_VERSION=1.2.3)
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) $(HELM) package ../../charts/ledgerport --version='$(CHART_VERSION)' --app-version='$(VERSION)' --destination=../../dist

site: ## Render docs/ as a static site into dist/site/SITE_VERSION, without a network, the same bytes each time (SITE_VERSION=v1.2.3)
	go -C hack/site run . -version='$(SITE_VERSION)' -commit='$(shell git rev-parse HEAD)' -into=../../dist/site

demo: ## Do the main job once on real parts (EXPORTER=type shows that one, KEEP=1 keeps everything running)
	go run ./hack/demo $(if $(EXPORTER),-exporter=$(EXPORTER)) $(if $(KEEP),-keep)

balance: ## Check that random vouchers sum to zero in every currency (VOUCHERS=n)
	go test -count=1 -timeout=2h ./ledger -run TestRandomVouchersSumToZero -v -vouchers=$(or $(VOUCHERS),200000)

fuzz: ## Run every fuzz target, DURATION=10m each, JOBS=1 at once (TARGET=regexp for some of them)
	go run ./hack/fuzz -duration=$(or $(DURATION),10m) -jobs=$(or $(JOBS),1) $(if $(TARGET),-target='$(TARGET)')

bench: ## Measure the pipeline against a plain COPY (CLAIMS=n, EXPORTER=type, MAX_SECONDS=s, ROW_SECURITY=1 for a second time under it, EVERY_KIND=1 for a second time with cards, splits and reverse charge)
	@go run ./hack/bench -claims=$(CLAIMS) $(if $(EXPORTER),-exporter=$(EXPORTER)) $(if $(MAX_SECONDS),-max-seconds=$(MAX_SECONDS)) $(if $(ROW_SECURITY),-row-security) $(if $(EVERY_KIND),-every-kind)

chaos: ## Kill, stop and cut off everything while claims are exported, then check (KILLS=n, SEED=s, DURATION=d, AT_MOST=d; EXECUTOR=job with IMAGE on the cluster of KUBECONFIG)
	@go run ./test/chaos -kills=$(KILLS) -seed=$(SEED) $(if $(DURATION),-duration=$(DURATION)) $(if $(AT_MOST),-at-most=$(AT_MOST)) $(if $(filter job,$(EXECUTOR)),-executor=job -image='$(IMAGE)')

bench-apply: ## Measure the time from applying a due export of 500 claims to its success
	@go run ./hack/bench -claims=500 -apply=20

bench-receipts: ## Measure an export with receipts of 200 kB from bucket to bucket against a plain parallel copy of them (RECEIPTS=n)
	@go run ./hack/bench -receipts=$(or $(RECEIPTS),10000)

bench-hostile: ## Measure requests of one tenant while eight hostile ones attack (DURATION=75s, REQUESTS=20): p95 at most 3 times the quiet one
	@go run ./hack/bench -claims=500 -hostile=$(or $(DURATION),75s) $(if $(REQUESTS),-requests=$(REQUESTS))

bench-herd: ## Measure EXPORTS=200 exports of 50 claims each that are due in the same second: seconds, and what a run costs each process
	@go run ./hack/bench -herd=$(or $(EXPORTS),200)

bench-console: ## Measure how long the console takes to answer requests for runs, quietly and while EXPORTS=1000 exports run: p99 at most 200 ms
	@go run ./hack/bench -console=$(or $(EXPORTS),1000)

bench-guests: ## Measure how much longer runs of 500 claims take while GUESTS=10000 requests wait at the console: p50 at most 1.1 times the quiet one (REQUESTS=10)
	@go run ./hack/bench -claims=500 -guests=$(or $(GUESTS),10000) -requests=$(or $(REQUESTS),10)

bench-storm: ## Measure how long an edit waits while EXPORTS=1000 exports are told that the source which they share is broken
	@go run ./hack/bench -storm=$(or $(EXPORTS),1000)

bench-fleet: ## Measure an operator with EXPORTS=1000 exports of which none is due, SOURCES=100 with sources and destinations of their own: first start, restart, rest
	@go run ./hack/bench -fleet=$(or $(EXPORTS),1000) -sources=$(or $(SOURCES),100)

bench-history: ## Measure a run with NEW=1000 claims of an organisation that has exported EXPORTED=1000000, against the same run in an empty ledger (MAX_RATIO=r)
	@go run ./hack/bench -history=$(or $(EXPORTED),1000000) -new=$(or $(NEW),1000) $(if $(MAX_RATIO),-max-ratio=$(MAX_RATIO))

bench-shared: ## Measure a run of 5,100 claims against one of 4,900, in tables in which others have OTHERS=2000000
	@go run ./hack/bench -shared=$(or $(OTHERS),2000000)

watermark: ## Compare what runs take with what a plain query says in INTERLEAVINGS=1000000 random histories of a model, and HISTORIES=2000 of them in a database (SEED=s)
	LEDGERPORT_INTERLEAVINGS=$(or $(INTERLEAVINGS),1000000) LEDGERPORT_HISTORIES=$(or $(HISTORIES),2000) LEDGERPORT_SEED=$(or $(SEED),1) go run ./hack/with-environment go test -timeout=0 -count=1 ./internal/claims -run 'TestWatermark$$' -v

nightly: ## What is too long for each change: chaos with 200 kills for each seed of SEEDS, every fuzz target, three benchmarks, the versions of the servers, the release twice, and make e2e-nightly on a cluster that is started for it (CLUSTER=directory, as .ci/e2e has it)
	for seed in $(or $(SEEDS),1 2 3 4 5); do $(MAKE) chaos KILLS=200 SEED=$$seed || exit; done
	$(MAKE) bench bench-apply bench-hostile compatibility
	$(MAKE) fuzz
	$(MAKE) release-twice
	$(if $(CLUSTER),.ci/e2e '$(CLUSTER)' nightly)

image: ## Build the container image for Linux into dist/image.tar, on any machine (IMAGE=name, IMAGE_PLATFORMS=linux/amd64,linux/arm64, PUSH=1 to its registry)
	$(RELEASE) image -version='$(VERSION)' -date=$(SOURCE_DATE_EPOCH) -tag='$(IMAGE)' -platforms='$(IMAGE_PLATFORMS)' -into=../../dist/image.tar $(if $(PUSH),-push)

release: ## Make everything of a version in dist/, without a network; publishing it is in .github/workflows/release.yaml (PLATFORMS=linux/amd64,…)
	rm -rf dist
	$(RELEASE) all -version='$(VERSION)' -date=$(SOURCE_DATE_EPOCH) -into=../../dist $(if $(PLATFORMS),-platforms='$(PLATFORMS)')
	$(KREW_VALIDATE) -skip-install -manifest=dist/krew/ledgerport.yaml

release-twice: ## Make the release of all platforms twice, the second time with nothing of what the first has compiled, and compare every byte
	LEDGERPORT_RELEASE=all go -C hack/release test -v -count=1 -timeout=3h -run 'TestTwoBuildsHaveTheSameBytes|TestTheCommandCompilesForWindows' .

release-commit: ## Write into go.mod what a version has in place of a replacement, to be committed and tagged (VERSION=v1.2.3)
	$(RELEASE) modules -version='$(VERSION)' -into=../..

deploy: ## Install CRDs and operator into the cluster of KUBECONFIG (IMAGE=name that the cluster can pull or has, CONFIG=config/jobs, FORCE=1 takes over fields that others have set since)
	@leaving=$$($(KUBECTL) get crd -o jsonpath='{range .items[?(@.metadata.deletionTimestamp)]}{.metadata.name}{"\n"}{end}' | grep 'accounting\.ledgerport\.dev$$'); \
	  if [ -n "$$leaving" ]; then echo "these are still being deleted; let 'make undeploy' end first:" $$leaving >&2; exit 1; fi
	$(TOOLS) kustomize build $(CONFIG) | sed 's#image: ledgerport:dev$$#image: $(IMAGE)#' | $(KUBECTL) apply --server-side $(if $(FORCE),--force-conflicts) -f -
	$(TOOLS) kustomize build config/crd | $(KUBECTL) wait --for=condition=Established --timeout=60s -f -

undeploy: ## Let unfinished runs give their claims back, then remove every resource, the CRDs and the operator; what the databases record stays (TIMEOUT=120s a step, FORCE=1)
	@manifests=$$(mktemp) && trap 'rm -f "$$manifests"' EXIT && $(TOOLS) kustomize build $(CONFIG) >"$$manifests" && \
	  KUBECTL='$(KUBECTL)' TIMEOUT=$(or $(TIMEOUT),120s) FORCE=$(FORCE) hack/undeploy.sh "$$manifests"

compatibility: ## Test with every version of the servers, and write the table of docs/compatibility.md (KUBERNETES=v1.30.14,…, ONLY='PostgreSQL 14')
	go run ./hack/compatibility $(if $(KUBERNETES),-kubernetes='$(KUBERNETES)') $(if $(ONLY),-only='$(ONLY)')

kueue-image: ## Build the image of Kueue's controller from its module into dist/kueue.tar, for make e2e-nightly (KUEUE_IMAGE=name)
	mkdir -p dist
	go -C test/kueue run . -image='$(or $(KUEUE_IMAGE),kueue:dev)' -into=../../dist/kueue.tar

e2e: ## Deploy IMAGE into the cluster of KUBECONFIG and test it there, with the External Secrets Operator (ESO_IMAGE=name), upgraded from a release before (BEFORE=its sources, BEFORE_IMAGE=name), with Helm and with Jobs
	E2E_IMAGE=$(IMAGE) E2E_ESO_IMAGE=$(ESO_IMAGE) E2E_BEFORE=$(BEFORE) E2E_BEFORE_IMAGE=$(BEFORE_IMAGE) go test -count=1 -v -tags e2e -timeout 40m -skip '$(E2E_NIGHTLY)' ./test/e2e

E2E_NIGHTLY := ^(TestHostileSourcesOnACluster|TestKueueOnACluster)$$

e2e-nightly: ## What make e2e leaves out because it is long: databases that send without an end to attempts in pods, queues of Kueue (KUEUE_IMAGE=name), and chaos with attempts in pods (KILLS=n, SEED=s)
	E2E_IMAGE=$(IMAGE) E2E_KUEUE_IMAGE=$(KUEUE_IMAGE) go test -count=1 -v -tags e2e -timeout 60m -run '$(E2E_NIGHTLY)' ./test/e2e
	$(MAKE) chaos EXECUTOR=job IMAGE='$(IMAGE)'
