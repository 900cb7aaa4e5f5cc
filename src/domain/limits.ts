/**
 * Every bound in the agent and the aggregator, and the relations between them.
 *
 * Each constant says what it trades off. At a limit the oldest or least valuable item is dropped,
 * counted by reason and shown by `agent status`. Limits are arguments with these defaults, so that
 * a test can reach them after three frames instead of an hour.
 */
import { assert } from './assert.ts'

// --- Time and sequences -------------------------------------------------------------------------
/** One count vector covers this long [Paper III-B]. */
export const FRAME_MS = 1_000
/** One sequence holds this many frames [Paper III-D]. */
export const SEQUENCE_FRAMES = 10
/** A window with fewer active seconds than this is not classified. */
export const ACTIVE_FRAMES_MIN = 3
/**
 * A process is judged from this age (seconds) on; the seconds before its birth are rows of zeros.
 * Ten would cost each alert six seconds.
 */
export const JUDGED_AGE_FRAMES = 4
/**
 * A frame closes when event time has passed its end by this: sysdig's CPUs step back at most 0.1
 * ms, pipes stall longer.
 */
export const LATENESS_MS = 1_500
/** The same for files, where latency does not matter: some are merged from several. */
export const FILE_LATENESS_MS = 5_000
/**
 * Event time that runs ahead of the wall clock (live) or of the last event (files) by more than
 * this is a jump, not progress.
 */
export const CLOCK_JUMP_MS = 60_000
/**
 * A live host's clock that is behind its seconds by this was set back. Less may be a correction by
 * a time server, and is not followed: no second comes twice.
 */
export const CLOCK_BACK_MS = 5_000
/**
 * The longest time that a setting may name (ten years): longer is a slip of the finger, and no
 * timer could wait for it.
 */
export const DURATION_MS_MAX = 3_650 * 86_400_000

// --- Processes and names ------------------------------------------------------------------------
/**
 * Processes in one frame. 100,000 pids in a minute are 1,700 a second; the quietest beyond this are
 * dropped, counted.
 */
export const FRAME_PROCESSES_MAX = 16_384
/** Processes of one frame that used CPU time and made no call: the busiest. */
export const SILENT_PROCESSES_MAX = 1_024
/** A process without calls is told of from this CPU time on (ms of a second). */
export const SILENT_CPU_MS_MIN = 20
/**
 * Processes remembered between frames (identity, last rows, evidence); the longest silent goes
 * first.
 */
export const PROCESSES_MAX = 32_768
/** A user's number in the kernel. */
export const UID_MAX = 0xffff_ffff
/** Bytes of a presented name: the kernel's comm holds 15, other sources may print more. */
export const NAME_BYTES_MAX = 64
/** Distinct names interned at a time. */
export const NAMES_MAX = 65_536

/**
 * A process this young (seconds) also counts towards the group of its name; older ones have windows
 * of their own.
 */
export const SHORT_LIFE_FRAMES = 3
/** So many births within two sequences make a group. */
export const SHORT_LIVES_MIN = 3
/** Groups at a time; the longest silent goes first. */
export const SHORT_LIVES_MAX = 512

// --- Detection -----------------------------------------------------------------------------------
/** Names in a host's memory; what has not been seen for longest goes first. */
export const MEMORY_NAMES_MAX = 2_048
/** Prototypes under one name: they cover its behaviours, they do not sample them. */
export const MEMORY_PROTOTYPES_PER_NAME_MAX = 48
/**
 * Behaviours of one name that have not recurred for long enough to count as usual; the least seen
 * goes.
 */
export const MEMORY_PENDING_PER_NAME_MAX = 8
/** Names on trial as new programs at a time. */
export const NEWCOMERS_MAX = 1_024
/** Names of processes whose class is remembered; beyond it all are forgotten and looked up again. */
export const CLAIMED_NAMES_MAX = 4_096
/** Prototypes in all: 8,192 of 64 numbers are 2 MiB. */
export const MEMORY_PROTOTYPES_MAX = 8_192
/** A name not seen for this long (seconds: 30 days) is new again. */
export const MEMORY_KEEP_SECONDS = 30 * 86_400
/** An alert whose evidence has been quiet for this long (seconds) is closed. */
export const ALERT_QUIET_SECONDS = 120
/** Processes of one name that show the same within so many seconds are one cause. */
export const ALERT_JOIN_SECONDS = 30
/** An open alert tells its count at most this often (seconds). */
export const ALERT_UPDATE_SECONDS = 60
/** A closed cause that returns within this (seconds) is the same alert again. */
export const ALERT_REMEMBER_SECONDS = 86_400
/** Causes remembered, also over a restart; the longest silent goes first. */
export const ALERTS_REMEMBERED_MAX = 4_096
/**
 * Processes of one cause that are known after a restart; an older one that goes on opens an alert
 * of its own.
 */
export const ALERT_OWNERS_KEPT_MAX = 256
/** `agent alerts --follow` looks so often. */
export const ALERTS_FOLLOW_EVERY_MS = 1_000
/** Seconds of a process's life that `agent explain` shows before and after the evidence. */
export const EXPLAIN_SECONDS_BEFORE = 60
export const EXPLAIN_SECONDS_AFTER = 30
// --- Outputs ------------------------------------------------------------------------------------
/** Of a file of alerts, before it is rotated; and how many files there are then. */
export const ALERT_FILE_BYTES_MAX = 16_777_216
export const ALERT_FILES_MAX = 5
/** Messages that wait for a syslog server; ms before it is tried again, doubled up to a minute. */
export const SYSLOG_QUEUE_MAX = 1_024
export const SYSLOG_RETRY_MS = 1_000
/** Notices that wait for a webhook, also over a restart. */
export const WEBHOOK_QUEUE_MAX = 256
export const WEBHOOK_RETRY_MS = 1_000
export const WEBHOOK_TIMEOUT_MS = 10_000
/** What a mail server may say at a time. */
export const SMTP_REPLY_BYTES_MAX = 16_384
/** Addresses that notices go to. */
export const MAIL_ADDRESSES_MAX = 20
/** How often the metrics file is written: as often as Prometheus usually asks. */
export const METRICS_FILE_EVERY_MS = 15_000
/** Incidents whose notices are remembered, so that each is told once. */
export const NOTICE_INCIDENTS_MAX = 4_096

