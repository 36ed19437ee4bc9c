#!lua flags=allow-oom
-- Keeps what an audit found, for `status` and the metrics, and gives the turn back.
--
-- ARGV  1 now   2 difference: accepted less the sum over all states   3 broken calls   4 places looked at
--       5 how long it took (ms)
-- Returns nothing.

redis.call(
  'HSET', KEY.lane, 'audit_at', now, 'audit_difference', ARGV[2], 'audit_broken', ARGV[3],
  'audit_looked_at', ARGV[4], 'audit_took', ARGV[5]
)
redis.call('HDEL', KEY.lane, 'audit_by', 'audit_heard')
return 0
