# A kernel that does not let anybody count: the reason is told, and the exit code is that of a collector.
. /host/lib.sh
install_agent
agent doctor --state /tmp/doctor | tee doctor.out
expect "the doctor says why: ${REASON}" grep -q "$REASON" doctor.out
agent record --source kernel --state /tmp/record --duration 5 --out frames.ndjson
code=$?
echo "exit code $code"
expect 'record ends with 6 or 7' sh -c "[ $code = 6 ] || [ $code = 7 ]"