/** Labels that people gave to alerts of this host. */
export const ALERT_LABELS_MAX = 1_024
/** Hours of a host's life whose highest evidence is kept: two weeks. */
export const HOST_HOURS_MAX = 336
/** A simulated attack ends by itself after so long. */
export const SIMULATION_SECONDS_MAX = 120
/**
 * Hosts that `agent simulate fleet` plays (each is an open file), and how many connect at a time.
 */
export const SIMULATED_HOSTS_MAX = 100_000
export const SIMULATED_CONNECTING_MAX = 200
/** Files that a simulated encryptor makes for itself. */
export const SIMULATED_FILES = 400
/** Of each file of labelled windows. */
export const LABELLED_BYTES_MAX = 16_777_216
/** Classes beside the most probable one that an alert names. */
export const ALERT_ALTERNATIVES_MAX = 2
/** Alerts confirmed in a day (24 h): each may wake somebody. What is above stays provisional. */
export const ALERTS_CONFIRMED_PER_DAY_MAX = 100
/** Subjects of alerts whose days are remembered, to know what recurs. */
export const RECURRENCES_MAX = 512
/** Alerts further apart than this are different incidents. */
export const INCIDENT_QUIET_SECONDS = 1_800
/** What incidents are recognised by: a handful of keys an alert. */
export const INCIDENT_KEYS_MAX = 16_384

// --- Input --------------------------------------------------------------------------------------
/** A longer line is no line of ours; it is skipped to its end, counted. */
export const LINE_BYTES_MAX = 65_536
/** bpftrace prints a whole map as one line: 16 bytes a cell, so about 260,000 cells. */
export const BPFTRACE_LINE_BYTES_MAX = 4_194_304
/** One read from a pipe or file. */
export const READ_BYTES = 1_048_576
/** Files of `strace -ff` read as one, and what is read of each at a time: 32 MiB for all. */
export const STRACE_FILES_MAX = 512
export const STRACE_READ_BYTES = 65_536 + LINE_BYTES_MAX
/** A capture that sysdig cannot unpack itself is unpacked beside the state, up to so much. */
export const CAPTURE_BYTES_MAX = 16 * 1_073_741_824
/**
 * How often a live pipe is read: fewer wake-ups cost the agent and sysdig less; a pipe of 1 MiB
 * lasts 20 ms at 52 MB/s.
 */
export const READ_EVERY_MS = 20
/**
 * The same while little comes: fewer wake-ups, and a burst of 52 MB/s waits 30 ms in the
 * collector's own buffers.
 */
export const READ_QUIET_MS = 50
/**
 * Size asked for a pipe (F_SETPIPE_SZ): at the kernel's 64 KiB, reading every READ_EVERY_MS
 * throttles the writer.
 */
export const PIPE_BYTES = 1_048_576
/** If nothing in so many first bytes looks like a format we know, it is none. */
export const FORMAT_HEAD_BYTES = 65_536
/**
 * So many first bytes of lines without a direction tell whether each call is in them twice; 64 KiB
 * may be one long loop of one program.
 */
export const PAIRS_HEAD_BYTES = 262_144
/**
 * Lines wait so long until that is known; a window takes ten seconds, a summary a minute.
 */
export const PAIRS_HELD_MS = 30_000
/**
 * A live source that is silent: its seconds are closed by the clock, this long after lateness,
 * looked at this often.
 */
export const CLOSE_AFTER_MS = 1_000
export const CLOSE_EVERY_MS = 250
/** Frames are written in pieces of this size. */
export const WRITE_BYTES = 262_144
/**
 * A collector that ended is started again after this, doubling; one that ran for
 * COLLECTOR_STEADY_MS begins anew.
 */
export const COLLECTOR_RESTART_MIN_MS = 500
export const COLLECTOR_RESTART_MAX_MS = 30_000
export const COLLECTOR_STEADY_MS = 60_000
/**
 * A live collector that says nothing for so long hangs: something calls in each second of a host's
 * life.
 */
export const COLLECTOR_SILENT_MS = 60_000
/**
 * How often sysdig's stream is compared with what runs, sleeps in that time that prove system
 * calls, and programs named.
 */
export const VANISHED_EVERY_MS = 10_000
export const VANISHED_SLEEPS_MIN = 10
export const VANISHED_NAMED_MAX = 8
/** A child that was asked to end is killed after this. */
export const CHILD_GRACE_MS = 3_000
/** Of what a child says on stderr the last is kept: its reason to end. */
export const STDERR_BYTES_MAX = 16_384
/** A clock jump is confirmed after this time; until then its calls are quarantined. */
export const CLOCK_JUMP_CONFIRM_MS = 2_000
/**
 * Lines whose meaning is remembered byte for byte: 160 bytes each, forgotten all at once when full.
 */
export const LINE_MEMO_MAX = 8_192
/** Threads whose process was learned from a clone line. The oldest half goes at the bound. */
export const THREADS_MAX = 65_536
/** Calls that one line may claim: a second has no more; larger is malformed. */
export const TALLY_MAX = 0x7fff_ffff
/** First samples of refused input that are kept for `agent status`, per reason. */
export const REJECT_SAMPLE_BYTES = 160

// --- Counting in the kernel ----------------------------------------------------------------------
/**
 * Different (process, syscall) pairs in a second: 400-900 are usual, 25,000 where 1,000 programs
 * start; 2.6 MB of kernel memory for each of four maps.
 */
export const KERNEL_COUNT_KEYS = 32_768
/** Processes with a record in a second; 1.7 MB for each of four maps. */
export const KERNEL_PROCESSES_MAX = 8_192
/**
 * Different calls of one process in a second: 20-60 are usual, 120 are many. What it makes beyond
 * them is one key.
 */
export const KERNEL_PROCESS_KEYS_MAX = 256
/** Users followed who may keep the host from being seen. */
export const BLINDERS_MAX = 256
/** Users and containers whose deviation is told apart in a second; the rest is one. */
export const UNREST_GROUPS_MAX = 1_000
/**
 * Processes and users of one second that are named as unseen; the rest is told as a loss of the
 * whole second.
 */
export const UNSEEN_MAX = 4_096
/**
 * A program that began in the old second has left by then; where membarrier(2) works one tick is
 * waited and then known.
 */
export const KERNEL_GRACE_MS = 25
/** /proc look-ups a second (33-75 us each) for what the kernel's record does not hold. */
export const PROC_READS_MAX = 200
/** Arguments of executed programs that are fetched from the kernel in a second, some 3 µs each. */
export const COMMAND_READS_MAX = 1_000
/**
 * cgroups whose container is remembered, and directories looked at when a new one has to be found.
 */
