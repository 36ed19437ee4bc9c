#!lua flags=allow-oom
-- Takes note of what waits in a webhook's spool.
--
-- ARGV  1 now   2 whose spool   3 bytes, 0 when it is empty   4 why, in words; empty where that is not known
-- Returns nothing.

if ARGV[3] == '0' then
  redis.call('HDEL', KEY.spools, ARGV[2])
  redis.call('HDEL', KEY.promises, 'why ' .. ARGV[2])
  return 0
end
local seen = redis.call('HGET', KEY.spools, ARGV[2])
local since = seen and string.match(seen, '^%d+ (%d+) %d+$') or now
redis.call('HSET', KEY.spools, ARGV[2], ARGV[3] .. ' ' .. since .. ' ' .. now)
-- Beside the promises: an older version reads three numbers in a spool's note, and no more.
if ARGV[4] ~= '' then redis.call('HSET', KEY.promises, 'why ' .. ARGV[2], ARGV[4]) end
return 0
