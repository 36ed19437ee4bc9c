#!lua flags=allow-oom
-- Keeps which calls ended at Vapi and never came here, and lets go of those that came since, were erased, or are older
-- than Vapi keeps them: those are counted as given up.
--
-- ARGV  1 now   2 oldest (ms): what ended before is given up   3 first place to look at again   4 how many of them
--       then for each call that is missing: call id, when it ended (ms)
-- Returns { how many are missing, the place to go on at; 0 when all were looked at }.

local function is_missing(id)
  return read(id).state == 'unknown' and not is_erased(id, true) and not redis.call('ZSCORE', KEY.removed, id)
end

for i = 5, #ARGV, 2 do
  if is_missing(ARGV[i]) then redis.call('ZADD', KEY.missing, ARGV[i + 1], ARGV[i]) end
end
count('missing_given_up', redis.call('ZREMRANGEBYSCORE', KEY.missing, '-inf', '(' .. ARGV[2]))
local from, most, left = tonumber(ARGV[3]), tonumber(ARGV[4]), 0
local looked_at = most > 0 and redis.call('ZRANGE', KEY.missing, from, from + most - 1) or {}
for _, id in ipairs(looked_at) do
  if is_missing(id) then left = left + 1 else redis.call('ZREM', KEY.missing, id) end
end
local number = redis.call('ZCARD', KEY.missing)
redis.call('HSET', KEY.lane, 'reconcile_missing', number)
return { number, #looked_at == most and from + left or 0 }
