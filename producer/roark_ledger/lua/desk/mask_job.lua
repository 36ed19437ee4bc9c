#!lua flags=allow-oom
-- Writes what is told of a replay job anew, for a person's sake, where it still reads as it did.
--
-- ARGV  1 now   2 `live` or `past`   3 field   4 SHA-1 of what stands there   5 what shall stand there
-- Returns 1, or 0 where it reads otherwise by now.

local key = ARGV[2] == 'live' and KEY.replay_live or KEY.replay_past
local text = redis.call('HGET', key, ARGV[3])
if not text or redis.sha1hex(text) ~= ARGV[4] then return 0 end
redis.call('HSET', key, ARGV[3], ARGV[5])
return 1
