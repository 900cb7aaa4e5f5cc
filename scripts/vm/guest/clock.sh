# The clock is set while the agent watches: a day ahead, back, half a minute back.
. /host/lib.sh
install_agent
cp /host/calls paced
start_agent watch.out watch.err watch --source kernel --state /tmp/watch --json
last_frame() { agent status --state /tmp/watch --json | grep -o '"lastFrame":[0-9]*' | cut -d: -f2; }
# follows WHAT: within a minute the agent's last second is the clock's.
follows() {
  local waited=0 apart
  while [ $waited -lt 60 ]; do
    sleep 5
    waited=$((waited + 5))
    apart=$(($(date +%s) - $(last_frame)))
    [ ${apart#-} -gt 12 ] || break
  done
  expect "$1: its seconds follow within $waited s" [ ${apart#-} -le 12 ]
}
./paced plain 100000
date -s '+1 day'
follows 'a day ahead'
./paced plain 100000
date -s '-1 day'
follows 'a day back'
./paced plain 100000
date -s '-30 sec'
follows '30 seconds back'
./paced plain 100000
sleep 15
agent status --state /tmp/watch
stop_agent
cat watch.err
expect 'each step is told' [ "$(grep -c 'clock was set' watch.err)" -ge 3 ]
status=$(agent status --state /tmp/watch --json)
observed=$(echo "$status" | grep -o '"observed":{"calls":[0-9]*' | grep -o '[0-9]*$')
counted=$(echo "$status" | grep -o '"counted":[0-9]*' | cut -d: -f2)
echo "observed $observed, counted $counted"
expect 'every observed call is counted' [ "$observed" = "$counted" ]
expect 'the seconds of a step are marked as unjudged' grep -q '"clock-set":[1-9]' <<<"$status"