export const CGROUPS_MAX = 4_096
export const CGROUP_WALK_MAX = 5_000
/**
 * Reading all processes' CPU times takes at most this share of a core: 0.8 µs a thread (measured),
 * so it is made less often from 6,000 threads on.
 */
export const CPU_WALK_SHARE_MAX = 0.005
/** One record of the collector's stream: the calls of one process, at most. */
export const KERNEL_RECORD_BYTES_MAX = 65_536
/** The collector's one message, including the end of the verifier's log. */
export const MESSAGE_BYTES_MAX = 1_048_576

/**
 * A recording of several hosts waits this long (seconds) for a host that has just booted to be
 * named.
 */
export const HOSTS_HOLD_SECONDS = 20
/** Lines of the file that names them. */
export const HOSTS_FILE_LINES_MAX = 4_096

// --- The run ------------------------------------------------------------------------------------
/** Losses are told in the log at most this often. */
export const LOSS_TOLD_EVERY_MS = 60_000
/** The same for an output that fails. */
export const OUTPUT_TROUBLE_TOLD_EVERY_MS = 60_000
/**
 * So many seconds in a row that cannot be processed end the agent: whatever started it starts it
 * anew.
 */
export const FAILED_SECONDS_MAX = 30
/** The same failure is told in the log at most this often. */
export const FAILURE_TOLD_EVERY_MS = 60_000
/** How often the ledger is saved: what a kill -9 loses of it. */
export const STATUS_SAVE_EVERY_MS = 5_000
/** The engine collects after so many bytes, and does not wait until its heap has doubled. */
export const GARBAGE_BYTES_MAX = 8_000_000
/** How often each process collects garbage and gives back pages: some 30 ms of CPU. */
export const GIVE_BACK_EVERY_MS = 20_000
/** How often the host's memory is saved (up to a few MB at a time). */
export const MEMORY_SAVE_EVERY_MS = 60_000
/** How long a finished run waits for its last messages to arrive. */
export const DRAIN_MS = 15_000
/** The same where somebody asked it to end now. */
export const INTERRUPTED_DRAIN_MS = 500

// --- Facts about processes -----------------------------------------------------------------------
/** Characters of a command line that are kept with an alert. */
export const COMMAND_CHARS_MAX = 512
/**
 * Questions to the facts reader: under way at a time (they fit into its pipe), and asked in one
 * second.
 */
export const FACTS_WAITING_MAX = 64
export const FACTS_PER_SECOND_MAX = 30
/**
 * Share of a core above which the reader of facts watches files less often. Faster would see more of
 * the descriptors that are open for a moment.
 */
export const READER_CPU_SHARE = 0.03
/** CPU time that it may have saved up: half a minute at a tenth of a core. */
export const READER_CPU_SAVED_MS = 3_000
/** Processes that wait to be asked about. */
export const FACTS_WANTED_MAX = 512
/**
 * A question without an answer for so long has failed; one about files takes FILE_WATCH_MS of it.
 */
export const FACTS_ANSWER_MS = 20_000
/** One question or answer as a line. */
export const FACT_LINE_BYTES_MAX = 65_536
/**
 * Processes whose facts are kept, also after they ended; those asked about longest ago go first.
 */
export const FACTS_KEPT_MAX = 2_048
/**
 * Bytes of one file of /proc that are read: a socket table of 60,000 connections has 9 MB, and is
 * cut.
 */
export const PROC_TEXT_BYTES_MAX = 65_536
/** A line of /proc/PID/maps has some 100 bytes; the program's own are among the first. */
export const MAPS_BYTES_MAX = 1_048_576
export const SOCKET_TABLE_BYTES_MAX = 4_194_304
/** Mount and socket tables (of containers) remembered for a moment. */
export const MOUNT_TABLES_MAX = 64
export const SOCKET_TABLES_MAX = 16
/**
 * Ancestors of a process that are told, descriptors of one that are looked at, processes in one
 * table.
 */
export const PARENTS_MAX = 12
export const DESCRIPTORS_MAX = 512
export const PROCESS_TABLE_MAX = 16_384
/** Processes at the other end of pipes that are looked at for one shell. */
export const RELAY_CANDIDATES_MAX = 48
/**
 * Where a process rewrites files: so many directories, files of each and looks, the last after
 * FILE_WATCH_MS.
 */
export const WATCHED_FOLDERS_MAX = 24
export const WATCHED_FILES_PER_FOLDER_MAX = 32
export const FOLDER_ENTRIES_MAX = 2_048
export const FILE_WATCH_MS = 6_000
/** So long where something was found, and not enough: who takes its time. */
export const FILE_WATCH_LONG_MS = 14_000
/** Processes whose files are watched at a time. */
export const FILE_WATCHES_MAX = 5
/** Files of one process that are kept open until it is known what it made of them. */
export const WRITTEN_FILES_MAX = 32
/** Processes whose work on files is added up. */
export const FILE_WORKERS_MAX = 2_048
/** Processes whose connects are added up. */
export const CONNECTORS_MAX = 2_048
/** Programs whose commands are put together, and that gather secrets. */
export const COMMANDERS_MAX = 2_048
export const GATHERERS_MAX = 1_024
/** Memory of one process that is looked through for the protocol of mining pools: some 100 ms. */
export const POOL_TALK_BYTES_MAX = 64 * 1_048_576
/** The same for answers of servers that refuse a login: some 50 ms, every few seconds at most. */
export const REFUSAL_BYTES_MAX = 24 * 1_048_576
/** Processes whose CPU time is added up. */
export const COMPUTERS_MAX = 2_048
/**
 * An executable is hashed once; a larger one is not, and not more than so many bytes in a second.
 */
export const HASHED_BYTES_MAX = 256 * 1_048_576
export const HASHED_BYTES_PER_SECOND = 48 * 1_048_576
export const HASHES_KEPT_MAX = 1_024
/**
 * Package databases (containers have their own) are kept as indexes of so many files in all, twelve
 * bytes each.
 */
export const PACKAGE_FILES_KEPT_MAX = 800_000
export const PACKAGE_FILES_MAX = 400_000
export const PACKAGE_LISTS_MAX = 20_000
/** Of rpm's table; one of 100 MB has some thousand, for most of it is in overflow pages. */
export const PACKAGE_PAGES_MAX = 65_536
export const PACKAGE_LIST_BYTES_MAX = 32 * 1_048_576
/** Read of one database, a second or two of work; of a larger one nothing is known. */
export const PACKAGE_DATABASE_BYTES_MAX = 512 * 1_048_576

