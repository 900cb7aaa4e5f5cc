#!/bin/sh
# The Debian package by apt, as docs/install.md says: installed with its dependencies, upgraded, rolled back, removed,
# purged; without a running systemd here (service.sh has one).
set -u
. /tour/inside/lib.sh
export DEBIAN_FRONTEND=noninteractive NO_COLOR=1
deb() { echo "/tour/releases/$1/callsign_$1_amd64.deb"; }
apt() { apt-get -y -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false "$@"; }

# What it depends on is no part of it: there before the first list.
step 'dependencies' apt install adduser libstdc++6 init-system-helpers
record before
step 'install' apt install "$(deb 0.1.0)"
grep -Ei '^(W|E|N):|warning' "$OUT" | sed 's/^/      ? /'
step 'the program runs' agent --version
step 'the manual is there' test -s /usr/share/man/man1/agent.1.gz
step 'binary and state belong to the service' sh -c \
  'test "$(stat -c "%a %U:%G" /usr/bin/agent /var/lib/callsign | tr "\n" ,)" = "750 root:callsign,700 callsign:callsign,"'
step 'settings are sound' agent config check
step 'doctor' agent doctor
shown
agent update >"$OUT" 2>&1 && { echo 'FAIL  agent update replaced a file of the package'; FAILED=1; }
says 'agent update names apt' 'apt'
agent uninstall >"$OUT" 2>&1 && { echo 'FAIL  agent uninstall removed a file of the package'; FAILED=1; }
says 'agent uninstall names apt' 'apt'
echo 'site = "kept"' >>/etc/callsign/agent.toml
: >/var/lib/callsign/kept
step 'upgrade' apt install "$(deb 0.2.0)"
step 'the newer one' agent --version
says 'its version' '0\.2\.0'
step 'settings and state stay' sh -c 'grep -q kept /etc/callsign/agent.toml && test -e /var/lib/callsign/kept'
step 'roll back' apt install --allow-downgrades "$(deb 0.1.0)"
step 'settings and state stay' sh -c 'grep -q kept /etc/callsign/agent.toml && test -e /var/lib/callsign/kept'
step 'files are as packed' dpkg --verify callsign
step 'remove' apt remove callsign
step 'remove keeps state' test -e /var/lib/callsign/kept
step 'purge' apt purge callsign
shown
record after
nothing_left 'nothing is left after purge' before after
exit $FAILED
