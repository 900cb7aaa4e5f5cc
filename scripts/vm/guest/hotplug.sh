# CPUs go offline and online, and one is added, while every CPU makes calls.
. /host/lib.sh
install_agent
cp /host/calls storm
online() { cat /sys/devices/system/cpu/online; }
echo "online: $(online)"
start_agent record.out record.err record --source kernel --state /tmp/record --out frames.ndjson
./storm storm 150000 2 2 &
load=$!
sleep 1
echo 0 >/sys/devices/system/cpu/cpu1/online && echo "cpu1 went: $(online)"
sleep 2
echo 1 >/sys/devices/system/cpu/cpu1/online && echo "cpu1 is back: $(online)"
for socket in 2 3; do
  echo "device_add max-x86_64-cpu,id=added$socket,socket-id=$socket,core-id=0,thread-id=0" >/host/monitor
  sleep 4
  echo 1 >/sys/devices/system/cpu/cpu$socket/online 2>/dev/null
done
echo "added: $(online)"
expect 'two CPUs were added' [ "$(nproc)" = 4 ]
wait "$load"
./storm storm 100000 4 2
stop_agent
cat record.err
counted frames.ndjson storm getppid 1400000 '4 CPUs, two of them added'
fact made "$MADE"
fact counted "$COUNTED"
