#!lua flags=allow-oom
-- Takes entries out of the rejected bin, and counts what for: they were mended and accepted, or discarded.
--
-- ARGV  1 now   2 counter: `rejected_retried` or `rejected_discarded`   then the digests
-- Returns how many were there.

local gone = 0
for i = 3, #ARGV do
  redis.call('HDEL', KEY.rejected, ARGV[i])
  gone = gone + redis.call('ZREM', KEY.rejected_order, ARGV[i])
end
count(ARGV[2], gone)
return gone
