#!lua flags=allow-oom
-- Ends the way into partitions, once nothing is left to move and no partition adopts any more.
--
-- ARGV  1 now   2 who (JSON)
-- Returns { `partitioned`, N, what was left over without a record }; { `left`, calls } where there are some.

local facts = redis.call('HMGET', KEY.promises, 'partitions', 'moving')
if facts[1] then return { 'partitioned', tonumber(facts[1]), 0 } end
local left = redis.call('HLEN', KEY.records) + redis.call('LLEN', KEY.delivered) + redis.call('ZCARD', KEY.missing)
  + redis.call('ZCARD', KEY.removed)
for _, name in ipairs(PLACES) do left = left + redis.call('ZCARD', KEY[name]) end
if left > 0 then return { 'left', left } end
-- Nobody knows what they belong to; they stay where they are.
local without_record = 0
for _, name in ipairs({ 'payloads', 'histories', 'besides', 'revisions', 'originals', 'routes' }) do
  without_record = without_record + redis.call('HLEN', KEY[name])
end
redis.call('HSET', KEY.promises, 'partitions', facts[2])
redis.call('HDEL', KEY.promises, 'moving', 'moving_at')
log_deed('partition', ARGV[2], tonumber(redis.call('HGET', KEY.counters, 'moved') or 0), {})
return { 'partitioned', tonumber(facts[2]), without_record }
