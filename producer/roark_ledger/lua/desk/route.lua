#!lua flags=allow-oom
-- Says by which of Roark's ways in reports go from now on, whatever the workers are set to; with none, that setting
-- counts again. What was sent by one way stays on it (see _route.lua).
--
-- ARGV  1 now   2 `vapi`, `call` or empty   3 who (JSON)
-- Returns what was said before, or empty.

local before = redis.call('HGET', KEY.lane, 'route') or ''
if ARGV[2] == '' then
  redis.call('HDEL', KEY.lane, 'route')
else
  redis.call('HSET', KEY.lane, 'route', ARGV[2])
end
log_deed('route', ARGV[3], before == ARGV[2] and 0 or 1, {})
return before
