#!/bin/sh
# init.sh CROWD: pid 1 of a job's own pid namespace. Fills it with neighbours, waits for the word, runs the job, waits for all.
mount -t proc proc /proc
n=0; for f in /lab/crowd/*; do [ $n -lt "$1" ] || break; n=$((n + 1)); "$f" infinity & done
sleep 1; : > /job/.ready
read -r _ < /job/.go
cd /job && setsid "$2" /job/job.sh > /job/log 2>&1 < /dev/null &
wait $!
echo "ended $?" >> /job/log
sleep infinity
