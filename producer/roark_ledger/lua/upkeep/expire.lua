#!lua flags=allow-oom
-- Removes dead letters, or discarded reports, that are older than a setting allows, and nothing that was not announced.
-- Of unconfirmed deliveries it drops the payload: they stay delivered.
--
--   announced_to   reports that came into this state until then were announced at `announced_at`
--   cleared_to     the same, and the notice is over: they may go once they are old enough
--
-- An announcement reaches two notices ahead, so that under way there is always one that is over in time. When nobody
-- asked for a while (the setting was off, all workers were down), what was announced is void: it begins anew.
--
-- ARGV  1 now   2 `dead`, `discarded` or `unconfirmed`   3 window (ms): how long they are kept   4 notice (ms)
--       5 most reports at once   6 who (JSON)
-- Returns { removed, announced, first (ms) }: how many were removed, how many were announced just now, and when the
-- first of those goes at the earliest, 0 where none was.

local LAPSE, KNOWN_MS = 3600000, 60 * 86400000

local state, window, notice = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local queue = KEY[state]
local seen = redis.call(
  'HMGET', KEY.retention, state .. '_heard', state .. '_announced_at', state .. '_announced_to', state .. '_cleared_to'
)
local heard, announced_at, announced_to, cleared_to =
  tonumber(seen[1] or 0), tonumber(seen[2] or nil), tonumber(seen[3] or nil), tonumber(seen[4] or nil)

if heard > now or now - heard > LAPSE then announced_at, announced_to, cleared_to = nil, nil, nil end
if announced_at and now - announced_at >= notice then
  cleared_to, announced_at, announced_to = announced_to, nil, nil
end

local announced, first = 0, 0
if not announced_at then
  local from, to = cleared_to and '(' .. cleared_to or '-inf', now + 2 * notice - window
  announced = redis.call('ZCOUNT', queue, from, to)
  if announced > 0 then
    announced_at, announced_to = now, to
    local oldest = redis.call('ZRANGEBYSCORE', queue, from, to, 'WITHSCORES', 'LIMIT', 0, 1)
    first = math.max(now + notice, tonumber(oldest[2]) + window)
  end
end

local gone = {}
if cleared_to then
  local last = math.min(now - window, cleared_to)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', last, 'LIMIT', 0, ARGV[5])) do
    local record = read(id)
    if state == 'unconfirmed' then
      if confirm(id, record, 'dropped', ARGV[6]) then gone[#gone + 1] = id end
    elseif move(id, record, 'expire') then
      drop(id)
      redis.call('ZADD', KEY.removed, now, id)
      gone[#gone + 1] = id
    end
  end
end
redis.call('ZREMRANGEBYSCORE', KEY.removed, '-inf', now - KNOWN_MS)
if state == 'unconfirmed' then
  count('unconfirmed_dropped', #gone)
else
  count('expired', #gone)
  count('expired_' .. state, #gone)
end
if #gone > 0 then log_deed('retention', ARGV[6], #gone, gone) end

redis.call(
  'HSET', KEY.retention, state .. '_heard', now, state .. '_window', window, state .. '_notice', notice,
  state .. '_announced_at', announced_at or '', state .. '_announced_to', announced_to or '',
  state .. '_cleared_to', cleared_to or ''
)
return { #gone, announced, first }
