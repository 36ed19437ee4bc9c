#!lua flags=allow-oom
-- Takes back reports whose lease ran out: their worker died or lost Redis. They go to the retry queue; one
-- that outlived too many workers in a row is taken for poison and becomes a dead letter.
--
-- ARGV  1 now   2 most reports at once   3 deaths that make poison
-- Returns { reclaimed, poisoned }.

local reclaimed, poisoned = 0, 0
local expired = redis.call('ZRANGEBYSCORE', KEY.uploading, '-inf', now, 'LIMIT', 0, ARGV[2])
for _, id in ipairs(expired) do
  local record = read(id)
  record.deaths = record.deaths + 1
  if record.deaths >= tonumber(ARGV[3]) then
    record.note = 'poison'
    move(id, record, 'poison', now)
    tell(id, 'poisoned', '{"deaths":' .. record.deaths .. '}')
    poisoned = poisoned + 1
  else
    move(id, record, 'reclaim', now, 'r')
    tell(id, 'reclaimed', '{"deaths":' .. record.deaths .. '}')
    reclaimed = reclaimed + 1
  end
  take_beside(id, record)
end
count('leases_expired', #expired)
count('poisoned', poisoned)
return { reclaimed, poisoned }
