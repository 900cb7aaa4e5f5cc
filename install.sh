#!/bin/sh
# Installs Callsign's `agent`: builds it from this checkout, or takes a signed release.
#
#   sh install.sh --demo                       from a checkout: build, install, show it at work
#   sh install.sh --from https://host/callsign  from a release served over plain files
#
# It asks nothing and is never half done: everything is fetched, checked and tried out in a directory
# of its own, and one rename at the end puts the new binary in place of the old. Bun is taken from the
# PATH if it is exactly the pinned version, else from npm into this checkout's .cache; nothing global
# changes. A release counts only if its sums bear an Ed25519 signature by the key below, or by --key.
# The last line calls main, so a download that was cut does nothing.
set -eu
umask 022

BUN_VERSION=1.4.5
# SHA-256 of the executables in npm's @oven/bun-linux-x64 and @oven/bun-linux-aarch64.
BUN_SUM_X64=f05d28a3862f4b84395c7fa32480b835dd47482e80b7e7a49a115227f0c06083
BUN_SUM_ARM64=04778f1f42399a69d086853e9c7af4acf574b2f21a43d0dc673853d8b84a2923
# Filled in by scripts/release.ts in the copy of this file that lies beside a release.
RELEASE_KEY=''
RELEASE_URL=''

UNIT=/etc/systemd/system/callsign.service
INIT_SCRIPT=/etc/init.d/callsign
UNIT_MARK='# Installed by install.sh of Callsign'

usage() {
  cat <<'USAGE'
Installs Callsign's "agent".

Usage: sh install.sh [FLAGS]

  --prefix DIR   installs DIR/bin/agent (default: /usr/local as root, ~/.local else)
  --from WHERE   takes a release instead of building: URL, directory or .tar/.tar.gz
  --key FILE     public key (PEM, Ed25519) that the release must be signed with
  --demo         runs "agent demo" afterwards
  --service      also sets up and starts a service "callsign" of systemd or OpenRC (root)
  --downgrade    takes a release that is older than what is installed
  --force        replaces a file DIR/bin/agent that this script did not put there
  --dry-run      says what would be done, and does nothing
  --uninstall    removes what this script installed
  --purge        with --uninstall: also the state (buffer, outbox, memory of the host)
  --print-bun    only gets the pinned Bun, and prints where it is (for scripts/test.sh)
  --help         this help
USAGE
}

say() { printf '%s\n' "$*" >&2; }

# fail MESSAGE HINT [CODE]
fail() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit "${3:-1}"
}

usage_error() { fail "$1" 'Run "sh install.sh --help"' 2; }

# run COMMAND…: nothing that is started here may read the script from our stdin.
run() { "$@" </dev/null; }

has() { command -v "$1" >/dev/null 2>&1; }

cleanup() {
  [ -z "${WORK:-}" ] || rm -rf "$WORK"
  [ -z "${STAGED:-}" ] || rm -f "$STAGED"
}

stopped() {
  trap - EXIT
  cleanup
  if [ -n "${INSTALLED:-}" ]; then say "Interrupted; $BIN is installed"; else say 'Interrupted: nothing was changed'; fi
  exit "$1"
}

parse_flags() {
  PREFIX='' FROM='' KEY='' DEMO='' SERVICE='' FORCE='' DRY='' UNINSTALL='' PURGE='' PRINT_BUN='' DOWNGRADE=''
  while [ $# -gt 0 ]; do
    case $1 in
      --prefix | --from | --key)
        if [ $# -lt 2 ] || [ -z "$2" ]; then usage_error "$1 needs a value"; fi
        case $1 in --prefix) PREFIX=$2 ;; --from) FROM=$2 ;; --key) KEY=$2 ;; esac
        shift
        ;;
      --prefix=?*) PREFIX=${1#*=} ;;
      --from=?*) FROM=${1#*=} ;;
      --key=?*) KEY=${1#*=} ;;
      --demo) DEMO=1 ;;
      --service) SERVICE=1 ;;
      --force) FORCE=1 ;;
      --downgrade) DOWNGRADE=1 ;;
      --dry-run) DRY=1 ;;
      --uninstall) UNINSTALL=1 ;;
      --purge) PURGE=1 ;;
      --print-bun) PRINT_BUN=1 ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) usage_error "Unknown flag \"$1\"" ;;
    esac
    shift
  done
  [ -z "$PURGE" ] || [ -n "$UNINSTALL" ] || usage_error '--purge goes with --uninstall'
}

