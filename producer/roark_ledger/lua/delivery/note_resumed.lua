#!lua flags=allow-oom
-- Notes in a partition that the lane, which is in its home, was opened again: deliver.lua looks up more for a while.
--
-- ARGV  1 now   2 how long ago that was (ms)
-- Returns 1 when that is news, else 0.

local resumed = now - tonumber(ARGV[2])
-- Several workers tell it, each by its own measure.
local SAME_MS = 2000
if tonumber(redis.call('HGET', KEY.lane, 'resumed') or 0) > resumed - SAME_MS then return 0 end
redis.call('HSET', KEY.lane, 'resumed', resumed)
return 1
