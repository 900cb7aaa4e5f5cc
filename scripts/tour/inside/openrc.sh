#!/bin/sh
# install.sh --service with OpenRC, whose default runlevel was started in this root.
set -u
. /tour/inside/lib.sh
export NO_COLOR=1
mkdir -p /run/openrc && : >/run/openrc/softlevel
record before
step 'curl | sh --service installs' sh -c "curl -fsSL $URL/install.sh | sh -s -- --service"
shown
step 'rc-service says that it runs' rc-service callsign status
shown
step 'the agent counts' until_true 40 agent status
step 'it is the service of its user' sh -c 'stat -c %U /var/lib/callsign | grep -qx callsign'
step 'reload' rc-service callsign reload
step 'restart' rc-service callsign restart
step 'it runs again' until_true 40 sh -c 'agent status | grep -q running'
step 'stop' rc-service callsign stop
step 'start' rc-service callsign start
step 'uninstall --purge' sh -c "curl -fsSL $URL/install.sh | sh -s -- --uninstall --purge"
shown
pgrep -f '^/usr/local/bin/agent' >"$OUT" && { echo 'FAIL  an agent still runs'; shown; FAILED=1; }
record after
nothing_left 'nothing is left' before after
exit $FAILED