set_places() {
  ROOT=''
  [ "$(id -u)" != 0 ] || ROOT=1
  if [ -z "$PREFIX" ]; then
    if [ -n "$ROOT" ]; then
      PREFIX=/usr/local
    else
      PREFIX=${HOME:?error: HOME is not set: give --prefix DIR}/.local
    fi
  fi
  case $PREFIX in /*) ;; *) PREFIX=$PWD/$PREFIX ;; esac
  BIN=$PREFIX/bin/agent
  # Says that BIN is ours, so that a later install may replace it and an uninstall remove it.
  RECORD=$PREFIX/share/callsign/installed
  if [ -n "$ROOT" ]; then STATE=/var/lib/callsign CACHE=/var/cache/callsign; else
    STATE=${XDG_STATE_HOME:-${HOME:-}/.local/state}/callsign CACHE=${XDG_CACHE_HOME:-${HOME:-}/.cache}/callsign
  fi
}

# --- This machine ---------------------------------------------------------------------------------

# Without AVX2 the usual build of Bun ends with SIGILL.
baseline() { grep -qw avx2 /proc/cpuinfo || printf '%s' -baseline; }

check_machine() {
  [ "$(uname -s)" = Linux ] || fail "Callsign watches Linux hosts; this is $(uname -s)"
  case $(uname -m) in
    x86_64) ARCH=x64$(baseline) BUN_PACKAGE=bun-linux-x64 BUN_SUM=$BUN_SUM_X64 ;;
    aarch64 | arm64) ARCH=arm64 BUN_PACKAGE=bun-linux-aarch64 BUN_SUM=$BUN_SUM_ARM64 ;;
    *) fail "There is no build for $(uname -m)" 'x86_64 and aarch64 are supported' ;;
  esac
  libc=$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1 || true)
  case $libc in
    *musl*) fail 'There is no ONNX Runtime for musl' 'Use a distribution with glibc (Debian, Ubuntu, RHEL, SUSE, Arch …), not Alpine' ;;
    'glibc 2.'*)
      minor=${libc#glibc 2.}
      [ "${minor%%.*}" -ge 27 ] || fail "$libc is too old: ONNX Runtime needs 2.27" 'Use Debian 10, Ubuntu 18.04, RHEL 8 or later'
      ;;
    # Whatever it is: the new agent is started before it is put in place.
    *) ;;
  esac
}

check_target() {
  if [ -e "$BIN" ] && [ ! -e "$RECORD" ] && [ -z "$FORCE" ]; then
    fail "\"$BIN\" is there and was not installed by this script" 'Choose another place with --prefix DIR, or replace it with --force'
  fi
  if [ -n "$SERVICE" ]; then
    [ -n "$ROOT" ] || fail '--service needs root' 'Run it with sudo, or start "agent watch" by hand' 6
    [ -d /run/systemd/system ] || has openrc-run || fail '--service needs systemd or OpenRC, and neither runs here' 'Install without --service and start "agent watch" by your own means'
    case $PREFIX in /home | /home/* | /root | /root/*) fail "A service cannot run from \"$PREFIX\": its unit hides home directories" 'Choose another place with --prefix DIR' ;; esac
    for file in "$UNIT" "$INIT_SCRIPT"; do
      if [ -e "$file" ] && ! grep -qF "$UNIT_MARK" "$file"; then
        fail "\"$file\" is there and was not installed by this script" 'Move it away, or install without --service'
      fi
    done
  fi
  # The first folder that exists must be writable: said now, not after the build.
  at=$PREFIX/bin
  while [ ! -d "$at" ]; do at=$(dirname "$at"); done
  [ -w "$at" ] || fail "\"$at\" is not writable" 'Choose another place with --prefix DIR, or run as root' 6
}

make_work() {
  WORK='' STAGED='' INSTALLED=''
  trap cleanup EXIT
  trap 'stopped 130' INT
  trap 'stopped 143' TERM
  trap 'stopped 129' HUP
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/callsign-install.XXXXXX") || fail 'Cannot make a temporary directory' 'Set TMPDIR to a directory with 400 MB of space'
}

sha256_of() {
  if has sha256sum; then sha256sum <"$1" | cut -d ' ' -f 1; else openssl dgst -sha256 -r <"$1" | cut -d ' ' -f 1; fi
}

# --- From a checkout ------------------------------------------------------------------------------

# Prints the checkout that this script lies in, if it does.
checkout() {
  [ -f "$0" ] || return 0
  here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
  if [ -f "$here/package.json" ] && grep -q '"name": "callsign"' "$here/package.json"; then printf '%s' "$here"; fi
}

# Sets BUN: the pinned version from the PATH, from the cache, or from npm into the cache.
get_bun() {
  BUN=$(command -v bun || true)
  if [ -n "$BUN" ] && [ "$(run "$BUN" --version 2>/dev/null || true)" = "$BUN_VERSION" ]; then return; fi
  BUN=$SRC/.cache/bun-$BUN_VERSION/bun
  if [ -x "$BUN" ] && [ "$(run "$BUN" --version 2>/dev/null || true)" = "$BUN_VERSION" ]; then return; fi
  has npm || fail "Building needs Bun $BUN_VERSION or npm, and neither is on the PATH" 'Install Node.js with npm ("apt-get install nodejs npm"), or take a release with --from URL'
  say "Fetching Bun $BUN_VERSION from npm …"
  mkdir -p "$SRC/.cache"
  fetched=$(mktemp -d "$SRC/.cache/fetch.XXXXXX")
  # A package of its own, so that npm neither reads nor writes the checkout's package.json.
  printf '{"private":true}\n' >"$fetched/package.json"
  if ! (cd "$fetched" && run npm install --ignore-scripts --no-audit --no-fund --no-package-lock --no-update-notifier \
    --loglevel=error --cache "$SRC/.cache/npm" "@oven/$BUN_PACKAGE@$BUN_VERSION" >"$fetched/log" 2>&1); then
    tail -n 5 "$fetched/log" >&2
    rm -rf "$fetched"
    fail "Cannot fetch Bun $BUN_VERSION from npm" 'Check the network and "npm config get registry", or put this version of bun on the PATH'
  fi
  executable=$fetched/node_modules/@oven/$BUN_PACKAGE/bin/bun
  [ -f "$executable" ] || executable=$executable.exe
  if [ "$(sha256_of "$executable")" != "$BUN_SUM" ]; then
    rm -rf "$fetched"
    fail "What npm gave as Bun $BUN_VERSION is not what was pinned (SHA-256 differs)" 'Check which registry npm uses: "npm config get registry"' 9
  fi
  mkdir -p "$SRC/.cache/bun-$BUN_VERSION"
  chmod 755 "$executable"
  mv -f "$executable" "$BUN"
  rm -rf "$fetched"
  [ "$(run "$BUN" --version 2>/dev/null || true)" = "$BUN_VERSION" ] || fail "Bun $BUN_VERSION does not start on this machine"
}

# bun install reads only npm's files in the home and the project, not the system's: tell it what npm would use.
use_npm_registry() {
  has npm || return 0
  registry=$(run npm --prefix / config get registry 2>/dev/null) || registry=
  case $registry in http*) export BUN_CONFIG_REGISTRY="${BUN_CONFIG_REGISTRY:-$registry}" ;; esac
}

get_dependencies() {
  export BUN_INSTALL_CACHE_DIR="$SRC/.cache/bun-packages"
  use_npm_registry
  # A developer's node_modules stays whole; a new one holds only what the binary needs.
  production=--production
  [ ! -d "$SRC/node_modules/typescript" ] || production=
  attempt=1
  # shellcheck disable=SC2086
  until (cd "$SRC" && run "$BUN" install --frozen-lockfile --no-progress $production >"$WORK/install.log" 2>&1); do
    if [ $attempt = 3 ]; then
      tail -n 5 "$WORK/install.log" >&2
      fail 'Cannot fetch the dependencies' 'Check the network and "npm config get registry", then run this again'
    fi
    attempt=$((attempt + 1))
    sleep 2
  done
}

build() {
  get_bun
  say 'Fetching dependencies …'
  get_dependencies
  say 'Building …'
  cp "$SRC/packaging/callsign.service" "$SRC/packaging/callsign.openrc" "$WORK/"
  if ! (cd "$SRC" && run "$BUN" scripts/build.ts --target "linux-$ARCH" --out "$WORK/agent" >"$WORK/build.log" 2>&1); then
    tail -n 10 "$WORK/build.log" >&2
    fail 'Cannot build the agent' 'The lines above say why; if the disk is full, about 400 MB are needed'
  fi
}

# --- From a release -------------------------------------------------------------------------------

# fetch NAME: one file of the release → $WORK/NAME
fetch() {
  case $FROM in
    http://* | https://*)
      if has curl; then
        run curl -fsSL --proto '=http,https' --retry 3 --connect-timeout 15 --speed-limit 1000 --speed-time 60 -o "$WORK/$1" "$FROM/$1" 2>"$WORK/fetch.log" || not_fetched "$1"
      elif has wget; then
        run wget -q --tries=3 --timeout=60 -O "$WORK/$1" "$FROM/$1" 2>"$WORK/fetch.log" || not_fetched "$1"
      else
        fail 'A release is downloaded with curl or wget, and neither is here' '"apt-get install curl", or copy the release over and give --from DIR'
      fi
      ;;
    *) run cp "$FROM/$1" "$WORK/$1" 2>"$WORK/fetch.log" || not_fetched "$1" ;;
  esac
}

not_fetched() {
  tail -n 1 "$WORK/fetch.log" >&2
  fail "Cannot fetch \"$FROM/$1\"" 'Check the address, the network and the space on the disk; nothing was changed'
}

unpack_tar() {
  mkdir "$WORK/release"
  run tar -xf "$FROM" -C "$WORK/release" 2>"$WORK/fetch.log" || {
    tail -n 1 "$WORK/fetch.log" >&2
    fail "Cannot unpack \"$FROM\"" 'Give a .tar or .tar.gz as scripts/release.ts makes it'
  }
  FROM=$WORK/release
  [ -f "$FROM/SHA256SUMS" ] || FROM=$(dirname "$(find "$WORK/release" -name SHA256SUMS | head -n 1)")
}

# Ed25519 needs OpenSSL 3; where that is missing, Node can do it too.
check_signature() {
  if [ -n "$KEY" ]; then
    [ -f "$KEY" ] || fail "Cannot read the key \"$KEY\"" 'Give the public key of the release as a PEM file'
    cp "$KEY" "$WORK/key.pem"
  elif [ -n "$RELEASE_KEY" ]; then
    printf '%s\n' '-----BEGIN PUBLIC KEY-----' "$RELEASE_KEY" '-----END PUBLIC KEY-----' >"$WORK/key.pem"
  else
    fail 'This copy of install.sh holds no release key' 'Use the install.sh that lies beside the release, or give the key with --key FILE' 9
  fi
  case $(openssl version 2>/dev/null || true) in
    'OpenSSL '[3-9]*)
      run openssl pkeyutl -verify -pubin -inkey "$WORK/key.pem" -rawin -in "$WORK/SHA256SUMS" -sigfile "$WORK/SHA256SUMS.sig" >/dev/null 2>&1 || bad_signature
      ;;
    *)
      has node || fail 'Checking the signature needs OpenSSL 3 or Node.js, and neither is here' '"apt-get install openssl"' 9
      # shellcheck disable=SC2016
      run node -e 'const fs=require("fs"),[k,d,s]=process.argv.slice(1).map((f)=>fs.readFileSync(f));process.exit(require("crypto").verify(null,d,k,s)?0:1)' \
        "$WORK/key.pem" "$WORK/SHA256SUMS" "$WORK/SHA256SUMS.sig" >/dev/null 2>&1 || bad_signature
      ;;
  esac
}

bad_signature() {
  fail "The signature of \"$FROM/SHA256SUMS\" is not by the expected key: nothing was installed" 'The release was changed on its way, or signed with another key; ask whoever publishes it' 9
}

# The version is in the signed sums, so that an attacker cannot offer an old release, with its known faults, as a new one.
check_version() {
  offered=$(sed -n '1s/^# callsign \([0-9][^ ]*\) [^ ]*$/\1/p' "$WORK/SHA256SUMS")
  [ -n "$offered" ] || fail "The signed sums of \"$FROM\" hold no version: nothing was installed" 'It was made by an older scripts/release.ts; get a newer release' 9
  [ -x "$BIN" ] && [ -z "$DOWNGRADE" ] || return 0
  installed=$(run "$BIN" --version 2>/dev/null | sed -n '1s/^agent \([0-9][^ ]*\).*/\1/p')
  [ -n "$installed" ] || return 0
  is_older "$offered" "$installed" || return 0
  fail "The release of $(sed -n '1s/.* //p' "$WORK/SHA256SUMS") is $offered, installed is $installed: nothing was changed" 'Give --downgrade if you want the older one'
}

