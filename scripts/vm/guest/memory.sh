# A machine of 256 MB whose memory is used up: the agent goes on counting and judging.
. /host/lib.sh
install_agent
cp /host/calls plain
free -m
start_agent watch.out watch.err watch --source kernel --state /tmp/watch --json
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
dmesg | grep -i 'out of memory'
expect 'the agent lives' kill -0 "$AGENT"
stop_agent
cat watch.err
expect 'it ends with 0' [ "$CODE" = 0 ]
status=$(agent status --state /tmp/watch --json)
expect 'no call was dropped' grep -q '"dropped":{}' <<<"$status"
expect 'windows were judged' grep -q '"judged":[1-9]' <<<"$status"
