# Programs make calls in exact numbers; what the source counts must equal it. Set before, where a condition asks
# for it: LESS (so many times fewer calls, and no doctor), NO_URING and NO_TYPES (what cannot be seen).
. /host/lib.sh
install_agent
uname -a
many=$((200000 / ${LESS:-1})) some=$((20000 / ${LESS:-1}))
if [ -z "${LESS:-}" ]; then
  agent doctor --state /tmp/doctor | tee doctor.out
  fact note "doctor: $(sed -n 's/^[a-z]* *kernel source *//p' doctor.out)"
fi
for name in plain worker shorts once renamer before after compat strange uring; do cp /host/calls $name; done
cp /host/calls32 plain32 2>/dev/null
start_agent record.out record.err record --source kernel --state /tmp/record --out frames.ndjson
began=$(cut -d' ' -f1 /proc/uptime)
./plain plain $many
./worker storm $some 4 2
./shorts short 300 ./once
./renamer rename 300
./before exec 1000 ./after
./compat compat 1000
[ ! -x plain32 ] || ./plain32 plain 1000
./strange strange 300
./uring uring 500 kinds
echo "load: $(cut -d' ' -f1 /proc/uptime | awk -v b="$began" '{ print $1 - b }') s of the guest's time"
stop_agent
cat record.err
expect "agent record ends with 0" [ "$CODE" = 0 ]
counted frames.ndjson plain getppid $many '64-bit calls'
counted frames.ndjson worker getppid $((8 * some)) '8 threads of 2 processes'
counted frames.ndjson once getppid 300 '300 short processes'
counted frames.ndjson 'rename[a-z0-9-]*' getppid 301 'a process that changes its name'
counted frames.ndjson '\(before\|after\)' getppid 2000 'before and after an exec'
if [ "$(uname -m)" = x86_64 ]; then
  if [ -n "${NO_TYPES:-}" ]; then
    fact note 'int 0x80 of 64-bit programs is not told apart'
  else
    counted frames.ndjson compat getppid 1000 'int 0x80 of a 64-bit program'
  fi
  counted frames.ndjson plain32 getppid 1000 'a 32-bit program'
fi
counted frames.ndjson strange other 900 'numbers that no call has'
# The collector without types or without the right to read memory does not see them, and its doctor says so.
if [ -n "${NO_URING:-}" ]; then
  fact note "submissions to io_uring are not seen"
  [ ! -e doctor.out ] || expect 'the doctor says that io_uring is not seen' grep -q 'io_uring are not seen' doctor.out
else
  # What the ring's operations stand for; the program itself writes and reads nothing.
  counted frames.ndjson uring fsync 500 'fsync through io_uring'
  counted frames.ndjson uring read 500 'read through io_uring'
  counted frames.ndjson uring write 500 'write through io_uring'
  counted frames.ndjson uring other 500 'operations of io_uring that are no call'
fi
counted frames.ndjson uring io_uring_enter 2000 'calls that submit to io_uring'
fact made "$MADE"
fact counted "$COUNTED"
fact lost "$(grep -c '"loss"' frames.ndjson)"
