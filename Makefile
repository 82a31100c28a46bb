# What one does here. CI runs `make ci`, a newcomer `scripts/demo` and `scripts/test`.
.PHONY: demo test bench soak fuzz lint fmt doc deny ci

KILLS ?= 1000

demo: ## build quickly and serve two demonstration packages
	scripts/demo

test: ## run all tests, installing what they need
	scripts/test

bench: ## compare the release build with what is as fast as can be
	cargo build --release -p kapelle
	benches/hot.py --kapelle target/release/kapelle
	benches/dists.py --kapelle target/release/kapelle
	benches/imports.py --kapelle target/release/kapelle
	benches/beside.py --kapelle target/release/kapelle
	cargo build --release -p kapelle-registry --example generate
	benches/api.py --kapelle target/release/kapelle
	benches/scale.py --kapelle target/release/kapelle --folder target/scale
	cargo run --release -p kapelle-composer --example matching

soak: ## kill everything 1,000 times, on SQLite and on PostgreSQL; KILLS=100 SEED=7 for other numbers
	cargo build --profile quick -p kapelle --features failpoints
	scripts/soak --kapelle target/quick/kapelle --workers 2 --kills $(KILLS) $(if $(SEED),--seed $(SEED))
	scripts/with-postgres sh -c 'scripts/soak --kapelle target/quick/kapelle --workers 2 --kills $(KILLS) \
	  $(if $(SEED),--seed $(SEED)) --database "$$KAPELLE_TEST_POSTGRES"'

fuzz: ## run every fuzz target for MINUTES=5, or those with NAME=url in their names
	scripts/fuzz $(or $(MINUTES),5) $(NAME)

lint: ## formatting, clippy without warnings, scripts that parse
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	for script in $$(grep -ls '^#!.*bash' scripts/* .ci/run); do bash -n "$$script" || exit 1; done
	for script in $$(grep -ls '^#!.*python' scripts/* benches/*); do \
	  python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$$script" || exit 1; done

fmt: ## format the code
	cargo fmt --all

doc: ## the libraries' documentation, without warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

deny: ## licences, sources, forbidden and duplicate dependencies, known vulnerabilities
	scripts/deny

ci: ## everything a change must pass
	.ci/run
