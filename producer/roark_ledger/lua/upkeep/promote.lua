#!lua flags=allow-oom
-- Puts waiting reports that are due on the retry queue, in the order in which they fell due.
--
-- When the server's clock was set back, what began to wait by the old clock would wait for as much longer: its time
-- is counted anew from now. That is noticed by `promoted_at`, which is written now and then, and done page by page:
-- `rewinding` is the due time from which on the rest has been looked at.
--
-- Suspects go one by one.
--
-- needs _suspects.lua
--
-- ARGV  1 now   2 most reports at once
-- Returns how many.

local NOTED_EVERY, TOLERATED = 10000, 5000

local function begin_rewind(noted)
  local back = noted > now + TOLERATED
  if back then redis.call('HSET', KEY.lane, 'rewinding', '+inf') end
  if back or now - noted > NOTED_EVERY then redis.call('HSET', KEY.lane, 'promoted_at', now) end
  return back and '+inf' or nil
end

local function rewind(from)
  local page = redis.call('ZREVRANGEBYSCORE', KEY.waiting, from, now, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
  local changed = false
  for i = 1, #page, 2 do
    local id, record = page[i], read(page[i])
    if record.state == 'waiting' and record.since > now then
      redis.call('ZADD', KEY.waiting, now + tonumber(page[i + 1]) - record.since, id)
      record.since = now
      write(id, record)
      changed = true
    end
  end
  if #page < 2 * tonumber(ARGV[2]) then
    redis.call('HDEL', KEY.lane, 'rewinding')
  else
    -- More of the same due time may follow; what was changed here stands further down by now.
    redis.call('HSET', KEY.lane, 'rewinding', (changed and '' or '(') .. page[#page])
  end
end

local seen = redis.call('HMGET', KEY.lane, 'promoted_at', 'rewinding')
local from = begin_rewind(tonumber(seen[1] or 0)) or seen[2]
if from then rewind(from) end

local due = redis.call('ZRANGEBYSCORE', KEY.waiting, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #due, 2 do
  local id, record = due[i], read(due[i])
  local is_suspect = record.deaths and record.deaths > 0
  if is_suspect and is_suspect_out() then
    redis.call('ZADD', KEY.waiting, now + APART_MS, id)
  else
    move(id, record, 'promote', due[i + 1], 'r')
    if is_suspect then let_out(id) end
  end
end
-- Links that have ended by now: their reports are counted, and known until they are delivered or given up.
for _, key in ipairs({ KEY.perishable, KEY.fading }) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, ARGV[2])) do
    redis.call('ZREM', key, id)
    local record = read(id)
    if record.state ~= 'unknown' and is_silent(record) then fall_silent(id, record) end
  end
end
return #due / 2