// --- Own cost -----------------------------------------------------------------------------------
/**
 * The governor reads the agent's CPU this often, and judges it over a window of this length
 * (seconds).
 */
export const GOVERNOR_EVERY_MS = 2_000
export const GOVERNOR_WINDOW_SECONDS = 10
/** What starting costs (loading, compiling, learning names) is no reason to do less. */
export const GOVERNOR_START_SECONDS = 30
/**
 * Quiet for so long (seconds), it goes one level back; twice as long after each time that was too
 * early.
 */
export const GOVERNOR_CALM_SECONDS = 60
export const GOVERNOR_CALM_SECONDS_MAX = 960
/** Windows a second at the last level: about 0.3 % of a core (measured). */
export const GOVERNED_WINDOWS_MAX = 64
/** Processes in one document of `agent top`: the most suspicious, then the busiest. */
export const LIVE_ROWS_MAX = 200
/** Its bytes, its viewers at a time, and what waits for a slow one before it is let go. */
export const LIVE_BYTES_MAX = 262_144
export const LIVE_VIEWERS_MAX = 4

// --- bpftrace -----------------------------------------------------------------------------------
/**
 * Keys of one of bpftrace's maps; beyond it calls are lost in silence, and its default of 4,096 is
 * a busy second.
 */
export const BPFTRACE_KEYS_MAX = 65_536
/** How long it may take to try it out: it compiles with LLVM. */
export const BPFTRACE_START_MS = 15_000

// --- Rolling buffer -----------------------------------------------------------------------------
/**
 * Seconds in the rolling buffer: one hour, about 40 MB at 300 busy processes (measured); the ring
 * never grows past BUFFER_BYTES_MAX.
 */
export const BUFFER_FRAMES_MAX = 3_600
export const BUFFER_BYTES_MAX = 256 * 1_048_576

/** Alerts kept on the host itself for `agent alerts`; the longest silent go first. */
export const ALERTS_KEPT_MAX = 10_000
/** Rules of `agent allow`; a new one beyond it is refused. */
export const ALLOW_RULES_MAX = 500

// --- Alerts and the way out ----------------------------------------------------------------------
/** Rows in the outbox by size; summaries merge, then go; alerts last. */
export const OUTBOX_BYTES_MAX = 32 * 1_048_576
/** What a row costs beside its payload, in memory and in the file's pages. */
export const OUTBOX_ROW_BYTES = 96
/** Rows held in memory while the disk takes none; beyond it summaries go, then alerts, counted. */
export const OUTBOX_UNSAVED_BYTES_MAX = 2 * 1_048_576
/**
 * Summaries merge up to this span before they are dropped: an hour as one is still worth having.
 */
export const SUMMARY_MERGE_SECONDS_MAX = 3_600
/**
 * Calls of a process that are taken away in turn to explain an alert: rows of one more inference
 * batch.
 */
export const EXPLAINED_CALLS_MAX = 24
/** New alerts in one minute; beyond it they are merged into a count. */
export const ALERTS_PER_MINUTE_MAX = 60
/**
 * An alert as JSON: 1 KiB is typical, and some 100 bytes more with the calls of each second; above
 * this, these are left out, as they are only drawn.
 */
export const ALERT_BYTES_DRAWN_MAX = 1_536
/** At most; a longer one loses its `why` first. */
export const ALERT_BYTES_MAX = 4_096
/** A summary as CBOR. 1,440 a day of at most this size stay below the day's 20 MB. */
export const SUMMARY_BYTES_MAX = 12_288
/**
 * Processes of a summary before it is fitted: at eight bytes a row, the least there is, no message
 * holds more.
 */
export const SUMMARY_PROCESSES_MAX = 1_536
export const SUMMARY_EVERY_MS = 60_000
/** Rows sent and not yet receipted. */
export const IN_FLIGHT_MAX = 256
/**
 * A row without a receipt is sent again after this; doubled each time up to RESEND_AFTER_MAX_MS.
 */
export const RESEND_AFTER_MS = 1_500
export const RESEND_AFTER_MAX_MS = 600_000
/** Sent by one host in any 24 hours, whatever happens: beyond it rows wait, summaries first. */
export const WIRE_BYTES_PER_DAY_MAX = 20_000_000
/** The share of it that only alerts may use. */
export const WIRE_BYTES_ALERTS_ONLY = 2_000_000
/**
 * Without a known aggregator, a PUBACK counts only after an announcement had this long to arrive.
 */
export const AGGREGATOR_SETTLE_MS = 1_000
/** Less would be no wait. */
export const RETRY_WAIT_MIN_MS = 10
/**
 * Waits between attempts to reach a broker, by chance up to a bound that doubles; the second pair
 * where it refused us.
 */
export const RECONNECT_MIN_MS = 2_000
export const RECONNECT_MAX_MS = 60_000
/**
 * A connected agent publishes its status again so often, 65 kB a day: a broker may deliver and
 * retain a late will of an earlier connection.
 */
export const STATUS_EVERY_MS = 600_000
export const REFUSED_MIN_MS = 15_000
export const REFUSED_MAX_MS = 600_000
/** TCP, TLS and CONNACK together. */
export const CONNECT_TIMEOUT_MS = 10_000
/**
 * Acknowledged rows are forgotten on disk at most this much later: a crash before only sends them
 * again.
 */
export const OUTBOX_FLUSH_MS = 100
/** What a broker may send an agent: a longer packet or more packets a second end the connection. */
export const INBOUND_BYTES_MAX = 1_048_576
export const INBOUND_PER_SECOND_MAX = 2_000

// --- Messages on the wire ------------------------------------------------------------------------
/** One level of a topic: a host name of DNS has at most 253 characters. */
export const TOPIC_PART_CHARS_MAX = 253
/**
 * Texts in messages: ids, classes, containers and models; a longer one is cut by us and refused
 * from others.
 */
export const WIRE_TEXT_CHARS_MAX = 128
export const WIRE_PATH_CHARS_MAX = 1_024
/** Calls that explain one alert. */
export const ALERT_REASONS_MAX = 32
/** Parents of a process that an alert names, the nearest first. */
export const ALERT_PARENTS_MAX = 8
export const ALERT_PEERS_MAX = 8
export const ALERT_CLAUSES_MAX = 8
export const ALERT_TECHNIQUES_MAX = 8
/** One fact in words. */
export const WIRE_CLAUSE_CHARS_MAX = 256
export const STATUS_BYTES_MAX = 4_096
/**
 * A summary of SUMMARY_BYTES_MAX holds some 600 rows; what decodes to more than this is no summary.
 */
