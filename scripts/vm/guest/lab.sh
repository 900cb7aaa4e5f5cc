# A server's ordinary programs under a little load, recorded: what the model recognises of them on this machine.
. /host/lib.sh
install_agent
mkdir -p /run/sshd /tmp/www /tmp/redis
echo hello >/tmp/www/index.html
head -c 300000 /dev/urandom >/tmp/www/large
# Servers, each as its package starts it.
rsyslogd
cron
/usr/sbin/sshd
cat >/tmp/nginx.conf <<'C'
worker_processes 2;
pid /run/nginx.pid;
events { worker_connections 256; }
http { access_log /tmp/nginx.log; server { listen 8001; root /tmp/www; } }
C
nginx -c /tmp/nginx.conf
printf 'server.document-root = "/tmp/www"\nserver.port = 8002\nserver.pid-file = "/run/lighttpd.pid"\n' >/tmp/lighttpd.conf
lighttpd -f /tmp/lighttpd.conf
redis-server --daemonize yes --port 6379 --dir /tmp/redis --save 20 1 --appendonly yes
memcached -d -u nobody -m 16 -l 127.0.0.1
printf 'listener 1883 127.0.0.1\nallow_anonymous true\n' >/tmp/mosquitto.conf
mosquitto -d -c /tmp/mosquitto.conf
mosquitto_sub -t 'vm/#' >/dev/null &
sleep 5

load() {
  local n=0
  while :; do
    n=$((n + 1))
    curl -s -o /dev/null http://127.0.0.1:8001/ http://127.0.0.1:8001/large http://127.0.0.1:8002/ http://127.0.0.1:8002/large
    redis-cli set "key$((n % 50))" "value $n" >/dev/null
    redis-cli get "key$((n % 50))" >/dev/null
    printf 'set k%d 0 0 5\r\nhello\r\nget k%d\r\nquit\r\n' $n $n >/dev/tcp/127.0.0.1/11211
    mosquitto_pub -t vm/test -m "message $n"
    logger "line $n"
    sleep 0.3
  done
}
start_agent record.out record.err record --source kernel --state /tmp/record --host "vm-$(uname -m)" --out frames.ndjson.zst
load &
loading=$!
sleep "${LAB_SECONDS:-420}"
kill "$loading"
stop_agent
cat record.err
cp frames.ndjson.zst "/host/lab-$(uname -m).frames.ndjson.zst"
expect 'it was recorded' [ "$CODE" = 0 ]
