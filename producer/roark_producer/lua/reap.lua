#!lua flags=allow-oom
-- Takes back reports whose lease ran out: their worker died or lost Redis. They go to the retry queue; one
-- that outlived too many workers in a row is taken for poison and becomes a dead letter.
--
-- Those that would be poison at the next death come back one after the other, a quarter second apart: the one that
-- kills its workers must not take with it, once more, all that happened to be in the same hands.
--
-- After the server's clock was set back, a lease that was given by the old clock runs out in its own length from now:
-- its worker, if it lives, renews it long before.
--
-- ARGV  1 now   2 most reports at once   3 deaths that make poison
-- Returns { reclaimed, poisoned call id … }.

local APART_MS = 250

local function rewind()
  while true do
    local last = redis.call('ZREVRANGE', KEY.uploading, 0, 0, 'WITHSCORES')
    local record = read(last[1] or '')
    if record.state ~= 'uploading' or record.since <= now then return end
    redis.call('ZADD', KEY.uploading, now + tonumber(last[2]) - record.since, last[1])
    record.since = now
    write(last[1], record)
  end
end

rewind()
local reclaimed, suspects, poisoned = 0, 0, {}
local limit = tonumber(ARGV[3])
local expired = redis.call('ZRANGEBYSCORE', KEY.uploading, '-inf', now, 'LIMIT', 0, ARGV[2])
for _, id in ipairs(expired) do
  local record = read(id)
  record.deaths = record.deaths + 1
  if record.deaths >= limit then
    record.note = 'poison'
    move(id, record, 'poison', now)
    tell(id, 'poisoned', '{"deaths":' .. record.deaths .. '}')
    poisoned[#poisoned + 1] = id
  else
    if record.deaths == limit - 1 then suspects = suspects + 1 end
    if record.deaths == limit - 1 and suspects > 1 then
      move(id, record, 'defer', now + (suspects - 1) * APART_MS)
    else
      move(id, record, 'reclaim', now, 'r')
    end
    tell(id, 'reclaimed', '{"deaths":' .. record.deaths .. '}')
    reclaimed = reclaimed + 1
  end
  take_beside(id, record)
end
count('leases_expired', #expired)
count('poisoned', #poisoned)
return { reclaimed, unpack(poisoned) }
