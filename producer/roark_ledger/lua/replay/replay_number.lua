#!lua flags=allow-oom
-- Numbers a replay job of a ledger of several partitions, which begins it in each of them.
--
-- ARGV  1 now
-- Returns the number.

return redis.call('HINCRBY', KEY.counters, 'replay_jobs', 1)