export const SUMMARY_ROWS_MAX = 8_192
/** Calls named for one process: as many as are sent, as many as are read. */
export const SUMMARY_TOP_CALLS_MAX = 3
export const SUMMARY_TOP_CALLS_READ_MAX = 16
/** A call that is less of its process than this says nothing and costs four bytes. */
export const SUMMARY_TOP_SHARE_MIN = 0.1
/**
 * Drop reasons in one summary: as many as are sent (the rest adds up to `other`), as many as are
 * read.
 */
export const SUMMARY_REASONS_MAX = 32
export const SUMMARY_REASONS_READ_MAX = 64
/** Every other row of a full window stored: more ranges than this are never needed at once. */
export const RECEIPT_RANGES_MAX = 4 * IN_FLIGHT_MAX
export const RECEIPT_BYTES_MAX = 64 * RECEIPT_RANGES_MAX
/** A file of `agent export`: an outbox of OUTBOX_BYTES_MAX in base64. */
export const EXPORT_BYTES_MAX = 2 * OUTBOX_BYTES_MAX
/** Seconds in one message of vectors: ten are one sequence. */
export const VECTORS_FRAMES_MAX = 10
/**
 * Such a message on the wire: a host of 28 processes takes some 2 KB, one of 250 some 12 KB;
 * beyond it the processes with the fewest calls are left out, named and counted.
 */
export const VECTORS_BYTES_MAX = 24_576
/** And unpacked: more than this is no message of ours. */
export const VECTORS_UNPACKED_BYTES_MAX = 1_048_576
/** Processes that are named as left out; of a host with more the whole span counts as incomplete. */
export const VECTORS_OMITTED_MAX = 1_024
/** Messages of vectors that the broker has not acknowledged yet. */
export const VECTORS_IN_FLIGHT_MAX = 8
/** Messages of vectors that wait for the broker: an hour of a small host; then the oldest go. */
export const VECTORS_WAITING_BYTES_MAX = 1_048_576
/** Reasons that are counted apart for messages of a broker that were ignored. */
export const IGNORED_REASONS_MAX = 32

// --- Models --------------------------------------------------------------------------------------
/**
 * model.onnx: the largest we make is 4 MB, with a forest of 60 trees; a larger file than this is
 * not read.
 */
export const MODEL_BYTES_MAX = 64 * 1_048_576
export const MANIFEST_BYTES_MAX = 8 * 1_048_576
export const MODEL_CLASSES_MAX = 4_096
/**
 * A forest in model.onnx: trees, nodes and leaves of all together (40 bytes each once loaded),
 * nodes from a root to its farthest leaf.
 */
export const FOREST_TREES_MAX = 1_024
export const FOREST_NODES_MAX = 1_048_576
export const FOREST_DEPTH_MAX = 128
/**
 * Windows that a forest is grown on, each once as it was and once varied: 200,000 rows of 200
 * numbers are 40 MB.
 */
export const FOREST_WINDOWS_MAX = 100_000
/** Names of ordinary programs that a model brings beside its classes. */
export const MODEL_NAMES_MAX = 4_096
/** Names of tools of one malicious class. */
export const MODEL_TOOLS_MAX = 64
/** Numbers in one row of the net's input. */
export const MODEL_WIDTH_MAX = 4_096
export const MODEL_STATE_MAX = 4_096
/**
 * Frames in one sequence that a model may ask for: a longer one outlives the start of most attacks.
 */
export const MODEL_SEQUENCE_FRAMES_MAX = 60
/**
 * And seconds, where a model adds several up to one frame: so many of each process are kept in
 * memory.
 */
export const MODEL_SEQUENCE_SECONDS_MAX = 300
/**
 * Beyond so many vectors `agent train` takes a window only every second, third … second of each
 * process: an epoch draws a thousand of a class.
 */
export const TRAINING_VECTORS_MAX = 700_000
/**
 * What `agent train` keeps as predictions while it calibrates detection: so many seconds of each
 * host, and so many vectors of all together (one of 100 classes and 64 state numbers has 650
 * bytes).
 */
export const DETECTION_BEFORE_SECONDS_MAX = 1_500
export const DETECTION_HELD_OUT_SECONDS_MAX = 3_600
export const DETECTION_VECTORS_MAX = 450_000
/**
 * Rows of windows that a model brings and a host keeps for its adaptation, and numbers of one that
 * are not zero.
 */
export const HOST_ROWS_MAX = 100_000
export const HOST_ROW_CELLS_MAX = 1_024
/**
 * Names of a host that become classes of it, the most seen first, and rows that are kept of each.
 */
export const HOST_NAMES_MAX = 256
export const HOST_ROWS_PER_NAME_MAX = 240
/**
 * Windows of all names that adapting holds at a time, about a kilobyte each; beyond it every second
 * one of the longer lists is let go.
 */
export const HOST_WINDOWS_MAX = 16_000
/** references.bin of a model. */
export const REFERENCES_BYTES_MAX = 2 * 1_048_576
/**
 * Seconds of a host's life after which it is adapted to, then every day; and the pause after it
 * where much is unknown again.
 */
export const ADAPT_AFTER_SECONDS = [600, 3_600, 21_600, 86_400] as const
export const ADAPT_AGAIN_SECONDS = 3_600
/** How often a running agent looks whether the adaptation on its disk has changed. */
export const ADAPT_LOOK_SECONDS = 10
/**
 * Adapting takes 4 to 30 s of CPU. Who needs more than this is stopped; how long it waits for it
 * says nothing, as a busy host gives little: a day, when the next one is due anyway.
 */
export const ADAPT_CPU_SECONDS_MAX = 120
export const ADAPT_WAIT_MS = 24 * 3_600_000
/** An adaptation on disk: 40 trees of a busy host are 2 MB. */
export const ADAPTATION_BYTES_MAX = 16 * 1_048_576
/**
 * Sequences in one run of the net; a larger batch goes in parts, so that the thread is held for
 * some 30 ms at most.
 */
export const INFERENCE_ROWS_MAX = 1_024

// --- Aggregator ---------------------------------------------------------------------------------
/**
 * Payload of one MQTT message that the aggregator accepts: the largest is a summary of a host with
 * 600 processes.
 */