# is_older A B: by the first three numbers
is_older() {
  awk -v a="$1" -v b="$2" 'BEGIN {
    split(a, x, /[.+-]/); split(b, y, /[.+-]/)
    for (i = 1; i <= 3; i++) { if (x[i] + 0 < y[i] + 0) exit 0; if (x[i] + 0 > y[i] + 0) exit 1 }
    exit 1
  }'
}

# fetch_checked NAME: as fetch, if it is what the signed list says.
fetch_checked() {
  sum=$(sed -n "s/^\([0-9a-f]\{64\}\)  $1\$/\1/p" "$WORK/SHA256SUMS")
  [ -n "$sum" ] || fail "The release holds no $1" "It was not made for this machine ($ARCH)"
  fetch "$1"
  [ "$(sha256_of "$WORK/$1")" = "$sum" ] || fail "The SHA-256 of $1 is not the one in SHA256SUMS: nothing was installed" 'The download was damaged or changed; run this again' 9
}

take_release() {
  case $FROM in
    http://* | https://*) FROM=${FROM%/} ;;
    *.tar | *.tar.gz | *.tgz)
      [ -f "$FROM" ] || fail "Cannot read \"$FROM\""
      unpack_tar
      ;;
    *) [ -d "$FROM" ] || fail "\"$FROM\" is no URL, directory or tar file" ;;
  esac
  file=agent-linux-$ARCH.gz
  say "Fetching the release from $FROM …"
  fetch SHA256SUMS
  fetch SHA256SUMS.sig
  check_signature
  check_version
  fetch_checked "$file"
  if [ -n "$SERVICE" ]; then
    fetch_checked callsign.service
    fetch_checked callsign.openrc
  fi
  gzip -dc <"$WORK/$file" >"$WORK/agent" || fail "Cannot unpack $file" 'Is the disk full? About 400 MB are needed; TMPDIR can point elsewhere'
  chmod 755 "$WORK/agent"
}

