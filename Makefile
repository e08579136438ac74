# The front door: `make help` tells what there is.

PREFIX ?= /usr/local
CARGO ?= cargo
export CARGO
BINARY = target/release/queuemail
MUSL = $(shell uname -m)-unknown-linux-musl

.PHONY: help
help: ## Show this
	@echo 'make TARGET [PREFIX=$(PREFIX)] [DESTDIR=] [CASES="fetch-a idle-a"] [SECONDS=$(SECONDS)]'
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || \
		sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1  \2/p' Makefile

.PHONY: build
build: ## Build the program: target/release/queuemail
	scripts/need build
	scripts/build

.PHONY: demo
demo: ## See it work: a stand-in of Microsoft 365 on this machine, and the real program
	scripts/need build
	$(CARGO) run --locked --quiet --example sandbox

.PHONY: demo-fleet
demo-fleet: ## See two hosts share a state in PostgreSQL, and one of them killed: each message comes once
	scripts/need demo-fleet
	$(CARGO) run --locked --quiet --example fleet

.PHONY: test
test: ## Run every test, with real Dovecot and Postfix (as root, or by sudo)
	scripts/need test
	scripts/test

# Of each campaign; with 40 all take a quarter of an hour on two cores.
SECONDS = 40

.PHONY: soak
soak: ## Every fault campaign of `make test`, whole, with counts, and a minute of each fuzzer; SECONDS=… for each campaign at most
	scripts/need test
	QUEUEMAIL_SOAK=$(SECONDS) RUST_TEST_NOCAPTURE=1 scripts/test --test tests campaigns
	QUEUEMAIL_SOAK=$(SECONDS) RUST_TEST_NOCAPTURE=1 scripts/test --lib campaigns
	scripts/fuzz 60

.PHONY: fuzz
fuzz: ## Fuzz every reader of hostile input, guided by coverage; SECONDS=… for each
	scripts/need build
	scripts/fuzz $(SECONDS)

.PHONY: bench
bench: ## Measure against mbsync, getmail, fetchmail, mpop and msmtp; CASES="…" chooses
	scripts/need bench
	$(CARGO) bench --locked --bench peers -- $(CASES)

.PHONY: lint
lint: ## Check format, clippy, and dependencies where cargo-deny is installed
	scripts/need build
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then \
		$(CARGO) deny --offline check bans licenses sources; \
	else \
		echo 'lint: cargo-deny is not installed, dependencies are not checked (cargo install cargo-deny)'; \
	fi

.PHONY: elsewhere
elsewhere: ## Check that the Rust sources compile for macOS and FreeBSD (nothing is run)
	scripts/elsewhere

.PHONY: advisories
advisories: ## Check the dependencies against RustSec's advisories (needs cargo-deny and the network)
	scripts/advisories

# Under sudo there may be no cargo: what `make build` made is installed.
$(BINARY):
	$(MAKE) build

# Where zsh looks; Debian's packages use share/zsh/vendor-completions.
ZSH_COMPLETIONS = $(PREFIX)/share/zsh/site-functions
# SENDMAIL=1 also makes the program the system's sendmail.
SENDMAIL =

.PHONY: install
install: $(BINARY) install-files ## Install below PREFIX; SENDMAIL=1 adds the link sbin/sendmail

.PHONY: install-files
install-files:
	install -D -m 755 $(BINARY) '$(DESTDIR)$(PREFIX)/bin/queuemail'
	@for page in man/*.[1-8]; do \
		install -D -m 644 "$$page" "$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}"; \
	done
	@[ ! -e completions/queuemail.bash ] || install -D -m 644 completions/queuemail.bash \
		'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/queuemail'
	@[ ! -e completions/_queuemail ] || install -D -m 644 completions/_queuemail \
		'$(DESTDIR)$(ZSH_COMPLETIONS)/_queuemail'
	@[ ! -e completions/queuemail.fish ] || install -D -m 644 completions/queuemail.fish \
		'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/queuemail.fish'
	install -D -m 644 examples/queuemail.yaml \
		'$(DESTDIR)$(PREFIX)/share/doc/queuemail/examples/queuemail.yaml'
	@install -m 644 README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md \
		'$(DESTDIR)$(PREFIX)/share/doc/queuemail'
	@install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/doc/queuemail/docs' docs/*.md
	@[ ! -d docs/pictures ] || install -D -m 644 -t \
		'$(DESTDIR)$(PREFIX)/share/doc/queuemail/docs/pictures' docs/pictures/*.png
	@[ -z '$(SENDMAIL)' ] || { mkdir -p '$(DESTDIR)$(PREFIX)/sbin' && \
		ln -sfn ../bin/queuemail '$(DESTDIR)$(PREFIX)/sbin/sendmail'; }

.PHONY: deb
deb: build ## Make a Debian package: target/package/queuemail_*.deb; MAINTAINER='Name <address>'
	scripts/need deb
	packaging/deb $(BINARY)

.PHONY: reproducible
reproducible: ## Make all files of a release twice, in two folders: the same bytes?
	scripts/need build
	scripts/need deb
	scripts/need release
	scripts/reproducible

.PHONY: static
static: ## Build a program that needs no libraries: target/*-linux-musl/release/queuemail
	scripts/need static
	scripts/build --features vendored-tls --target $(MUSL)

.PHONY: release
release: ## Make all files of a release: target/dist/VERSION; MINISIGN_KEY=… signs (docs/releasing.md)
	scripts/need build
	scripts/release

# Where the repository is, and what goes into it.
APT_REPO = target/apt
DEBS = $(wildcard target/dist/*/*.deb)

.PHONY: apt-repo
apt-repo: ## Put the Debian packages of releases into APT_REPO=target/apt, signed by GPG_KEY=…
	scripts/need apt-repo
	GPG_KEY='$(GPG_KEY)' packaging/apt-repo '$(APT_REPO)' $(DEBS)

.PHONY: test-release
test-release: ## Install and run what a release offers, as root: apt repository, RPM, container, Kubernetes
	@[ "$$(id -u)" = 0 ] || \
		{ echo 'test-release: containers and fresh systems need root: sudo make test-release' >&2; exit 77; }
	scripts/need test-release
	$(CARGO) test --locked --test tests release:: -- --ignored

.PHONY: test-recipes
test-recipes: ## Deliver into Debian's Request Tracker and Redmine (docs/ticket-systems.md)
	scripts/need test-recipes
	$(CARGO) test --locked --test tests tickets:: -- --ignored

.PHONY: test-browser
test-browser: ## Look at the pages in Chromium, on a phone and a desk; UPDATE=1 makes docs/pictures
	scripts/need test-browser
	$(CARGO) test --locked --test tests browser:: -- --ignored

.PHONY: test-package
test-package: ## Install, run and remove the package under systemd, in a copy of this machine
	scripts/need test
	scripts/test --test tests package