export const PAYLOAD_BYTES_MAX = 65_536
/** Rows in one answer of the API. */
export const PAGE_ROWS_MAX = 1_000
/**
 * A boot counter may be ahead of the aggregator's clock by this: host clocks are a year off at
 * most.
 */
export const BOOT_AHEAD_MS_MAX = 400 * 86_400_000
/**
 * Messages are gathered this long before one transaction: an fsync is shared, a receipt waits no
 * longer.
 */
export const GROUP_COMMIT_MS = 20
/**
 * On a slow disk the pause grows with the commits, so that they block a fifth of the time at most;
 * up to this.
 */
export const GROUP_COMMIT_MS_MAX = 250
/** Messages in one transaction: it blocks the event loop for some 20 ms. */
export const GROUP_COMMIT_ROWS_MAX = 2_000
/**
 * Bytes of messages that wait for their commit; beyond it a message is refused, and its agent sends
 * it again.
 */
export const INGEST_BYTES_MAX = 64 * 1_048_576
/** Connections of the embedded broker: 20,000 hosts, some of them twice while they reconnect. */
export const CONNECTIONS_MAX = 25_000
/**
 * Messages of one client that wait for their commit, and bytes of all clients that are read or
 * waiting; then sockets are not read.
 */
export const BROKER_IN_FLIGHT_MAX = 64
export const BROKER_IN_FLIGHT_BYTES_MAX = 64 * 1_048_576
/**
 * What waits for one client that does not read: a receipt has some 60 bytes, a policy of the fleet up
 * to 256 KB, and a reader gets whatever all hosts send.
 */
export const BROKER_BACKLOG_BYTES_MAX = 8 * 1_048_576
/** Before CONNECT a client has no reason to send more than a will and a name. */
export const CONNECT_BYTES_MAX = 16_384
export const CLIENT_ID_CHARS_MAX = 128
/** Filters of one client: an agent asks for four. */
export const BROKER_FILTERS_MAX = 64
/**
 * While all clients together have too much under way, one that gathers more than this is let go.
 */
export const GATHERED_BYTES_SPARED = 16_384
/** Chunks of one packet are joined when they are more: each costs more than its bytes. */
export const BROKER_CHUNKS_MAX = 32
/**
 * Hosts that one connection may speak for without proof, and one address; a site's account speaks
 * for a fleet.
 */
export const HOSTS_PER_CONNECTION_MAX = 16
export const HOSTS_PER_ADDRESS_MAX = 1_024
/** Addresses and accounts whose hosts are remembered; the oldest are forgotten. */
export const IDENTITIES_MAX = 10_000
/** Hosts and other keys of theirs that the log has named; then it may name them again. */
export const REFUSED_KEYS_TOLD_MAX = 1_000
/** Public keys that are kept ready to verify with; importing one again costs 1 µs. */
export const VERIFY_KEYS_MAX = 25_000
/** Of a certificate as text. */
export const PEM_CHARS_MAX = 8_192
/**
 * How long certificates hold: of hosts, of the aggregator's listeners, and of the authority itself.
 */
export const CERTIFICATE_MS = 90 * 86_400_000
export const SERVER_CERTIFICATE_MS = 730 * 86_400_000
export const AUTHORITY_MS = 3_650 * 86_400_000
/** A host renews its certificate when this share of its time is left, and looks so often. */
export const RENEW_BELOW_SHARE = 1 / 3
export const RENEW_LOOK_EVERY_MS = 6 * 3_600_000
/**
 * A certificate that has been over for longer (seconds) is not renewed: the host enrols anew.
 */
export const RENEWAL_LATE_S = 30 * 86_400
/**
 * Clocks of a host and its aggregator may differ by so many seconds where a certificate is renewed.
 */
export const ENROLMENT_CLOCK_OFF_S = 600
/** Of a certificate's common name [RFC 5280]. */
export const CERTIFICATE_NAME_CHARS_MAX = 64
export const TOKEN_MS = 3_600_000
export const TOKEN_USES_MAX = 100_000
/** How long a list of revoked certificates may be used. */
export const CRL_MS = 30 * 86_400_000
/** A revoked certificate is refused this much later at most. */
export const REVOKED_LOOK_EVERY_MS = 5_000
/** A policy of a fleet, with its allow rules. */
export const FLEET_POLICY_BYTES_MAX = 262_144
/**
 * A model of a fleet (the shipped one has 4 MB), the parts that it comes in, and how fast all hosts
 * together fetch it: what one broker gives beside its other work.
 */
export const FLEET_MODEL_BYTES_MAX = 16 * 1_048_576
export const FLEET_MODEL_HEAD_BYTES_MAX = 65_536
export const FLEET_PART_BYTES = 65_536
export const FLEET_PARTS_MAX = FLEET_MODEL_BYTES_MAX / FLEET_PART_BYTES
export const FLEET_MODEL_BYTES_PER_S = 8 * 1_048_576
export const FLEET_MODEL_SPREAD_S_MAX = 7 * 86_400
/** Free space that fetching a model leaves on a host: what the agent itself keeps goes first. */
export const FLEET_MODEL_SPARE_BYTES = 64 * 1_048_576
/** A part that does not come is asked for again after this (seconds), later and later. */
export const FLEET_PART_WAIT_S = 60
export const FLEET_PART_WAIT_S_MAX = 3_600
/** Starts of an agent within the first hour of a model; with one more the model is taken for the cause. */
export const FLEET_MODEL_STARTS_MAX = 3
/** Models that a host remembers as those it does not use. */
export const FLEET_MODELS_REFUSED_MAX = 16
/**
 * An answer to `agent fetch-windows`: some 60 bytes a second of one process. Answers of one host in 24
 * hours, requests of one store that wait, and how long they do (seconds).
 */
export const WINDOWS_ANSWER_BYTES_MAX = 61_440
export const WINDOWS_QUESTION_BYTES_MAX = 1_024
export const WINDOWS_CALLS_MAX = 512
export const WINDOWS_SECONDS_MAX = 600
export const WINDOWS_ANSWERS_PER_DAY_MAX = 64
export const WINDOWS_REQUESTS_MAX = 256
export const WINDOWS_REQUEST_S = 600
export const WINDOWS_LOOK_EVERY_MS = 2_000
/** How long a new policy's alerts are counted (seconds); more than so many times the usual, and so many, end its use. */
export const FLEET_WATCH_SECONDS = 3_600
export const FLEET_ROLLBACK_FACTOR = 2
export const FLEET_ROLLBACK_ALERTS = 3
/** A fleet document is valid for so long unless said otherwise. */
export const FLEET_DOCUMENT_MS = 90 * 86_400_000
/** How often an aggregator looks whether there is a new one, and publishes what is retained again. */
export const FLEET_LOOK_EVERY_MS = 5_000
export const FLEET_AGAIN_EVERY_MS = 600_000
/** Hosts in the store; beyond it those offline for longest go, with what they sent. */
export const HOSTS_MAX = 50_000
/**
 * Sites that the aggregator announces itself to, and those that one client may name without proof.
 */
