#!lua flags=no-writes,allow-oom
-- The ids of unconfirmed deliveries, the oldest first.
--
-- ARGV  1 now   2 most
-- Returns the call ids.

return redis.call('ZRANGE', KEY.unconfirmed, 0, ARGV[2] - 1)
