#!lua
-- Stores reports and puts them on the fresh queue, or says that they are known: all or nothing per report,
-- so there is no moment at which a report is stored and not queued. Refused as a whole (-OOM) when memory runs
-- short: that is before it is full, because Celery's own commands and all that frees memory need what is left.
--
-- needs _way.lua
--
-- ARGV  1 now   2 revisions: `record` or `upload`   3 how many ready reports are more than one worker's work
--       4 a letter for each report: d where it came soon after its call's end, so that it is due at Roark in time
--       then for each report: call id, fingerprint, end of its audio links (ms) or 0, packed report
-- Returns { wake, result … }: wake is 1 when a wake-up should be published; a result is accepted, duplicate,
-- replaced, revision or erased.

local MEMORY_EVERY = 1000
local SHORT_FROM, SHORT_UNTIL = 0.85, 0.80

-- How many reports come in a second, and how large one is as it is kept: means over the last ten minutes or so, of the
-- first ten plain ones. By them the ledger can tell how long its memory lasts. The size is that of this call's reports.
local INTAKE_LASTS = 600000
local function note_intake()
  local reports = (#ARGV - 4) / 4
  if reports == 0 then return end
  local bytes = 0
  for i = 8, #ARGV, 4 do bytes = bytes + #ARGV[i] end
  local accepted = tonumber(redis.call('HGET', KEY.counters, 'accepted') or 0)
  local seen = redis.call('HMGET', KEY.lane, 'intake_since', 'intake_at', 'intake_seen', 'intake_ps', 'intake_bytes')
  local since, at = tonumber(seen[1] or now), tonumber(seen[2] or now)
  local rate, size = tonumber(seen[4] or 0), tonumber(seen[5] or 0)
  local came, passed = accepted - tonumber(seen[3] or accepted), now - at
  if passed > 0 and came >= 0 then
    local weight = math.max(1 - math.exp(-passed / INTAKE_LASTS), passed / (now - since))
    rate = rate + (came * 1000 / passed - rate) * weight
    size = size + (bytes / reports - size) * weight
  end
  if not seen[5] then size = bytes / reports end
  redis.call(
    'HSET', KEY.lane, 'intake_since', since, 'intake_at', now, 'intake_seen', accepted,
    'intake_ps', string.format('%.3f', rate), 'intake_bytes', string.format('%.0f', size)
  )
end

-- Looks at the server's memory once a second, notes how fast it grows, and says whether it is short.
local function memory_is_short()
  local seen = redis.call('HMGET', KEY.lane, 'memory_at', 'memory_used', 'memory_rate', 'memory_short')
  local at, before, rate = tonumber(seen[1] or 0), tonumber(seen[2] or 0), tonumber(seen[3] or 0)
  local short = seen[4] == '1'
  if now >= at and now - at < MEMORY_EVERY then return short end
  local info = redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then return false end
  local used = tonumber(string.match(info, 'used_memory:(%d+)'))
  local most = tonumber(string.match(info, 'maxmemory:(%d+)'))
  if at > 0 and now > at then rate = rate + ((used - before) * 1000 / (now - at) - rate) * 0.1 end
  short = most > 0 and used > most * (short and SHORT_UNTIL or SHORT_FROM)
  redis.call(
    'HSET', KEY.lane, 'memory_at', now, 'memory_used', used, 'memory_most', most,
    'memory_rate', string.format('%.0f', rate), 'memory_short', short and 1 or 0
  )
  note_intake()
  return short
end

if memory_is_short() then return redis.error_reply('OOM memory runs short: what is left is for deliveries') end

local per_wakeup = tonumber(ARGV[3])
local before = ready_count()
local any_erased = redis.call('SCARD', KEY.erased) > 0
local results = { 0 }

local function same_as(kept, fingerprint)
  return kept and string.match(kept, '^(%S+) ') == fingerprint
end

-- New reports, all at once: a command for each report and each place would cost twice as much. The payloads come first
-- and side by side: with a record between any two, the room that each leaves when it is delivered could not be joined.
local new, payloads, records, ready, perishable = {}, {}, {}, {}, {}
local due_in_time = 0

local function keep_new(id, fingerprint, expires, packed)
  local record = {
    state = LEGAL.accept.unknown, fingerprint = fingerprint, accepted = now, since = now, attempts = 0, deaths = 0,
    token = 0, priority = 'f', revision = 0, note = '-', expires = tonumber(expires),
  }
  new[id] = true
  payloads[#payloads + 1] = id
  payloads[#payloads + 1] = packed
  records[#records + 1] = id
  records[#records + 1] = format(record)
  ready[#ready + 1] = now
  ready[#ready + 1] = id
  if record.expires > now then
    perishable[#perishable + 1] = record.expires
    perishable[#perishable + 1] = id
  end
end

local function store_new()
  if #ready == 0 then return end
  redis.call('HSET', KEY.payloads, unpack(payloads))
  redis.call('HSET', KEY.records, unpack(records))
  redis.call('ZADD', KEY.fresh, unpack(ready))
  if #perishable > 0 then redis.call('ZADD', KEY.perishable, unpack(perishable)) end
  count('accepted', #ready / 2)
  new, payloads, records, ready, perishable = {}, {}, {}, {}, {}
end

local function accept(id, fingerprint, expires, packed)
  if any_erased and is_erased(id) then
    count('refused_erased', 1)
    return 'erased'
  end
  -- The same call twice in one batch: the second one has to find the first. And Lua hands a command some 8000
  -- arguments at most.
  if new[id] or #ready >= 2000 then store_new() end
  local record = read(id)
  if record.state == 'unknown' then
    keep_new(id, fingerprint, expires, packed)
    return 'accepted'
  end
  local known = record.fingerprint == fingerprint
  if record.state == 'uploading' then
    known = known or same_as(redis.call('HGET', KEY.besides, id), fingerprint)
    if not known then
      redis.call('HSET', KEY.besides, id, fingerprint .. ' ' .. expires .. ' ' .. packed)
      return 'replaced'
    end
  elseif record.state == 'delivered' then
    known = known or same_as(redis.call('HGET', KEY.revisions, id), fingerprint)
    if not known then
      count('revisions', 1)
      if is_late_original(id) then count('late_originals', 1) end
      if ARGV[2] == 'upload' then
        record.revision = 1
        adopt(id, record, fingerprint, expires, packed)
        move(id, record, 'revise', now, 'f')
      else
        redis.call('HSET', KEY.revisions, id, fingerprint .. ' ' .. expires .. ' ' .. packed)
      end
      tell(id, 'revision')
      return 'revision'
    end
  elseif not known and LEGAL.replace[record.state] then
    adopt(id, record, fingerprint, expires, packed)
    if record.state == 'dead' then
      move(id, record, 'replace', now, 'f')
    else
      write(id, record)
    end
    tell(id, 'replaced')
    count('replaced', 1)
    return 'replaced'
  end
  count('duplicates', 1)
  return 'duplicate'
end

for i = 5, #ARGV, 4 do
  local result = accept(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  results[#results + 1] = result
  if result == 'accepted' and string.sub(ARGV[4], (i - 1) / 4, (i - 1) / 4) == 'd' then due_in_time = due_in_time + 1 end
end
store_new()
count('calls_due', due_in_time)

local function times_doubled(number)
  return number < per_wakeup and 0 or 1 + math.floor(math.log(number / per_wakeup) / math.log(2) + 1e-9)
end

-- Whoever listens asks again by itself, but a growing backlog wants more workers: one more each time it doubles. The
-- others' ticks find it too, and a message for each few reports would stand in the queue long after them. A shut
-- lane is woken for by the tick, when it is time.
local function wake_up_wanted(total)
  if total <= before then return false end
  local lane = redis.call('HMGET', KEY.lane, 'listening_until', 'state', 'breaker_until', 'paused_until')
  local found = way(lane[2], tonumber(lane[3] or nil), tonumber(lane[4] or nil))
  if found ~= LANE.open and found ~= LANE.half_open then return false end
  if before == 0 and tonumber(lane[1] or 0) <= now then return true end
  return times_doubled(total) > times_doubled(before)
end

if wake_up_wanted(ready_count()) then results[1] = 1 end
return results