export const SITES_MAX = 64
export const SITES_PER_ADDRESS_MAX = 4
/**
 * Alerts kept (about 2 kB each with their history), of one host, and changes of one alert; --retain
 * sets the first.
 */
export const ALERTS_STORED_MAX = 200_000
export const ALERTS_PER_HOST_MAX = 10_000
export const ALERT_CHANGES_MAX = 64
/**
 * Days that closed alerts, hourly figures (about 60 bytes an hour and host) and silent hosts are
 * kept, and bytes of all.
 */
export const ALERT_DAYS_KEPT = 365
export const HOURLY_DAYS_KEPT = 30
export const HOST_DAYS_KEPT = 90
export const STORE_BYTES_MAX = 8 * 2 ** 30
export const RETAIN_DAYS_MAX = 36_500
/** Rows that one look at the store removes: some 50 ms of the thread that stores. */
export const TIDY_ROWS_MAX = 2_000
/** Actions of operators that are kept, some 200 bytes each; the oldest go first. */
export const ACTIONS_STORED_MAX = 100_000
/** Alerts and actions of one incident in one answer of the API. */
export const INCIDENT_ROWS_MAX = 200
/** Spans of a histogram, and groups, in one answer of the API. */
export const INCIDENT_SPANS_MAX = 1_000
export const INCIDENT_GROUPS_MAX = 200
/** A text that an operator writes: a note, a reason. */
export const NOTE_CHARS_MAX = 2_000
/** A mute or an allowance ends by itself. */
export const MUTE_DAYS_MAX = 366
/** Body of a request that changes something: a note in JSON, each character escaped. */
export const REQUEST_BYTES_MAX = 16_384
/** The last second that a date can have. */
export const DATE_SECONDS_MAX = 8_640_000_000_000
/** Processes whose user and unit `agent top` keeps; a screen shows fewer. */
export const PROCESS_LOOKS_MAX = 512
/** What is typed to filter the rows of `agent top`. */
export const FILTER_CHARS_MAX = 64
/** Words of a search, in characters. */
export const SEARCH_CHARS_MAX = 200
/** A host that is connected and was not heard for so long is silent: two summaries, and some. */
export const HOST_SILENT_S = 150
/** A host that was not heard for so long is absent: five summaries. */
export const ABSENT_AFTER_MS = 5 * SUMMARY_EVERY_MS
/** Less would call every host absent between its summaries. */
export const ABSENT_AFTER_MS_MIN = 2 * SUMMARY_EVERY_MS
/** A host that is blind or noisy for so long is told of. */
export const ABSENCE_TROUBLED_MS = 15 * 60_000
/** An alert of absence is closed after so long: the host will not come back. */
export const ABSENCE_FORGET_MS = 90 * 86_400_000
export const ABSENCE_EVERY_MS = 15_000
/** Hosts that one look judges, and those that an outage names. */
export const ABSENCE_SUSPECTS_MAX = 10_000
export const ABSENCE_HOSTS_NAMED_MAX = 10
/** Lines of the log about one look. */
export const ABSENCES_LOGGED_MAX = 10
/**
 * So many hosts of a site, and such a share of them, that are silent at a time are one outage. Fewer
 * would hide an attack on some hosts, more would be thousands of incidents.
 */
export const OUTAGE_HOSTS_MIN = 5
export const OUTAGE_SHARE = 0.05
/** A host loses calls where this share of an hour's calls is gone. */
export const HOST_LOSING_SHARE = 0.01
/**
 * Names of programs of all sites, and new ones of one host in a day: a host that invents names fills
 * the table slowly, and a full one is said to be full.
 */
export const PROGRAM_NAMES_MAX = 50_000
export const PROGRAM_NAMES_PER_HOST_DAY_MAX = 200
/** A host's summary is looked through for new names this often (ms), and so many hosts a second. */
export const PROGRAMS_LOOK_EVERY_MS = 3_600_000
export const PROGRAMS_HOSTS_PER_SECOND_MAX = 20
/** Hosts whose newest summaries are searched for one program: some 100 µs each. */
export const PROGRAM_HOSTS_MAX = 500
/**
 * A process is odd among those of its name on other hosts from this distance on, and this many times
 * the usual one, to the third nearest host; of so many hosts and calls at least.
 */
export const ODD_DISTANCE_MIN = 0.35
export const ODD_TIMES_USUAL = 4
export const ODD_NEAREST = 3
export const ODD_HOSTS_MIN = 6
export const ODD_CALLS_MIN = 100
/** Hours of a host in one answer of the API: a month. */
export const HOURS_LISTED_MAX = 750
/** Questions to the API that wait for an answer; the next is told to come back. */
export const API_WAITING_MAX = 256
/** Hosts whose agents' cost is in /metrics: five series each and one per drop reason. */
export const METRICS_HOSTS_MAX = 1_000
/**
 * Pauses between attempts to reach a database, and between looks at what other aggregators stored.
 */
export const STORE_PAUSE_MS = 1_000
/** Alerts of other aggregators that are read at a time, for the pages of this one. */
export const FOLLOWED_ALERTS_MAX = 1_000
/**
 * Pages and scripts that listen to /api/v1/events at a time, events kept for those who come back,
 * bytes queued for a slow one.
 */
export const EVENT_STREAMS_MAX = 64
export const EVENTS_KEPT_MAX = 1_024
export const EVENT_BACKLOG_BYTES_MAX = 1_048_576

