#!/bin/sh
# The RPM package by dnf with its solver. The C library and the others that it requires are Debian's own here, so
# empty packages of those names stand for them in a repository of this root.
set -u
. /tour/inside/lib.sh
export NO_COLOR=1 HOME=/root
rpm_of() { echo "/tour/releases/$1/callsign-$1-1.x86_64.rpm"; }
mkdir -p /tour/repo /tour/build /etc/yum.repos.d
for pair in glibc:2.36 libstdc++:12 libgcc:12 shadow-utils:4.13 dash:0.5; do
  name=${pair%:*}
  printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: stands for the one of Debian\nLicense: none\nProvides: /bin/sh\nBuildArch: noarch\n%%description\n.\n%%files\n' \
    "$name" "${pair#*:}" >"/tour/build/$name.spec"
  rpmbuild -bb --quiet --define '_topdir /tour/build' --define '_rpmdir /tour/repo' "/tour/build/$name.spec" >/dev/null 2>&1 ||
    { echo "FAIL  cannot make $name"; FAILED=1; }
done
cp "$(rpm_of 0.1.0)" "$(rpm_of 0.2.0)" /tour/repo/
createrepo_c -q /tour/repo
printf '[tour]\nname=tour\nbaseurl=file:///tour/repo\ngpgcheck=0\nenabled=1\n' >/etc/yum.repos.d/tour.repo
dnf() { command dnf -y -q --setopt=install_weak_deps=False --setopt=assumeyes=True --releasever=1 "$@"; }
step 'digests are right' rpm --checksig --nosignature "$(rpm_of 0.1.0)"
shown
step 'dependencies' dnf install glibc libstdc++ libgcc shadow-utils dash
# Which every system of RPM packages has.
mkdir -p /usr/share/licenses
record before
step 'install' dnf install callsign-0.1.0
step 'the program runs' agent --version
step 'the package is whole' rpm -V callsign
step 'binary and state belong to the service' sh -c \
  'test "$(stat -c "%a %U:%G" /usr/bin/agent /var/lib/callsign | tr "\n" ,)" = "750 root:callsign,700 callsign:callsign,"'
step 'doctor' agent doctor
agent update >"$OUT" 2>&1 && { echo 'FAIL  agent update replaced a file of the package'; FAILED=1; }
says 'agent update names dnf' 'dnf'
echo 'site = "kept"' >>/etc/callsign/agent.toml
: >/var/lib/callsign/kept
step 'upgrade' dnf upgrade callsign
step 'the newer one' agent --version
says 'its version' '0\.2\.0'
step 'settings and state stay' sh -c 'grep -q kept /etc/callsign/agent.toml && test -e /var/lib/callsign/kept'
step 'roll back' dnf downgrade callsign
step 'settings and state stay' sh -c 'grep -q kept /etc/callsign/agent.toml && test -e /var/lib/callsign/kept'
step 'remove' dnf remove callsign
step 'what docs/install.md says to remove then' sh -c 'rm -rf /var/lib/callsign /var/cache/callsign /etc/callsign; userdel callsign'
record after
nothing_left 'nothing is left' before after
exit $FAILED
