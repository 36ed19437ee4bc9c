#!lua flags=allow-oom
-- Keeps what an audit found, for `status`, alerts and the metrics, and gives the turn back where the caller had it.
--
-- ARGV  1 now   2 difference: accepted less the sum over all states   3 broken calls   4 places looked at
--       5 how long it took (ms)   6 what was miscounted, a line each   7 who had the turn, empty for an audit by hand
-- Returns nothing.

redis.call(
  'HSET', KEY.lane, 'audit_at', now, 'audit_difference', ARGV[2], 'audit_broken', ARGV[3],
  'audit_looked_at', ARGV[4], 'audit_took', ARGV[5], 'audit_miscounted', ARGV[6]
)
if redis.call('HGET', KEY.lane, 'audit_by') == ARGV[7] then redis.call('HDEL', KEY.lane, 'audit_by', 'audit_heard') end
return 0