# --- Putting it in place --------------------------------------------------------------------------

# Everything that can fail happens on the staged copy; the rename is the installation.
put_in_place() {
  mkdir -p "$PREFIX/bin" "$(dirname "$RECORD")" || fail "Cannot make \"$PREFIX/bin\"" 'Choose another place with --prefix DIR' 6
  STAGED=$PREFIX/bin/.agent-new.$$
  cp "$WORK/agent" "$STAGED" 2>"$WORK/copy.log" || {
    tail -n 1 "$WORK/copy.log" >&2
    fail "Cannot write to \"$PREFIX/bin\": nothing was changed" 'Make 160 MB of space there, or choose another place with --prefix DIR'
  }
  chmod 755 "$STAGED"
  VERSION=$(run "$STAGED" --version 2>"$WORK/start.log") || {
    tail -n 3 "$WORK/start.log" >&2
    fail 'The new agent does not start on this machine: nothing was changed' 'Report the lines above'
  }
  { printf '%s\n' "$BIN" >"$RECORD.new" && mv -f "$RECORD.new" "$RECORD"; } || fail "Cannot write \"$RECORD\": nothing was changed"
  # An update leaves it the service's alone.
  if [ -n "$ROOT" ] && [ -e "$BIN" ] && [ "$(stat -c %a "$BIN")" = 750 ] && id callsign >/dev/null 2>&1; then
    restrict_binary "$STAGED"
  fi
  mv -f "$STAGED" "$BIN" || fail "Cannot put \"$BIN\" in place"
  STAGED=''
  INSTALLED=1
}

