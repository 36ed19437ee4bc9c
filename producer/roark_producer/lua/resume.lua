#!lua flags=allow-oom
-- Opens the lane again, whoever held it.
--
-- ARGV  1 now
-- Returns 1 when the lane was held, else 0.

local held = redis.call('HGET', KEY.lane, 'state') == 'held'
redis.call('HDEL', KEY.lane, 'state', 'reason', 'by', 'since', 'probe', 'probe_at', 'probe_gap')
if held then redis.call('HSET', KEY.lane, 'resumed', now) end
return held and 1 or 0
