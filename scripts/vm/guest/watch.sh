# A Python web server with the name sshd: what alerts come, and when.
. /host/lib.sh
install_agent
python3 --version
mkdir -p /tmp/www
echo hello >/tmp/www/index.html
cp "$(readlink -f /usr/bin/python3)" /tmp/sshd
if [ -n "${STATE_USER:-}" ]; then
  # The agent becomes the user that its state belongs to.
  useradd --system "$STATE_USER"
  install -d -m 700 -o "$STATE_USER" /tmp/watch
fi
start_agent watch.out watch.err watch --source "${SOURCE:-kernel}" --state /tmp/watch --learn 10s --json
(cd /tmp/www && exec /tmp/sshd -m http.server 8000 --bind 127.0.0.1) >/dev/null 2>&1 &
server=$!
# By the shell itself: starting a client costs an emulated machine more than the server's whole work.
request() {
  exec 3<>/dev/tcp/127.0.0.1/8000 || return 1
  printf 'GET / HTTP/1.0\r\n\r\n' >&3
  local line last=''
  while read -r -t 10 line; do last=$line; done <&3
  exec 3>&-
  [ "$last" = hello ]
}
began=$(date +%s)
sleep 3
end=$((began + ${SECONDS_OF_LIFE:-80})) requests=0
while [ "$(date +%s)" -lt $end ]; do
  request && requests=$((requests + 1))
  sleep 0.2
done
echo "requests: $requests"
expect 'the server answered' [ "$requests" -gt 50 ]
kill $server
stop_agent
cat watch.err
expect "agent watch ends with 0" [ "$CODE" = 0 ]
python3 - "$server" "$began" <<'P' >alerts.txt
import json, sys
server, began = int(sys.argv[1]), int(sys.argv[2])
for line in open('watch.out'):
    alert = json.loads(line)
    process = alert['process']
    what = [alert['kind'], alert.get('predicted', {}).get('class'), alert['severity'], alert['certainty'], alert['state']]
    whose = 'the masquerade' if process['pid'] == server else process['name']
    print(f"{whose}: {', '.join(word for word in what if word)}, after {alert['last'] - began} s")
P
cat alerts.txt
first=$(grep '^the masquerade' alerts.txt | head -n 1)
confirmed=$(grep '^the masquerade.*confirmed' alerts.txt | head -n 1)
[ -z "${STATE_USER:-}" ] || expect 'the alert names the executable' grep -q '"exe":"/tmp/sshd"' watch.out
alert=${confirmed:-${first:-none}}
fact alert "${alert#the masquerade: }"
fact others "$(grep -v '^the masquerade' alerts.txt | cut -d, -f1 | sort | uniq -c | awk '{ $1 = $1; print }' | paste -sd';')"
expect 'the masquerade is alerted' [ -n "$first" ]
