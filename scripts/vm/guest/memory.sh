# A machine of 256 MB whose memory is used up: the agent goes on counting and judging.
. /host/lib.sh
install_agent
cp /host/calls plain
free -m
# Not in /tmp, which is memory here.
state=$PWD/state
# As its unit has it: others end first.
echo -500 >/proc/$$/oom_score_adj
start_agent watch.out watch.err watch --source kernel --state "$state" --json
echo 0 >/proc/$$/oom_score_adj
expect 'the agent starts' grep -q Watching watch.err
free -m
python3 - <<'P' &
import time
held = []
while True:
    free = int([line for line in open('/proc/meminfo') if line.startswith('MemAvailable')][0].split()[1])
    if free < 12_000:
        break
    held.append(bytearray(4_000_000))
print(f'{len(held) * 4} MB held, {free} kB available', flush=True)
time.sleep(60)
P
hog=$!
sleep 20
./plain plain 200000
wait $hog
free -m
dmesg | grep -iE 'out of memory|invoked oom'
expect 'the agent lives' kill -0 "$AGENT"
stop_agent
cat watch.err
expect 'it ends with 0' [ "$CODE" = 0 ]
status=$(agent status --state "$state" --json)
expect 'no call was dropped' grep -q '"dropped":{}' <<<"$status"
expect 'windows were judged' grep -q '"judged":[1-9]' <<<"$status"
