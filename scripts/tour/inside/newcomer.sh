#!/bin/sh
# What docs/getting-started.md says, by somebody who has read nothing else: install, doctor, watch, simulate, explain,
# allow, update, uninstall. Figures are the lines that begin with "time".
set -u
. /tour/inside/lib.sh
export NO_COLOR=1
record before

began=$(now)
step 'curl | sh installs' sh -c "curl -fsSL $URL/install.sh | sh"
shown
echo "time  installed after $(since "$began") s"
step 'the program starts' agent --version
step 'doctor finds nothing wrong' agent doctor
shown
step 'help names the commands' agent --help

agent watch >/tour/watch.txt 2>&1 &
watching=$!
classified() { agent top --once --json 2>/dev/null | grep -q '"confidence"'; }
if until_true 60 classified; then
  echo "time  first classified second $(since "$began") s after curl"
else
  echo 'FAIL  no second was classified within 60 s'
  FAILED=1
fi
step 'top shows one table' agent top --once
head -n 14 "$OUT" | sed 's/^/      > /'
step 'status is clean' agent status
shown

attacked=$(now)
step 'a simulated reverse shell is found' agent simulate attack reverse-shell
shown
echo "time  found $(since "$attacked") s after it began, $(since "$began") s after curl"
step 'all simulated attacks are found' agent simulate attack
shown

cp "$(command -v find)" /tmp/nginx
made=$(now)
# shellcheck disable=SC2046
timeout 30 /tmp/nginx $(yes / | head -n 999) -xdev -name '*.dat' >/dev/null &
copied() { agent alerts --json | grep -q '"exe":"[^"]*/tmp/nginx"'; }
if until_true 40 copied; then
  echo "time  the copied find is alerted $(since "$made") s after its start"
else
  echo 'FAIL  no alert about find copied to nginx within 40 s'
  FAILED=1
fi

step 'alerts lists them' agent alerts
head -n 12 "$OUT" | sed 's/^/      > /'
id=$(agent alerts --json | sed -n 's|.*"id":"\([0-9a-f]*\)".*"exe":"[^"]*/tmp/nginx".*|\1|p' | head -n 1)
step 'explain says why' agent explain "$id"
shown
step 'allow previews' agent allow "$id" --dry-run
step 'allow suppresses' agent allow "$id" --reason 'our own test'
shown
step 'the rule is listed' agent allow --list
rm -f /tmp/nginx

curl -fsS "${URL%/callsign}/newer"
step 'update takes the newer release' agent update
shown
step 'it is the newer one' agent --version
says 'its version is 0.2.0' '0\.2\.0'
opened() { agent status --json | sed -n 's/.*"opened":\([0-9]*\).*/\1/p'; }
kill -TERM "$watching"
wait "$watching"
echo "ok    watch ended with $?"
before=$(opened)
agent watch >/tour/watch2.txt 2>&1 &
watching=$!
sleep 15
step 'the newer one goes on with the state' agent status
after=$(opened)
echo "      > alerts opened before the restart: $before, 15 s after it: $after"
kill -TERM "$watching"
wait "$watching"

step 'uninstall previews' agent uninstall --purge --dry-run
shown
step 'uninstall --purge removes' agent uninstall --purge
shown
rm -rf /tmp/.X* 2>/dev/null
record after
nothing_left 'nothing is left' before after
ls -A /tmp >"$OUT"
[ ! -s "$OUT" ] || { echo 'FAIL  something is left in /tmp'; shown; FAILED=1; }
exit $FAILED
