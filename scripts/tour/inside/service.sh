#!/bin/sh
# install.sh --service and the package under a running systemd: hardened unit, reload, restart, upgrade, removal.
set -u
. /tour/inside/lib.sh
export NO_COLOR=1 DEBIAN_FRONTEND=noninteractive
record before
began=$(now)
step 'curl | sh --service installs' sh -c "curl -fsSL $URL/install.sh | sh -s -- --service"
shown
step 'the service is active' systemctl is-active callsign
step 'the agent counts' until_true 60 sh -c 'agent status | grep -q "kernel"'
echo "time  the service counts $(since "$began") s after curl"
step 'status' agent status
shown
step 'it runs as callsign' sh -c 'ps -o user= -p "$(systemctl show -p MainPID --value callsign)" | grep -qx callsign'
step 'it has no capability' sh -c 'grep -q "CapEff:.0000000000000000" "/proc/$(systemctl show -p MainPID --value callsign)/status"'
step 'reload' systemctl reload callsign
step 'top' agent top --once
head -n 8 "$OUT" | sed 's/^/      > /'
step 'restart' systemctl restart callsign
step 'active after restart' until_true 30 systemctl is-active callsign
curl -fsS "${URL%/callsign}/newer"
step 'update' agent update
shown
step 'restart with the newer one' systemctl restart callsign
step 'active' until_true 30 systemctl is-active callsign
step 'the newer one runs' until_true 30 sh -c 'agent status --json | grep -q "\"version\":\"0.2.0\""'
journalctl -u callsign --no-pager -o cat >"$OUT" 2>&1
tail -n 25 "$OUT" | sed 's/^/      > /'
step 'uninstall --purge' sh -c "curl -fsSL $URL/install.sh | sh -s -- --uninstall --purge"
shown
record after
nothing_left 'nothing is left' before after

step 'deb installs and starts the service' apt-get -y -o Dpkg::Use-Pty=0 install /tour/releases/0.1.0/callsign_0.1.0_amd64.deb
step 'active' until_true 30 systemctl is-active callsign
pid=$(systemctl show -p MainPID --value callsign)
step 'upgrade' apt-get -y -o Dpkg::Use-Pty=0 install /tour/releases/0.2.0/callsign_0.2.0_amd64.deb
step 'active' until_true 30 systemctl is-active callsign
step 'restarted with the newer one' sh -c "test $pid != \"\$(systemctl show -p MainPID --value callsign)\""
step 'purge' apt-get -y -o Dpkg::Use-Pty=0 purge callsign
record after-deb
nothing_left 'nothing is left after purge' before after-deb
exit $FAILED