# The service's own user: what parses, classifies and talks to the network is not root.
make_user() {
  id callsign >/dev/null 2>&1 && return 0
  if command -v useradd >/dev/null 2>&1; then
    useradd --system --user-group --no-create-home --home-dir "$STATE" --shell /usr/sbin/nologin callsign
  else
    adduser -S -D -H -h "$STATE" -s /sbin/nologin callsign
  fi >"$WORK/user.log" 2>&1 || {
    tail -n 1 "$WORK/user.log" >&2
    fail 'Cannot make the user "callsign": the service was not set up' 'Make a system user of that name, then run this again'
  }
}

# The service's user reads and runs the binary, others do not: what they could start with variables of their own
# (BUN_OPTIONS) is nobody's tool. It never gets file capabilities (setcap) for the same reason.
restrict_binary() {
  { chown root:callsign "$1" && chmod 0750 "$1"; } || fail "Cannot give \"$1\" to the group \"callsign\""
}

set_up_service() {
  make_user
  restrict_binary "$BIN"
  # A state that root left from before is handed over.
  [ ! -d "$STATE" ] || chown -R callsign "$STATE"
  if [ -d /run/systemd/system ]; then
    write_service "$UNIT" callsign.service 644
    run systemctl daemon-reload
    run systemctl enable --quiet callsign.service
    run systemctl restart callsign.service || not_started 'journalctl -u callsign'
    say 'Service "callsign" runs: systemctl status callsign'
  else
    write_service "$INIT_SCRIPT" callsign.openrc 755
    run rc-update --quiet add callsign default
    run rc-service callsign restart || not_started 'rc-service callsign start'
    say 'Service "callsign" runs: rc-service callsign status'
  fi
}

