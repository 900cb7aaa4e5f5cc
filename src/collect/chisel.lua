-- Counts calls per second and process inside sysdig and prints one line for each (parse/chisel-line.ts says how).
-- Runs in the Lua of sysdig 0.29 and 0.41 alike; depends on nothing but the chisel API.
--
-- Counted are exit events that have a syscall.type: old libraries show both events of a call, new ones exits only.
-- From a clone two threads return, and from a container's sysdig shows the child's twice: only the parent's is counted.
-- The filter lets only those and the ends of threads come here: what sysdig itself leaves out costs nothing.
-- An event belongs to the second of its own time. Events of two CPUs may step back over the end of a second,
-- so a second is printed when one is seen that lies GRACE_NS behind its end, or at the next interval but one.
-- A name belongs to the thread-group leader; it is made safe here, where no process can interfere.
-- Memory: the calls of the seconds at hand, and names of processes that made calls within the last minutes.

description = "Counts system calls per second and process for Callsign"
short_description = "Callsign's counter"
category = "Callsign"
args = {}

local GRACE_NS = 20000000
local NAMES_MAX = 32768

local f_type, f_event, f_pid, f_tid, f_name, f_result
local seconds = {}     -- second -> { calls = { pid -> { type -> n } }, names = { pid -> name }, … }
local oldest, newest
local current_second, current
local leaders, leader_count = {}, 0

function on_set_arg(name, value)
  return true
end

function on_init()
  f_type = chisel.request_field("syscall.type")
  f_event = chisel.request_field("evt.type")
  f_pid = chisel.request_field("proc.pid")
  f_tid = chisel.request_field("thread.tid")
  f_name = chisel.request_field("proc.name")
  f_result = chisel.request_field("evt.rawres")
  chisel.set_filter("(evt.dir=< and syscall.type exists) or evt.type=procexit")
  chisel.set_interval_s(1)
  return true
end

local function open(second)
  local made = { calls = {}, leader = {}, thread = {}, ended = {}, lost = 0 }
  seconds[second] = made
  if oldest == nil or second < oldest then oldest = second end
  if newest == nil or second > newest then newest = second end
  return made
end

local function print_second(second, at)
  local lines, n = {}, 0
  for pid, calls in pairs(at.calls) do
    local parts, k = {}, 0
    for name, count in pairs(calls) do
      k = k + 1
      parts[k] = name .. "=" .. string.format("%d", count)
    end
    local kind, name = "L", at.leader[pid] or leaders[pid]
    if name == nil then kind, name = "T", at.thread[pid] end
    n = n + 1
    lines[n] = string.format("@%d %d %s %s %s\n", second, pid, kind, table.concat(parts, ","), name or "")
  end
  for pid in pairs(at.ended) do
    n = n + 1
    lines[n] = string.format("@%d %d X\n", second, pid)
    if leaders[pid] ~= nil then leaders[pid] = nil; leader_count = leader_count - 1 end
  end
  lines[n + 1] = string.format("@%d . %d\n", second, at.lost)
  io.write(table.concat(lines))
end

-- Prints every second before this one, in order.
local function print_before(second)
  if oldest == nil or oldest >= second then return end
  local due = {}
  for at in pairs(seconds) do
    if at < second then due[#due + 1] = at end
  end
  table.sort(due)
  for _, at in ipairs(due) do
    print_second(at, seconds[at])
    seconds[at] = nil
  end
  io.flush()
  oldest, current_second = nil, nil
  for at in pairs(seconds) do
    if oldest == nil or at < oldest then oldest = at end
  end
end

local function safe(name)
  return (string.gsub(name, "[%c]", "?"))
end

local get_ts, field = evt.get_ts, evt.field

-- Only these change a comm that sysdig knows of.
local renames = { execve = true, execveat = true, clone = true, clone3 = true, fork = true, vfork = true, prctl = true }

local clones = { clone = true, clone3 = true, fork = true, vfork = true }

local function remember(pid, name)
  current.leader[pid] = name
  if leaders[pid] == nil then
    if leader_count >= NAMES_MAX then leaders, leader_count = {}, 0 end
    leader_count = leader_count + 1
  end
  leaders[pid] = name
end

function on_event()
  local second, ns = get_ts()
  if second ~= current_second then
    current = seconds[second] or open(second)
    current_second = second
  end
  if oldest < second and (oldest < second - 1 or ns > GRACE_NS) then
    print_before(second)
    current_second = second
  end

  local name = field(f_type)
  if name == nil or name == "procexit" then
    if field(f_event) == "procexit" then
      local pid = field(f_pid)
      if pid ~= nil and pid > 0 and pid == field(f_tid) then current.ended[pid] = true end
    end
    return true
  end
  local pid = field(f_pid)
  if pid == nil or pid <= 0 then
    current.lost = current.lost + 1
    return true
  end
  if clones[name] and field(f_result) == 0 then
    if pid == field(f_tid) then
      local raw = field(f_name)
      if raw ~= nil then remember(pid, safe(raw)) end
    end
    return true
  end
  local calls = current.calls[pid]
  if calls == nil then
    calls = {}
    current.calls[pid] = calls
  end
  calls[name] = (calls[name] or 0) + 1
  if pid == field(f_tid) then
    if current.leader[pid] == nil or renames[name] then
      local raw = field(f_name)
      if raw ~= nil then remember(pid, safe(raw)) end
    end
  elseif current.thread[pid] == nil then
    local raw = field(f_name)
    if raw ~= nil then current.thread[pid] = safe(raw) end
  end
  return true
end

function on_interval(ts_s, ts_ns, delta)
  print_before(math.floor(ts_s) - 1)
  return true
end

function on_capture_end()
  print_before(math.huge)
  return true
end
