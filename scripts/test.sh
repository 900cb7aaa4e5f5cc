#!/bin/sh
# Everything that must hold before a change is handed over: build, types, lint, shell scripts, all tests
# (the end-to-end ones through the built binary). Ends with exactly one line `N passed, N failed, N skipped`
# and fails if anything did. As root on Debian it can first install the foreign tools that tests look for: with
# --yes, in CI and in containers, and it says what. A tool that is missing skips its tests, and the tests say so.
# CHECK_VM=1 also boots the oldest kernel under emulation (scripts/vm), some ten minutes.
# No step can hang: each has a limit. The package manager has only its own, for whoever ends it breaks the system.
set -u
cd "$(dirname "$0")/.." || exit 1
LOGS=$PWD/.cache/test
PASSED=0 FAILED=0 SKIPPED=0
MAY_INSTALL=''
for word in "$@"; do
  case $word in
  --yes) MAY_INSTALL=1 ;;
  *)
    printf 'usage: sh scripts/test.sh [--yes]\n  --yes  install missing tools by apt without asking\n' >&2
    [ "$word" = --help ] && exit 0
    exit 2
    ;;
  esac
done
mkdir -p "$LOGS"

# Command and the Debian package that brings it.
TOOLS='sysdig:sysdig mosquitto:mosquitto mosquitto_sub:mosquitto-clients chromium:chromium strace:strace
bpftrace:bpftrace gcc:gcc mawk:mawk zstd:zstd xz:xz-utils openssl:openssl shellcheck:shellcheck curl:curl
unshare:util-linux ps:procps python3:python3 pg_lsclusters:postgresql nats-server:nats-server
lintian:lintian rpmbuild:rpm groff:groff promtool:prometheus aiosmtpd:python3-aiosmtpd'

say() { printf '%s\n' "$*"; }

install_tools() {
  missing=''
  for pair in $TOOLS; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
  done
  # gcc alone has no headers.
  if command -v dpkg >/dev/null 2>&1 && ! dpkg -s libc6-dev >/dev/null 2>&1; then missing="$missing libc6-dev"; fi
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    say "Not installed here, their tests are skipped:$missing"
    return 0
  fi
  if [ -z "$MAY_INSTALL" ] && [ -z "${CI:-}" ] && ! in_container; then
    say "Not installed here, their tests are skipped:$missing"
    say "To have them installed by apt-get: sh scripts/test.sh --yes"
    return 0
  fi
  say "Installing by apt-get:$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt update
  # Together is quickest; where one cannot be had, the others still come.
  # shellcheck disable=SC2086
  apt install $missing || for package in $missing; do
    apt install "$package" || say "Cannot install $package: its tests are skipped"
  done
}

# The oldest kernel, by emulation: minutes, so only where CHECK_VM=1 asks for it.
check_vm() {
  [ -n "${CHECK_VM:-}" ] || return 0
  if [ -n "$MAY_INSTALL" ] && [ "$(id -u)" = 0 ]; then
    apt install mmdebstrap qemu-system-x86 qemu-utils e2fsprogs cpio xz-utils libc6-dev-i386 ||
      say 'Cannot install what virtual machines need'
  fi
  step virtual-machine 1500 scripts/vm/run conservation@bullseye || true
}

# Nobody's own machine: a container, a chroot, or a sandbox whose first process is no init.
in_container() {
  [ -e /.dockerenv ] || [ -e /run/.containerenv ] || [ -n "${container:-}" ] && return 0
  [ "$(stat -Lc %d:%i /proc/1/root/. 2>/dev/null)" = "$(stat -Lc %d:%i /.)" ] || return 0
  case $(cat /proc/1/comm 2>/dev/null) in
  systemd | init | runit | s6-svscan | openrc-init | dinit) return 1 ;;
  esac
}

# apt COMMAND PACKAGES…, twice at most. Never ended by us: apt gives up by itself where a server does not answer.
apt() {
  for attempt in 1 2; do
    apt-get -qq -y --no-install-recommends -o Acquire::Retries=3 -o Acquire::http::Timeout=30 \
      -o Acquire::https::Timeout=30 -o DPkg::Lock::Timeout=120 "$@" >"$LOGS/apt.log" 2>&1 </dev/null && return 0
    sleep "$attempt"
  done
  return 1
}