not_started() { fail 'The service "callsign" is set up and does not start' "\"$1\" says why"; }

# write_service FILE SOURCE MODE: as it lies beside the release, with the place of this installation.
write_service() {
  sed -e "1s|^\(#!.*\)\$|\1\n$UNIT_MARK|; 1s|^\[Unit\]|$UNIT_MARK\n&|" -e "s|/usr/bin/agent|$BIN|" "$WORK/$2" >"$1.new"
  chmod "$3" "$1.new"
  mv -f "$1.new" "$1"
}

# --- Taking it away -------------------------------------------------------------------------------

# is_ours FILE LINE: a service that this script set up for this prefix
is_ours() { [ -e "$1" ] && grep -qF "$UNIT_MARK" "$1" && grep -qF "$2" "$1"; }

# Prints another installation that shares state, cache and user: a package's, or that of another prefix.
others() {
  if [ -f "$UNIT" ] && ! is_ours "$UNIT" "ExecStart=$BIN watch"; then printf '%s\n' "$UNIT"; fi
  if [ -f "$INIT_SCRIPT" ] && ! is_ours "$INIT_SCRIPT" "command=$BIN"; then printf '%s\n' "$INIT_SCRIPT"; fi
  for unit in /usr/lib/systemd/system/callsign.service /lib/systemd/system/callsign.service; do
    [ ! -f "$unit" ] || printf '%s\n' "$unit"
  done
  if [ "$BIN" != /usr/local/bin/agent ] && [ -e /usr/local/share/callsign/installed ]; then printf '%s\n' /usr/local/bin/agent; fi
}

