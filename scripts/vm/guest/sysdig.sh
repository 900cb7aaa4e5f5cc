# Debian's sysdig with its kernel module: each way of reading it against calls made at a pace, then its faults.
. /host/lib.sh
install_agent
modprobe scap
expect 'the module loads' [ -e /dev/scap0 ]
sysdig --version
agent doctor --state /tmp/doctor | grep -A1 -i sysdig
cp /host/calls paced
MADE_HERE=0

# paced_run WHAT OUT: 1,000 and 10,000 calls a second, against what OUT then holds.
pace() {
  MADE_HERE=$(($(./paced pace 1000 10) + $(./paced pace 10000 10)))
}
judge() {
  counted "$2" paced getppid "$MADE_HERE" "$1"
  echo "lines about losses: $(grep -c '"loss"' "$2")"
}
for mode in chisel lines; do
  start_agent $mode.out $mode.err record --source sysdig --sysdig-mode $mode --state /tmp/$mode --out $mode.ndjson
  pace
  stop_agent
  cat $mode.err
  judge "sysdig, $mode" $mode.ndjson
done
# The README's command.
sysdig -p '*%evt.rawtime %proc.pid %thread.tid %evt.dir %syscall.type %proc.name' 'evt.dir=< or evt.type=procexit' 2>pipe.sysdig |
  agent record --source - --state /tmp/pipe --out pipe.ndjson 2>pipe.err &
sleep 12
pace
sleep 3
pkill -INT -x sysdig
wait
cat pipe.err
judge "sysdig, README's pipe" pipe.ndjson

# Older formats tell no direction, and this sysdig's driver gives each call twice.
timeout -s INT 30 sysdig -p '*%evt.rawtime %proc.pid %thread.tid %syscall.type %proc.name' 2>/dev/null |
  agent record --source - --state /tmp/twice --out twice.ndjson 2>twice.err &
piped=$!
sleep 12
./paced pace 1000 5 >/dev/null
wait $piped
code=$?
cat twice.err
expect 'a pipe that tells calls twice is refused' [ $code != 0 ]
fact note "a pipe that tells calls twice: refused after $(cut -d, -f1 twice.ndjson | sort -u | wc -l) seconds of it"
expect 'with the command that tells them once' grep -q 'evt.dir=<' twice.err

# As fast as it can: what the driver drops is told, in calls.
start_agent flood.out flood.err record --source sysdig --sysdig-mode lines --state /tmp/flood --out flood.ndjson
./paced plain 300000
# Emulated, it takes long to read what the driver keeps; what is unread at the end is no drop.
sleep 60
stop_agent
cat flood.err
got=$(calls_in flood.ndjson paced getppid)
told=$(grep -o '"loss":{[^}]*}' flood.ndjson | grep -o '"calls":[0-9]*' | awk -F: '{ s += $2 } END { print s + 0 }')
fact note "lines, 300,000 calls without a pause: $got counted, $told told as lost"
expect 'what the driver drops is told' [ $((got + told)) -ge 300000 ]

# Both sources over the same seconds: all that differs must be calls that sysdig cannot see.
start_agent k.out k.err record --source kernel --state /tmp/k --out k.ndjson
kernel=$AGENT
start_agent s.out s.err record --source sysdig --state /tmp/s --out s.ndjson
cp /host/calls shorts
cp /host/calls once
./paced pace 1000 5 >/dev/null
./shorts short 50 ./once
ls -R /usr/share >/dev/null
find /etc -type f -exec cat {} + >/dev/null 2>&1
stop_agent
kill -INT "$kernel"
wait "$kernel"
cp k.ndjson s.ndjson /host/
python3 /host/compare-sources.py k.ndjson s.ndjson

# Faults.
start_agent f.out f.err record --source sysdig --state /tmp/f --out f.ndjson
./paced plain 5000
sleep 2
pkill -9 -x sysdig
sleep 6
./paced plain 5000
sleep 3
pkill -9 -x sysdig
sleep 0.3
rmmod scap
sleep 20
kill -0 "$AGENT" 2>/dev/null && echo 'the agent still tries' || echo 'the agent has ended'
modprobe scap
sleep 40
./paced plain 5000
stop_agent
cat f.err
expect 'seconds without sysdig are marked' grep -q '"loss"' f.ndjson
echo "counted with faults: $(calls_in f.ndjson paced getppid) of 15000 made"
expect 'after the faults it counts again' [ "$(calls_in f.ndjson paced getppid)" -ge 10000 ]
fact made "$MADE"
fact counted "$COUNTED"
