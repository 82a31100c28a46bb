# What one does here. CI runs `make ci`, a newcomer `scripts/demo` and `scripts/test`.
.PHONY: demo test bench lint fmt doc deny ci

demo: ## build quickly and serve two demonstration packages
	scripts/demo

test: ## run all tests, installing what they need
	scripts/test

bench: ## compare the release build with what is as fast as can be
	cargo build --release -p kapelle
	benches/hot.py --kapelle target/release/kapelle

lint: ## formatting, clippy without warnings, scripts that parse
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	for script in scripts/* .ci/run; do bash -n "$$script" || exit 1; done

fmt: ## format the code
	cargo fmt --all

doc: ## the libraries' documentation, without warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

deny: ## licences, sources, forbidden and duplicate dependencies, known vulnerabilities
	scripts/deny

ci: ## everything a change must pass
	.ci/run