uninstall() {
  removed='' other=''
  [ -z "$ROOT" ] || other=$(others | head -n 1)
  if [ -n "$PURGE" ] && [ -n "$other" ]; then
    say "Another installation uses $STATE and its user: they stay ($other)"
    PURGE=''
  fi
  if is_ours "$INIT_SCRIPT" "command=$BIN"; then
    if [ -z "$DRY" ]; then
      [ -n "$ROOT" ] || fail "The service \"callsign\" runs $BIN" 'Run this as root' 6
      run rc-service callsign stop 2>/dev/null || true
      run rc-update --quiet --all delete callsign 2>/dev/null || true
      rm -f "$INIT_SCRIPT"
    fi
    removed="$removed $INIT_SCRIPT"
  fi
  if is_ours "$UNIT" "ExecStart=$BIN watch"; then
    if [ -z "$DRY" ]; then
      [ -n "$ROOT" ] || fail "The service \"callsign\" runs $BIN" 'Run this as root' 6
      run systemctl disable --now --quiet callsign.service 2>/dev/null || true
      rm -f "$UNIT"
      run systemctl daemon-reload 2>/dev/null || true
    fi
    removed="$removed $UNIT"
  fi
  if [ -e "$RECORD" ]; then
    if [ -z "$DRY" ]; then
      rm -f "$BIN" "$RECORD" || fail "Cannot remove \"$BIN\"" 'Run this as the user that installed it' 6
      rmdir "$(dirname "$RECORD")" 2>/dev/null || true
    fi
    removed="$removed $BIN"
  elif [ -e "$BIN" ]; then
    fail "\"$BIN\" was not installed by this script: it stays" 'Give the --prefix that it was installed with'
  fi
  if [ -n "$PURGE" ] && [ -d "$STATE" ]; then
    if [ -z "$DRY" ]; then
      rm -rf "${STATE:?}"
    fi
    removed="$removed $STATE"
  fi
  # The service's user, whose group of the same name goes along.
  if [ -n "$PURGE" ] && [ -n "$ROOT" ] && [ -n "$removed" ] && id callsign >/dev/null 2>&1; then
    [ -n "$DRY" ] || userdel callsign 2>/dev/null || deluser callsign 2>/dev/null || true
    removed="$removed (user callsign)"
  fi
  # Libraries that were unpacked for commands which may not use the state directory.
  if [ -n "$PURGE" ] && [ -d "$CACHE" ]; then
    [ -n "$DRY" ] || rm -rf "${CACHE:?}"
    removed="$removed $CACHE"
  fi
  if [ -z "$removed" ]; then
    say "Nothing of Callsign is installed under $PREFIX"
  elif [ -n "$DRY" ]; then
    say "Would remove:$removed"
  else
    say "Removed:$removed"
  fi
  [ -n "$PURGE" ] || [ -n "$other" ] || [ ! -d "$STATE" ] || say "The state stays in $STATE (--purge removes it)"
}

plan() {
  if [ -n "$FROM" ]; then say "Would take agent-linux-$ARCH.gz from $FROM, after checking its signature and sum"; else
    say "Would build the agent from $SRC with Bun $BUN_VERSION (from the PATH, else from npm into $SRC/.cache)"
  fi
  say "Would install it as $BIN"
  [ -z "$SERVICE" ] || say 'Would make the user "callsign", set up the service and start it'
  [ -z "$DEMO" ] || say "Would run \"$BIN demo\""
}

main() {
  parse_flags "$@"
  set_places
  if [ -n "$UNINSTALL" ]; then
    uninstall
    return
  fi
  check_machine
  SRC=$(checkout)
  [ -n "$FROM" ] || [ -n "$SRC" ] || FROM=$RELEASE_URL
  [ -n "$FROM" ] || [ -n "$SRC" ] || fail 'There is no checkout around this script' 'Give a release with --from URL, or run it as "sh install.sh" in a checkout'
  if [ -n "$PRINT_BUN" ]; then
    [ -n "$SRC" ] || fail '--print-bun needs a checkout'
    get_bun
    printf '%s\n' "$BUN"
    return
  fi
  check_target
  if [ -n "$DRY" ]; then
    plan
    return
  fi
  make_work
  if [ -n "$FROM" ]; then take_release; else build; fi
  put_in_place
  say "Installed $BIN: $VERSION"
  [ -z "$SERVICE" ] || set_up_service
  case :$PATH: in *":$PREFIX/bin:"*) ;; *) say "Note: $PREFIX/bin is not on your PATH" ;; esac
  if [ -n "$DEMO" ]; then
    cleanup
    WORK=''
    run "$BIN" demo
  else
    say "Next: \"agent doctor\" says what this host offers, \"agent watch\" starts, \"agent demo\" shows it at work"
  fi
}

main "$@"
