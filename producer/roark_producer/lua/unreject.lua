#!lua flags=allow-oom
-- Takes entries out of the rejected bin, and counts what for: they were mended and accepted, or discarded.
--
-- ARGV  1 now   2 counter: `rejected_retried` or `rejected_discarded`   3 action for the logbook
--       4 who (JSON)   then the digests
-- Returns how many were there.

local gone = {}
for i = 5, #ARGV do
  redis.call('HDEL', KEY.rejected, ARGV[i])
  if redis.call('ZREM', KEY.rejected_order, ARGV[i]) == 1 then gone[#gone + 1] = ARGV[i] end
end
count(ARGV[2], #gone)
if #gone > 0 then log_deed(ARGV[3], ARGV[4], #gone, gone) end
return #gone
