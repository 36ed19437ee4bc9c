#!lua
-- Keeps what came in and cannot be used, once per content. A full bin gives up its oldest entry, and counts it.
--
-- ARGV  1 now   2 digest   3 meta (JSON)   4 packed body   5 most entries
-- Returns 1 when it is new, 0 when the same content lay there already or was erased.

if is_erased('rejected:' .. ARGV[2]) then
  count('refused_erased', 1)
  return 0
end
local is_new = redis.call('ZADD', KEY.rejected_order, 'NX', now, ARGV[2])
count('rejected', 1)
if is_new == 0 then return 0 end
redis.call('HSET', KEY.rejected, ARGV[2], #ARGV[3] .. ' ' .. ARGV[3] .. ARGV[4])
while redis.call('ZCARD', KEY.rejected_order) > tonumber(ARGV[5]) do
  local oldest = redis.call('ZPOPMIN', KEY.rejected_order)
  redis.call('HDEL', KEY.rejected, oldest[1])
  count('rejected_overflow', 1)
end
return 1
