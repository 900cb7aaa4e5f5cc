# An administrator's and a monitor's day: polls, health checks, dashboards, shells, pagers; then plain arithmetic.
group monitor
job ps_wc shell;        ps_wc() { while :; do ps aux | wc -l; nap "$(pick 200 1000)"; done; }
job nc_z shell;         nc_z() { python3 /lab/src/echo.py 8000 & while :; do nc -z -w 1 127.0.0.1 22 53 80 443 6379 8000; nap "$(pick 300 1000)"; done; }
job tcp_health_bash shell; tcp_health_bash() { python3 /lab/src/echo.py 8000 & while :; do for p in 22 80 8000; do (exec 3<>/dev/tcp/127.0.0.1/$p) 2>/dev/null && echo "$p up" || echo "$p down"; done; nap "$(pick 500 2000)"; done; }
job tcp_health_python python; tcp_health_python() { python3 /lab/src/echo.py 8000 & python3 -c 'import socket,time
while True:
    for p in (22,80,443,5432,6379,8000):
        try: socket.create_connection(("127.0.0.1",p),1).close()
        except OSError as e: print(p,e)
    time.sleep(1)'; }
job curl_health shell held-out; curl_health() { python3 -m http.server -d /lab/data/docs 8001 >/dev/null 2>&1 & while :; do for u in http://127.0.0.1:8001/ http://127.0.0.1:8002/ http://10.9.0.1:8001/00/; do curl -s -o o -w '%{http_code} %{time_total}\n' -m 2 $u; done; nap "$(pick 300 1000)"; done; }
job dig_health shell;   dig_health() { dnsmasq -k -p 53 -a 127.0.0.1 -z -R -h -u root -C /dev/null --pid-file= --address=/example.test/192.0.2.1 & sleep 1; while :; do dig @127.0.0.1 www.example.test +short; nap "$(pick 200 1000)"; done; }
job dns_lookups python; dns_lookups() { python3 /lab/src/dns.py & sleep 1; python3 -c 'import socket,time,random
while True:
    for h in ("www","mail","db1","api","cdn","ns1"):
        try: socket.gethostbyname(h+".example.test")
        except OSError: pass
    time.sleep(random.random()*.5)'; }
job unbound_server shell held-out; unbound_server() { printf 'server:\n interface: 127.0.0.1\n chroot: ""\n username: ""\n pidfile: /job/p\n local-zone: "x." static\n local-data: "a.x. A 192.0.2.1"\nremote-control:\n control-enable: no\n' > u.conf; unbound -d -c u.conf 2>/dev/null & sleep 1; while :; do kdig @127.0.0.1 a.x +short; host a.x 127.0.0.1 >/dev/null; nslookup b.x 127.0.0.1 >/dev/null; nap 100; done; }
job resolver_bulk shell; resolver_bulk() { python3 /lab/src/dns.py & sleep 1; while :; do awk -F, 'NR%40==0{print $2".example.test"}' /lab/data/table.csv | head -300 | while read -r h; do getent hosts "$h"; done >/dev/null; done; }
job ping_check shell held-out; ping_check() { while :; do ping -c 2 -i .3 10.9.0.1; fping -q 127.0.0.1 10.9.0.1; traceroute -n -m 2 10.9.0.1; nap 300; done >/dev/null 2>&1; }
job proc_poller python; proc_poller() { python3 -c 'import os,time
while True:
    n=0
    for p in os.listdir("/proc"):
        if not p.isdigit(): continue
        for f in ("stat","status","cmdline","io"):
            try: n+=len(open(f"/proc/{p}/{f}","rb").read())
            except OSError: pass
        try: n+=len(os.readlink(f"/proc/{p}/exe"))
        except OSError: pass
    print(n,flush=True); time.sleep(1)'; }
job psutil_poller python; psutil_poller() { python3 -c 'import psutil,time
while True:
    l=[p.info for p in psutil.process_iter(["pid","name","cmdline","memory_info","num_fds","open_files","username"])]; psutil.cpu_percent(); psutil.net_connections(); psutil.disk_usage("/"); print(len(l)); time.sleep(1)'; }
job proc_poller_perl perl; proc_poller_perl() { perl -e 'while(1){ for my $p (glob "/proc/[0-9]*"){ for(qw(stat statm cmdline)){ open F,"$p/$_" or next; local $/; $x=<F>; close F } } sleep 1 }'; }
job proc_poller_go go held-out; prepare_proc_poller_go() { printf 'package main\nimport ("os";"path/filepath";"time")\nfunc main(){ for { fs,_:=filepath.Glob("/proc/[0-9]*"); n:=0; for _,f:=range fs { for _,x:=range []string{"stat","status","cmdline","limits","smaps_rollup"} { b,_:=os.ReadFile(f+"/"+x); n+=len(b) } }; println(n); time.Sleep(time.Second) } }\n' > m.go; go build -o exporter m.go; }; proc_poller_go() { ./exporter; }
job proc_poller_sh shell; proc_poller_sh() { while :; do for p in /proc/[0-9]*; do read -r l < $p/stat; tr '\0' ' ' < $p/cmdline; awk '/VmRSS/{print $2}' $p/status; done >o 2>/dev/null; sleep 1; done; }
job top_batch shell;    top_batch() { top -b -d "$(pick .5 1 2)" | grep --line-buffered load; }
job htop_screen shell held-out; htop_screen() { script -qc 'htop -d 5' /dev/null >o & atop 1 >o2; }
job vmstat_iostat shell; vmstat_iostat() { vmstat 1 >o & iostat -x 1 >p & mpstat -P ALL 1 >q & pidstat 1 >r & sar -u 1 >s & wait; }
job node_exporter go;   node_exporter() { prometheus-node-exporter --web.listen-address=127.0.0.1:9100 2>/dev/null & until_open 9100; while :; do curl -s -o o http://127.0.0.1:9100/metrics; nap "$(pick 500 2000)"; done; }
job collectd_run shell held-out; collectd_run() { printf 'Interval 1\nPIDFile "/job/p"\nBaseDir "/job"\nLoadPlugin cpu\nLoadPlugin memory\nLoadPlugin processes\nLoadPlugin df\nLoadPlugin interface\nLoadPlugin csv\n<Plugin csv>\nDataDir "/job/c"\n</Plugin>\n' > c.conf; exec collectd -f -C c.conf; }
job nagios_checks shell; nagios_checks() { P=/usr/lib/nagios/plugins; while :; do $P/check_load -w 5 -c 9; $P/check_disk -w 5% -c 2% -p /; $P/check_procs -w 200; $P/check_tcp -p 22 -H 127.0.0.1; $P/check_swap -w 5% -c 1%; $P/check_users -w 5 -c 9; nap "$(pick 200 1500)"; done; }
job lsof_ss shell;      lsof_ss() { while :; do lsof -nP -i | wc -l; ss -tanp | wc -l; netstat -s | wc -l; ip -s link | wc -l; fuser -v /job 2>&1 | wc -l; nap 500; done; }
job lynis_audit shell;  lynis_audit() { while :; do lynis audit system -Q --no-colors >o 2>&1; done; }
job chkrootkit_run shell held-out; chkrootkit_run() { while :; do chkrootkit -q >o 2>&1; done; }
job inventory shell;    inventory() { while :; do { hostname; uname -a; cat /etc/os-release; lscpu; free -m; df -h; ip a; ss -tln; dpkg-query -W | wc -l; getent passwd | wc -l; uptime; last | head -3; cat /proc/meminfo; ls /etc/cron.d; } > facts.txt 2>/dev/null; nap "$(pick 300 2000)"; done; }
job inventory_python python held-out; inventory_python() { python3 -c 'import subprocess,json,platform,time,os
while True:
    f={c:subprocess.run(c,shell=True,capture_output=True,text=True).stdout for c in ("uname -a","df -P","ip -j a","mount","dpkg-query -W -f \"${Package}\\n\"","getent passwd","lsblk","free")}
    f["py"]=platform.platform(); json.dump(f,open("facts.json","w")); time.sleep(1)'; }
job status_script shell; status_script() { while :; do load=$(cut -d' ' -f1 /proc/loadavg); mem=$(awk '/MemAvailable/{print $2}' /proc/meminfo); disk=$(df -P / | tail -1 | awk '{print $5}'); for s in ssh cron nginx redis rsyslog; do [ -e "/etc/init.d/$s" ] && st=$(basename "$s") || st=none; echo "$(date +%T) $s $st" | sed 's/ /;/g'; done; echo "$load $mem $disk $(hostname) $(who | wc -l)" >> status.csv; nap "$(pick 200 500 2000)"; done; }
job cron_like shell;    cron_like() { while :; do run-parts --test /etc/cron.daily; find /tmp -mtime +7 -delete; find /var/log -name '*.gz' | wc -l; date > stamp; flock -n lock sh -c 'du -s /var/lib | cut -f1'; apt-config shell A APT::Periodic::Enable; sleep "$(pick .5 2)"; done; }
job monit_run shell held-out; monit_run() { printf 'set daemon 1\nset pidfile /job/p\nset idfile /job/i\nset statefile /job/s\ncheck system x\n if loadavg (1min) > 99 then alert\ncheck file y with path /etc/passwd\n if changed checksum then alert\ncheck host z with address 127.0.0.1\n if failed port 22 then alert\n' > m.rc; chmod 600 m.rc; exec monit -I -c m.rc; }

group interactive
job tail_follow shell;  tail_follow() { touch app.log; tail -F app.log | grep --line-buffered status=500 > errors & while read -r l; do echo "$l"; [ $((++n % 20)) = 0 ] && sleep .05; done < /lab/data/app.log >> app.log; }
job tail_awk shell;     tail_awk() { touch a.log; tail -n 0 -f a.log | awk '/500/{n++; if(n%10==0) {print n; fflush()}}' > c & tail -f a.log | sed -u 's/user=[^ ]*/user=-/' > d & while read -r l; do echo "$l"; [ $((++n % 9)) = 0 ] && sleep .03; done < /lab/data/app.log >> a.log; }
job tee_pv shell held-out; tee_pv() { while :; do pv -q -L 2m /lab/data/app.log | tee a b | gzip > c.gz; cat /lab/data/app.log | ts 2>/dev/null | head -3000 | sponge d; done; }
job less_man shell;     less_man() { while :; do for p in ls find bash ssh tar gcc git; do man -P cat $p >o 2>/dev/null; man -k "$p" >o 2>/dev/null; script -qc "timeout 1 less /lab/data/app.log" /dev/null </dev/null >o; done; done; }
job vim_batch shell;    vim_batch() { cp /lab/data/docs/00/*/*.txt .; while :; do for f in *.txt; do vim -es -u NONE -c '%s/a/b/ge' -c 'sort' -c wq "$f" </dev/null; printf '1,3d\nw\nq\n' | ed -s "$f"; done; cp /lab/data/docs/00/*/*.txt .; done; }
job emacs_batch shell held-out; emacs_batch() { while :; do emacs -Q --batch --eval '(with-temp-file "o" (dotimes (i 2000) (insert (format "%d\n" (* i i)))))' 2>/dev/null; emacs -Q --batch -l /dev/null --eval '(print (length (directory-files "/usr/bin")))' >/dev/null; done; }
job tmux_shell shell;   tmux_shell() { tmux -S sock -f /dev/null new-session -d -x 120 -y 40 'bash --norc -i'; sleep 1; while :; do for c in 'ls -la /etc' 'cd /var/log' 'ls -t | head' 'df -h' 'grep -c . /etc/services' cd 'for i in 1 2 3; do echo $i; done' 'ps | tail -3' 'cat /etc/hostname' uptime 'find /etc -name "*.conf" | wc -l' clear 'history | tail -3' 'vim -es -c q /etc/hosts' 'git --version' 'id' 'cat /etc/passwd | head -3'; do tmux -S sock send-keys "$c" Enter; nap "$(pick 200 700 1500)"; done; done; }
job screen_shell shell held-out; screen_shell() { export SCREENDIR=$PWD/sd; mkdir -m 700 sd; screen -dmS w bash --norc -i; sleep 1; while :; do for c in ls 'cd /usr/share' 'ls | wc -l' 'du -s doc' pwd 'tail -2 /var/log/dpkg.log' date; do screen -S w -p 0 -X stuff "$c
"; nap "$(pick 300 900)"; done; done; }
job expect_shell tcl;   expect_shell() { while :; do expect -c 'log_user 0; spawn bash --norc -i; foreach c {ls pwd "df -h" "ps" "cat /etc/hosts" "uname -a" date "ls -la /usr/bin"} { send "$c\r"; sleep 0.4 }; send "exit\r"; expect eof'; done; }
job python_repl python; python_repl() { (while :; do for l in 'import os,math' 'sorted(os.listdir("/usr"))[:3]' 'sum(math.sqrt(i) for i in range(99999))' 'open("/etc/hosts").read()' 'x=[i for i in range(9)]' 'os.system("date")'; do echo "$l"; nap "$(pick 200 900)"; done; done) | python3 -i >o 2>&1; }
job ssh_pty_session tool; ssh_pty_session() { /usr/sbin/sshd -p 2222; until_open 2222; (while :; do for c in ls 'df -h' 'tail -5 /var/log/dpkg.log' 'ps aux | head' 'cd /etc' 'cat hosts' 'ls -la' w; do echo "$c"; nap "$(pick 300 1200)"; done; done) | ssh -tt -p 2222 root@127.0.0.1 >o; }
job sudo_su shell;      sudo_su() { while :; do su dev -c 'id; ls ~ | wc -l'; sudo -u dev -- date; runuser -u dev -- true; nap "$(pick 100 800)"; done >/dev/null; }
job user_admin shell held-out; user_admin() { while :; do useradd -m "t$n" 2>/dev/null; echo "t$n:pw" | chpasswd; usermod -aG games "t$n"; getent passwd | wc -l; userdel -r "t$n" 2>/dev/null; n=$(((n + 1) % 9)); done; }
job mail_tools shell held-out; mail_tools() { python3 -c 'import socket,threading
s=socket.create_server(("127.0.0.1",2525))
def f(c):
    c.sendall(b"220 x\r\n"); d=False
    for l in c.makefile("rb"):
        if d:
            if l==b".\r\n": d=False; c.sendall(b"250 ok\r\n")
            continue
        if l[:4].upper()==b"DATA": d=True; c.sendall(b"354 go\r\n")
        elif l[:4].upper()==b"QUIT": c.sendall(b"221 x\r\n"); c.close(); break
        else: c.sendall(b"250 x\r\n")
while True: threading.Thread(target=f,args=(s.accept()[0],)).start()' & until_open 2525; while :; do swaks --silent 3 --to a@b --from c@d --server 127.0.0.1:2525 --body hi; printf 'Subject: x\n\nhi\n' | msmtp --host=127.0.0.1 --port=2525 --from=a@b c@d; nap 200; done; }

group compute
job openssl_speed shell; openssl_speed() { while :; do openssl speed -seconds 1 aes-256-cbc sha256 rsa2048 >/dev/null 2>&1; done; }
job openssl_keys shell held-out; openssl_keys() { while :; do openssl genrsa -out k "$(pick 2048 3072)" 2>/dev/null; openssl req -x509 -new -key k -subj /CN=x -out c; openssl x509 -in c -noout -text >/dev/null; openssl dhparam -out d 512 2>/dev/null; ssh-keygen -q -t ed25519 -N '' -f s <<< y >/dev/null; done; }
job bc_pi shell;        bc_pi() { while :; do echo "scale=900; 4*a(1)" | bc -l | tail -1; echo '2k 9999 v p' | dc; factor $RANDOM$RANDOM$RANDOM; done >/dev/null; }
job awk_loop shell;     awk_loop() { mawk 'BEGIN{for(i=0;;i++) s+=sqrt(i)*sin(i)}'; }
job bash_loop shell;    bash_loop() { while :; do s=0; for ((i = 0; i < 300000; i++)); do ((s += i * i % 7)); done; echo $s; done; }
job python_loop python; python_loop() { python3 -c 'import math
while True:
    s=0.0
    for i in range(3000000): s+=math.sqrt(i)
    print(s,flush=True)'; }
job python_numpy python; python_numpy() { OPENBLAS_NUM_THREADS=$(pick 1 2) python3 -c 'import numpy as np
while True:
    a=np.random.rand(500,500); print(np.linalg.svd(a@a.T)[1][0],flush=True); np.sort(np.random.rand(1000000)); np.fft.fft(a)'; }
job python_pandas python; python_pandas() { python3 -c 'import pandas as pd
while True:
    d=pd.read_csv("/lab/data/table.csv"); g=d.groupby("city").amount.agg(["sum","mean"]); g.to_csv("o.csv"); d.sample(9000).to_json("o.json"); print(len(g),flush=True)'; }
job python_pool python held-out; python_pool() { python3 -c 'import multiprocessing as m
def f(n): return sum(i*i for i in range(n))
with m.Pool(2) as p:
    while True: print(sum(p.map(f,[200000]*8)),flush=True)'; }
job python_hash python; python_hash() { python3 -c 'import hashlib,time
while True:
    h=hashlib.sha256()
    with open("/lab/data/random.bin","rb") as f:
        while b:=f.read(65536): h.update(b)
    print(h.hexdigest(),hashlib.pbkdf2_hmac("sha256",b"a",b"b",200000).hex(),flush=True); time.sleep(.05)'; }
job node_compute node;  node_compute() { node -e 'for(;;){const p=[];for(let i=2;p.length<20000;i++){let k=true;for(const q of p){if(q*q>i)break;if(i%q==0){k=false;break}}if(k)p.push(i)}console.log(p.at(-1))}'; }
job perl_compute perl;  perl_compute() { perl -e 'while(1){my %h; $h{$_ % 9973} += $_*3 for 1..900000; print scalar(keys %h),"\n"}'; }
job php_compute php;    php_compute() { php -r 'while(true){ $a=[]; for($i=0;$i<300000;$i++) $a[]=md5($i); sort($a); echo $a[0],"\n"; }'; }
job ruby_compute ruby held-out; ruby_compute() { ruby -e 'loop { puts (1..400000).map { |i| i ** 2 % 97 }.sort.sum }'; }
job java_compute java;  java_compute() { echo 'class P { public static void main(String[] a) { java.util.stream.IntStream s; while (true) System.out.println(java.util.stream.IntStream.range(2, 200000).parallel().filter(i -> { for (int k = 2; k * k <= i; k++) if (i % k == 0) return false; return true; }).count()); } }' > P.java; java P.java; }
job c_compute c;        prepare_c_compute() { printf '#include <stdio.h>\n#include <stdlib.h>\nint main(){int n=300;double*a=malloc(n*n*8),*b=malloc(n*n*8),*c=malloc(n*n*8);for(int i=0;i<n*n;i++)a[i]=b[i]=i;for(;;){for(int i=0;i<n;i++)for(int j=0;j<n;j++){double s=0;for(int k=0;k<n;k++)s+=a[i*n+k]*b[k*n+j];c[i*n+j]=s;}printf("%%f\\n",c[7]);fflush(stdout);}}' > m.c; gcc -O2 -o solver m.c; }; c_compute() { exec ./solver; }
job c_threads_sim c;    prepare_c_threads_sim() { printf '#include <pthread.h>\n#include <unistd.h>\n#include <stdlib.h>\nstatic void*w(void*a){unsigned s=(long)a;volatile double x=0;for(;;){for(long i=0;i<20000000;i++)x+=rand_r(&s)%%7;usleep(500);}}int main(){pthread_t t;for(long i=0;i<2;i++)pthread_create(&t,0,w,(void*)i);pause();}' > m.c; gcc -O1 -pthread -o montecarlo m.c; }; c_threads_sim() { exec ./montecarlo; }
job go_compute go held-out; prepare_go_compute() { printf 'package main\nimport ("fmt";"math/big";"crypto/sha256")\nfunc main(){ for { f:=big.NewInt(1); for i:=int64(1);i<4000;i++ { f.Mul(f,big.NewInt(i)) }; s:=sha256.Sum256(f.Bytes()); fmt.Printf("%%x\\n",s[:4]) } }\n' > m.go; go build -o calc m.go; }; go_compute() { exec ./calc; }
job gnuplot_dot shell;  gnuplot_dot() { while :; do gnuplot -e 'set term png; set out "o.png"; plot sin(x), "/lab/data/random.bin" binary format="%uint8" every 900'; python3 -c 'print("digraph{"+";".join(f"{i}->{i*7%60}" for i in range(90))+"}")' | dot -Tsvg -o o.svg; done 2>/dev/null; }
job sysbench_cpu shell; sysbench_cpu() { while :; do sysbench cpu --time=2 --threads="$(pick 1 2)" run >/dev/null; sysbench memory --time=1 run >/dev/null; sysbench threads --time=1 run >/dev/null; done; }
job fio_ioping shell;   fio_ioping() { while :; do fio --name=a --rw="$(pick randrw read write)" --size=20m --bs=4k --runtime=3 --time_based --ioengine="$(pick psync io_uring libaio)" >/dev/null 2>&1; ioping -c 3 -i .1 . >/dev/null; dd if=/dev/zero of=f bs=1M count=40 conv=fsync 2>/dev/null; done; }
job stress_cpu shell;   stress_cpu() { stress-ng --cpu 1 --cpu-load "$(pick 40 90)" -q; }
job stress_mixed shell held-out; stress_mixed() { stress-ng --hdd 1 --hdd-bytes 30m --io 1 --pipe 1 --sock 1 -q; }
job iperf_loop shell held-out; iperf_loop() { iperf3 -s >/dev/null & until_open 5201; while :; do iperf3 -c 127.0.0.1 -t 1 -b 200M >/dev/null; nap 300; done; }
job hyperfine_run shell; hyperfine_run() { while :; do hyperfine -N -w 3 'ls /usr/bin' 'date' >/dev/null 2>&1; time -p true; perf stat true; done 2>/dev/null; }
job xz_big shell;       xz_big() { while :; do xz -k -c -6 -T "$(pick 1 2)" /lab/data/app.log > a.xz; xz -t a.xz; done; }
job zstd_big shell held-out; zstd_big() { while :; do zstd -q -f -15 /lab/data/app.log -o a.zst; zstd -q -t a.zst; bzip2 -k -c /lab/data/table.csv | bzip2 -t; done; }
job john_test shell held-out; john_test() { while :; do mkpasswd -m sha-512 x 2>/dev/null; openssl passwd -6 "$RANDOM"; python3 -c 'import crypt; crypt.crypt("x",crypt.mksalt(crypt.METHOD_SHA512,rounds=200000))' 2>/dev/null; done >/dev/null; }
