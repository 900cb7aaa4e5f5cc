# The state's file system is nearly full from the start: said by the doctor; watching goes on, and what cannot be kept is counted.
. /host/lib.sh
install_agent
mkdir /tmp/small
mount -t tmpfs -o size=90m small /tmp/small
mkdir -m 700 /tmp/small/state
agent doctor --state /tmp/small/state | grep -A1 '^.*state' | tee doctor.out
expect 'the doctor says that there is little space' grep -q 'MB free, it may grow' doctor.out
# Libraries find their place elsewhere.
start_agent watch.out watch.err watch --source kernel --state /tmp/small/state --json
dd if=/dev/zero of=/tmp/small/filler bs=1M 2>/dev/null
df -k /tmp/small
cp /host/calls plain
./plain plain 100000
sleep 60
expect 'the agent lives' kill -0 "$AGENT"
rm /tmp/small/filler
sleep 30
agent status --state /tmp/small/state
stop_agent
cat watch.err
expect 'it ends with 0' [ "$CODE" = 0 ]
expect 'windows were judged' grep -q '"judged":[1-9]' <<<"$(agent status --state /tmp/small/state --json)"
umount /tmp/small
