# Many ports, many hosts, most of them closed.
behaviour network-scan T1046
job scan_c_one c;       scan_c_one() { exec "$(bin scan)" one 1 "$(pick 1024 3000)" "$(pick 0 200 2000 10000)" 10.9.0; }
job scan_c_many c;      scan_c_many() { exec "$(bin scan)" many 1 "$(pick 1024 3000)" "$(pick 0 100 1000)" 10.9.0; }
job scan_c_select c held-out; scan_c_select() { exec "$(bin scan)" select 1 1024 "$(pick 0 200 2000)" 10.9.0; }
job scan_c_filtered c;  scan_c_filtered() { exec "$(bin scan)" "$(pick many select)" 1 1024 "$(pick 0 500)" 10.8.0; }
job scan_go go;         scan_go() { exec "$(bin bad-go)" scan "$(pick 1 20 100)" "$(pick 0 1000 10000)"; }
job scan_rust rust held-out; scan_rust() { exec "$(bin bad-rs)" scan "$(pick 0 500 3000)"; }
for s in plain shuffled async threads hosts; do eval "scan_python_$s() { exec \"\$(as python3)\" /lab/src/bad.py scan $s \"\$(pick 0 0 .002 .01)\"; }"; done
job scan_python_plain python; job scan_python_shuffled python; job scan_python_async python; job scan_python_threads python; job scan_python_hosts python held-out
job scan_perl perl;     scan_perl() { exec "$(as perl)" /lab/src/bad.pl scan "$(pick 0 .002 .02)"; }
job scan_ruby ruby held-out; scan_ruby() { exec "$(as ruby)" /lab/src/bad.rb scan "$(pick 0 .005)"; }
job scan_node node;     scan_node() { exec "$(as node)" /lab/src/bad.js scan "$(pick 5 50)" "$(pick 0 20)"; }
job scan_php php;       scan_php() { exec "$(as php)" /lab/src/bad.php scan "$(pick 0 1000 10000)"; }
job scan_bash shell;    scan_bash() { for h in 10.9.0.{1..250}; do for p in {1..1024}; do (echo >/dev/tcp/$h/$p) 2>/dev/null && echo "$h $p open"; done; done; }
job scan_bash_exec shell; scan_bash_exec() { while :; do for p in $(shuf -i 1-9000 -n 4000); do exec 3<>/dev/tcp/10.9.0.7/$p && echo $p; exec 3>&-; done 2>/dev/null; done; }
job scan_bash_timeout shell held-out; scan_bash_timeout() { for h in 10.9.0.{2..250}; do for p in 21 22 23 25 80 110 443 445 3306 3389 5432 6379 8080; do timeout 1 bash -c "echo >/dev/tcp/$h/$p" 2>/dev/null && echo "$h:$p"; done; done; }
job scan_nc shell;      scan_nc() { while :; do for h in 10.9.0.{2..250}; do nc -z -n -w 1 $h $(pick 1-200 20-1024 '22 80 443 445 3306 5432 6379'); done; done; }
job scan_nmap tool;     scan_nmap() { local n; n=$(as nmap); while :; do "$n" -n -Pn -sT "-T$(pick 3 4)" -p1-9000 10.9.0.$(within 2 250); done; }
job scan_nmap_syn tool; scan_nmap_syn() { local n; n=$(as nmap); while :; do "$n" -n -Pn -sS --max-rate "$(pick 50 300 2000)" -p1-9000 10.9.0.$(within 2 250); "$n" -n -sn 10.9.0.0/25; done; }
job scan_nmap_version tool; beside_scan_nmap_version() { for p in 22 80 443 3306; do python3 /lab/src/echo.py $p & done; sleep infinity; }; scan_nmap_version() { local n; n=$(as nmap); while :; do "$n" -n -Pn "$(pick -sV -A -sC)" -p22,80,443,3306,8080 10.9.0.1; done; }
job scan_masscan tool held-out; scan_masscan() { local n; n=$(as masscan); while :; do "$n" 10.8.0.0/24 -p1-1000 --rate "$(pick 100 500)" -e d0 --adapter-mac 02:00:00:00:00:02 --router-mac 02:00:00:00:00:01 --adapter-ip 10.8.0.1 --wait 0 || nap 900; done; }
job scan_hping tool held-out; scan_hping() { local n; n=$(as hping3); while :; do "$n" -q -S --scan "1-$(pick 500 3000)" 10.9.0.$(within 2 250); done; }
job scan_fping tool;    scan_fping() { while :; do fping -q -a -r 1 -t 100 -g 10.8.0.0/25; fping -q -a -r 0 -g 10.9.0.0/24; done; }
