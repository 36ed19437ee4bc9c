#!lua flags=allow-oom
-- Takes back reports whose lease ran out: their worker died or lost Redis. They go to the retry queue; one
-- that outlived too many workers in a row is taken for poison and becomes a dead letter.
--
-- Those that would be poison at the next death come back one by one, see _suspects.lua.
--
-- needs _suspects.lua
--
-- After the server's clock was set back, a lease that was given by the old clock runs out in its own length from now:
-- its worker, if it lives, renews it long before.
--
-- ARGV  1 now   2 most reports at once   3 deaths that make poison
-- Returns { reclaimed, poisoned call id … }.

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
local reclaimed, put_off, poisoned = 0, 0, {}
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
    local is_suspect = record.deaths == limit - 1
    if is_suspect and is_suspect_out() then
      put_off = put_off + 1
      move(id, record, 'defer', now + put_off * APART_MS)
    else
      move(id, record, 'reclaim', now, 'r')
      if is_suspect then let_out(id) end
    end
    tell(id, 'reclaimed', '{"deaths":' .. record.deaths .. '}')
    reclaimed = reclaimed + 1
  end
  take_beside(id, record)
end
count('leases_expired', #expired)
count('poisoned', #poisoned)
return { reclaimed, unpack(poisoned) }
