/**
 * What names of programs mean for findings from facts: threads of the kernel, daemons that every
 * administrator knows, shells, interpreters, tools that relay; and whether a name can be that of an
 * executable.
 *
 * Pure lists and rules. A name is only a claim; facts tell what a process is.
 */
import { isInterpreter } from './names.ts'

/**
 * As threads of the kernel are called; no user's program is, but to hide. The ambiguous ones are
 * left out.
 */
const KERNEL_THREADS =
  /^\[?(kworker\/|ksoftirqd\/|migration\/\d|cpuhp\/\d|idle_inject\/|irq\/\d|jbd2\/|xfsaild\/|rcu[bcop]s?\/|rcuog\/|rcu_(sched|bh|preempt|par_gp|gp|exp|tasks)|kthreadd|kswapd\d|kcompactd\d|khugepaged|khungtaskd|kauditd|kblockd|kintegrityd|kthrotld|kdamond|kpsmoused|kdmflush|oom_reaper|mm_percpu_wq|inet_frag_wq|scsi_(eh|tmf)_\d|ext4-rsv-conver|btrfs-(cleaner|transacti)|nvme-wq|ata_sff\]?$|md\d+_raid|ipv6_addrconf|slub_flushwq|pool_workqueue_release)|^\[(watchdogd|netns|writeback|loop\d+|ksmd|kdevtmpfs|edac-poller|devfreq_wq|zswap|psimon|nfsd|lockd)\]?$/

export function isKernelThreadName(name: string): boolean {
  return KERNEL_THREADS.test(name)
}

/** As ps lists threads of the kernel: a name in brackets, and no arguments. */
export function isListedAsKernelThread(command: string | undefined): boolean {
  return command !== undefined && /^\[[^\s\]]+\]$/.test(command) && isKernelThreadName(command)
}

const DAEMONS = new Set(
  (
    'sshd nginx apache2 httpd lighttpd cron crond atd anacron rsyslogd syslogd syslog-ng systemd systemd-journald ' +
    'systemd-journal systemd-logind systemd-udevd systemd-resolved systemd-resolve systemd-timesyncd systemd-timesyn ' +
    'systemd-networkd systemd-network systemd-machined dbus-daemon dbus-broker agetty getty polkitd udisksd udevd ' +
    'NetworkManager wpa_supplicant dhclient dhcpcd avahi-daemon cupsd mysqld mariadbd postgres redis-server ' +
    'valkey-server mongod memcached named unbound dnsmasq ntpd chronyd snmpd smbd nmbd winbindd rpcbind rpc.statd ' +
    'rpc.mountd auditd acpid irqbalance smartd dockerd containerd containerd-shim kubelet haproxy squid exim4 ' +
    'sendmail dovecot vsftpd proftpd xinetd inetd haveged rngd thermald upowerd accounts-daemon lightdm gdm3 Xorg ' +
    'pulseaudio packagekitd ModemManager multipathd iscsid keepalived slapd php-fpm mosquitto zabbix_agentd ' +
    'node_exporter openvpn lvmetad gpm bluetoothd'
  ).split(' '),
)

/**
 * A program that runs on many hosts as a service: a process with its name claims to be it.
 */
export function isDaemonName(name: string): boolean {
  return DAEMONS.has(name.replace(/:.*$/, '')) || /^php-fpm[\d.]*$/.test(name)
}

const SHELLS =
  /^(r?bash|dash|ash|sh|zsh\d?|[mlop]?ksh(93|20\d\d)?|fish|tcsh|csh|busybox|pwsh|mksh-static)[\d.-]*$/

/** @param file the executable's own name */
export function isShellProgram(file: string): boolean {
  return SHELLS.test(file)
}

export function isInterpreterProgram(file: string): boolean {
  return (
    isShellProgram(file) ||
    isInterpreter(file) ||
    /^(node|nodejs|bun|deno|guile|expect|osascript|groovy|elixir|erl|beam\.smp|Rscript|R|julia|mono|dotnet)[\d.]*$/.test(
      file,
    )
  )
}

/** One file that is many programs, by the name it is called under. */
export function isManyPrograms(file: string): boolean {
  return /^(busybox|toybox|coreutils|kmod|lvm|git|perl|dropbearmulti|sbase-box|systemctl)$|-multi(call)?$/.test(
    file,
  )
}

/** Programs whose purpose is to connect what is here with what is elsewhere. */
export function isRelayTool(file: string): boolean {
  return /^(nc|ncat|netcat|nc\.(openbsd|traditional)|pnetcat|socat\d?|telnet(\.\w+)?|openssl|cryptcat|sbd|pwncat|gnutls-cli|websocat|chisel|gsocket|gs-netcat|dropbear|rlwrap)$/.test(
    file,
  )
}

const STARTS_ANYTHING =
  /^(systemd|init|runit|runsv|s6-.*|supervisord|cron|crond|atd|sshd|login|agetty|containerd-shim.*|dockerd|conmon|tmux: server|screen)$/

/** A parent whose children have nothing in common but it. */
export function startsAnything(name: string): boolean {
  return STARTS_ANYTHING.test(name)
}

/** Programs that ask other name servers whatever they are asked. */
export function isNameServer(name: string): boolean {
  return /^(named|unbound|dnsmasq|systemd-resolve|pdns_recursor|pdns_server|kresd|coredns|dnsdist|stubby|dnscrypt-proxy|nsd)/.test(
    name,
  )
}

const WEB_SERVERS =
  /^(nginx|apache2?|httpd|lighttpd|php-fpm[\d.]*|php-cgi[\d.]*|caddy|mysqld|mariadbd|postgres|mongod|redis-server|tomcat\d*|uwsgi|gunicorn)/

export function isWebServerName(name: string): boolean {
  return WEB_SERVERS.test(name)
}

const PACKAGE_MANAGERS =
  /^(apt|apt-get|aptitude|dpkg|dpkg-.*|unattended-upgr|needrestart|debconf-.*|rpm|dnf[\d-]*|yum|zypper|microdnf|packagekitd|apk|pacman|snapd)$/

export function isPackageManager(name: string): boolean {
  return PACKAGE_MANAGERS.test(name)
}

/** Of names that the kernel keeps. */
const COMM_CHARS = 15

/**
 * Whether a process of this name can be that file under its own name: cut, with a version, with
 * what it does.
 */
export function canBeNamed(name: string, file: string): boolean {
  if (file.slice(0, COMM_CHARS) === name.slice(0, COMM_CHARS)) return true
  const [a, b] = [stemOf(name), stemOf(file)]
  if (a === b) return true
  return extends_(file, name) || extends_(name, file)
}

/** "vim.basic" extends "vim", "nginx: worker" extends "nginx"; "sshd" does not extend "ssh". */
function extends_(longer: string, shorter: string): boolean {
  return (
    shorter.length >= 2 &&
    longer.startsWith(shorter) &&
    /^[^a-z]/i.test(longer[shorter.length] ?? '')
  )
}

function stemOf(name: string): string {
  return name.replace(/[-_.]?v?\d[\d.]*$/, '')
}