/** Hosts that are classified here and kept in memory; the longest silent are saved and let go. */
export const CENTRAL_HOSTS_MAX = 25_000
/** Messages of vectors that are classified together: each host at most once. */
export const CENTRAL_ROUND_HOSTS_MAX = 256
/** Messages of one host that wait (ten minutes of its life), and bytes of all hosts'. */
export const CENTRAL_WAITING_PER_HOST_MAX = 60
export const CENTRAL_WAITING_BYTES_MAX = 64 * 1_048_576
/** Windows of one host in one second: a host that floods takes no more. */
export const CENTRAL_WINDOWS_PER_SECOND_MAX = 1_024
/** Instances that share the hosts. */
export const PARTITIONS_MAX = 1_024
/** What is known of a host is saved this often, and with each of its alerts. */
export const CENTRAL_SAVE_EVERY_MS = 600_000
/** Names and prototypes of one host's memory (256 bytes each), and alerts that it is remembered by. */
export const CENTRAL_MEMORY_NAMES_MAX = 512
export const CENTRAL_MEMORY_PROTOTYPES_MAX = 2_048
export const CENTRAL_ALERTS_REMEMBERED_MAX = 256

/** Pauses between attempts to reach a broker that is not ours. */
export const BROKER_PAUSE_MIN_MS = 250
export const BROKER_PAUSE_MAX_MS = 15_000
/** An id in an address of the API. */
export const API_ID_CHARS_MAX = 128
/**
 * Distinct reasons for refusing a message: they come from our own lists, and a list of them can
 * still not grow.
 */
export const REFUSAL_REASONS_MAX = 128
/**
 * A store up to this is looked through at start, which takes a second at most; a larger one is
 * trusted until it fails.
 */
export const STORE_CHECK_BYTES_MAX = 128 * 1_048_576
/**
 * Verifications of hashed secrets under way, some 50 ms of a core and 64 MB each, and those that
 * wait.
 */
export const VERIFYING_MAX = 2
export const VERIFYING_QUEUE_MAX = 256
/**
 * A wrong password is answered after this, longer the more of them an address gave; so many of its
 * answers wait at a time.
 */
export const WRONG_PASSWORD_MS = 500
export const WRONG_PASSWORD_MS_MAX = 8_000
export const WRONG_PASSWORDS_WAITING_MAX = 32

// --- Releases -----------------------------------------------------------------------------------
/** One file of a release: the agent itself, compressed, is about 65 MB. */
export const RELEASE_FILE_BYTES_MAX = 512 * 1_048_576
/** A download that takes longer is given up: 65 MB in ten minutes are 110 kB/s. */
export const RELEASE_FILE_WAIT_MS = 600_000

// Invariants between bounds.
assert(
  GOVERNOR_CALM_SECONDS > 2 * GOVERNOR_WINDOW_SECONDS,
  'calm is longer than what it is measured over',
)
assert(BUFFER_FRAMES_MAX >= 2 * SEQUENCE_FRAMES, 'a sequence can always be rebuilt from the buffer')
assert(
  BUFFER_FRAMES_MAX >= 2 * MODEL_SEQUENCE_SECONDS_MAX,
  'nor is any model allowed a longer one than the buffer holds',
)
assert(LATENESS_MS < BUFFER_FRAMES_MAX * FRAME_MS, 'lateness is shorter than the buffer')
assert(
  LATENESS_MS <= FILE_LATENESS_MS && FILE_LATENESS_MS < CLOCK_JUMP_MS,
  'a jump is longer than what counts as late',
)
assert(LATENESS_MS < CLOCK_BACK_MS - 2 * FRAME_MS, 'and so is a step back on a live host')
assert(ACTIVE_FRAMES_MIN <= SEQUENCE_FRAMES, 'a full sequence is active enough to be judged')
assert(
  ACTIVE_FRAMES_MIN <= JUDGED_AGE_FRAMES && JUDGED_AGE_FRAMES <= SEQUENCE_FRAMES,
  'who is old enough to be judged can have been active enough',
)
assert(PROCESSES_MAX >= FRAME_PROCESSES_MAX, 'the processes of one frame can all be remembered')
assert(
  MEMORY_PROTOTYPES_PER_NAME_MAX * 16 < MEMORY_PROTOTYPES_MAX,
  'no handful of names can fill the memory',
)
assert(ALERT_UPDATE_SECONDS <= ALERT_QUIET_SECONDS, 'an open alert is told of before it is closed')
assert(SHORT_LIFE_FRAMES < SEQUENCE_FRAMES, 'what is too old for a group has a sequence soon')
assert(KERNEL_COUNT_KEYS + 4_096 < 65_536, 'a key of 33 bits and its position fit a float')
assert(LINE_BYTES_MAX < READ_BYTES, 'a read holds at least one whole line')
assert(SUMMARY_PROCESSES_MAX * 8 >= SUMMARY_BYTES_MAX, 'more rows are never needed')
assert(
  SUMMARY_BYTES_MAX * (86_400_000 / SUMMARY_EVERY_MS) < 20e6,
  'the summaries of a day stay below 20 MB',
)
assert(RECEIPT_BYTES_MAX < INBOUND_BYTES_MAX, 'a receipt fits into what an agent takes in')
assert(WIRE_BYTES_ALERTS_ONLY < WIRE_BYTES_PER_DAY_MAX, 'summaries have a share of the day')
assert(ALERT_BYTES_MAX < PAYLOAD_BYTES_MAX && SUMMARY_BYTES_MAX < PAYLOAD_BYTES_MAX, 'payloads fit')
assert(
  MEMORY_PROTOTYPES_PER_NAME_MAX * 16 < CENTRAL_MEMORY_PROTOTYPES_MAX,
  'nor the smaller one of a host that is classified elsewhere',
)
assert(VECTORS_FRAMES_MAX <= SEQUENCE_FRAMES, 'the seconds of a span fit into a few bits')
assert(VECTORS_BYTES_MAX < PAYLOAD_BYTES_MAX, 'vectors fit into a payload')
assert(
  FLEET_PARTS_MAX * 67 < FLEET_MODEL_HEAD_BYTES_MAX,
  'the hashes of all parts fit into the head',
)
assert(
  WINDOWS_ANSWER_BYTES_MAX < PAYLOAD_BYTES_MAX - 256,
  'an answer and its signature fit into a payload',
)
assert(FLEET_PART_BYTES < INBOUND_BYTES_MAX, 'a part of a model fits into what an agent takes in')
assert(FLEET_POLICY_BYTES_MAX < INBOUND_BYTES_MAX, 'a policy fits into what an agent takes in')
assert(FLEET_POLICY_BYTES_MAX < BROKER_BACKLOG_BYTES_MAX, 'a policy waits for whoever reads slowly')
assert(GROUP_COMMIT_MS_MAX < RESEND_AFTER_MS, 'a receipt comes before the agent sends again')
assert(ALERTS_PER_HOST_MAX < ALERTS_STORED_MAX, 'one host cannot push out the alerts of all others')