# step NAME SECONDS COMMAND…: one check, counted as one.
step() {
  name=$1 limit=$2
  shift 2
  began=$(date +%s)
  if timeout -k 10 "$limit" "$@" >"$LOGS/$name.log" 2>&1 </dev/null; then
    PASSED=$((PASSED + 1))
    say "ok    $name ($(($(date +%s) - began)) s)"
  else
    code=$?
    FAILED=$((FAILED + 1))
    tail -n 60 "$LOGS/$name.log"
    say "FAIL  $name (exit $code)"
    return 1
  fi
}

# Counts come from the report, not from words meant for people; no report means that the runner itself died.
run_tests() {
  rm -f "$LOGS/junit.xml"
  began=$(date +%s)
  # Two files at a time, each in a process state of its own: half of the time is waiting for real processes.
  timeout -k 10 1500 "$BUN" test --timeout 60000 --parallel=2 --reporter=junit --reporter-outfile="$LOGS/junit.xml" test \
    >"$LOGS/tests.log" 2>&1 </dev/null
  code=$?
  totals=$(grep -m 1 '<testsuites' "$LOGS/junit.xml" 2>/dev/null || true)
  number() { printf '%s' "$totals" | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p"; }
  tests=$(number tests) failures=$(number failures) skipped=$(number skipped)
  failures=${failures:-0} skipped=${skipped:-0}
  grep -E '^(\(fail\)|error:|✗)' "$LOGS/tests.log" | sort -u | head -n 60
  if [ -z "$tests" ]; then
    tail -n 40 "$LOGS/tests.log"
    say "FAIL  tests (exit $code, no report)"
    FAILED=$((FAILED + 1))
    return
  fi
  # A file that does not load or a hook that fails is an exit code without a failed test.
  if [ "$code" != 0 ] && [ "$failures" = 0 ]; then
    tail -n 40 "$LOGS/tests.log"
    say "FAIL  tests (exit $code beside the tests themselves)"
    FAILED=$((FAILED + 1))
  fi
  say "tests: $tests in $(($(date +%s) - began)) s; the whole output is in .cache/test/tests.log"
  PASSED=$((PASSED + tests - failures - skipped))
  FAILED=$((FAILED + failures))
  SKIPPED=$((SKIPPED + skipped))
}

finish() {
  say "$PASSED passed, $FAILED failed, $SKIPPED skipped"
  [ "$FAILED" = 0 ]
  exit
}

install_tools
if ! BUN=$(sh install.sh --print-bun </dev/null); then
  FAILED=1
  finish
fi
# The tools in node_modules are started by a `#!/usr/bin/env node` line; Bun runs them where there is no Node.
mkdir -p .cache/bin
ln -sf "$BUN" .cache/bin/bun
PATH=$PWD/.cache/bin:$PATH
export PATH BUN_INSTALL_CACHE_DIR="$PWD/.cache/bun-packages"

step dependencies 180 "$BUN" install --frozen-lockfile --no-progress || finish
if step build 120 "$BUN" scripts/build.ts; then
  AGENT=$PWD/dist/agent
  export AGENT
fi
step types 240 "$BUN" --bun run types || true
step lint 120 "$BUN" --bun run lint || true
if command -v shellcheck >/dev/null 2>&1; then
  step shell 60 shellcheck -s sh install.sh scripts/test.sh scripts/onnx-schema.sh packaging/callsign.openrc \
    .ci/run scripts/vm/run scripts/vm/guest/initrd-init scripts/attack/run || true
  # /host/lib.sh is there in the virtual machine alone.
  step guest-shell 60 shellcheck -s bash -e SC1091 scripts/vm/guest/*.sh scripts/vm/guest/init \
    scripts/vm/guest/start || true
else
  SKIPPED=$((SKIPPED + 2))
fi
run_tests
check_vm
finish
