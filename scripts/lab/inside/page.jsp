<%@ page import="java.nio.file.*,java.util.*" %><%-- what a small web application does: reads a file, counts, writes a log --%>
<%
String text = new String(Files.readAllBytes(Path.of("/usr/share/common-licenses/GPL-2")));
Map<String, Integer> words = new TreeMap<>();
for (String word : text.split("\\s+")) words.merge(word, 1, Integer::sum);
Files.writeString(Path.of(System.getProperty("java.io.tmpdir"), "page.log"), new Date() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
%>
<%= words.size() %> words, <%= request.getParameter("a") == null ? 0 : request.getParameter("a").length() %> bytes sent
