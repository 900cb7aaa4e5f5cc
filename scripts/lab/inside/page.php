<?php session_start(); $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1; $a = []; for ($i = 0; $i < rand(10, 4000); $i++) $a[] = md5($i); sort($a);
if (rand(0,3) == 0) { file_put_contents('/tmp/php'.rand(0,9), implode("\n", $a)); } if (rand(0,3)==0) foreach (glob('/etc/*') as $f) $x[] = @filesize($f); echo count($a);
