#!lua flags=allow-oom
-- Says whether it is the caller's turn to show how the lane is: one worker's at a time, whenever the lane is shut, opens
-- or is shut for another reason, and now and then while it is shut, for whoever did not listen before.
--
-- ARGV  1 now   2 again (ms): how often a shut lane is shown
-- Returns nothing, or { now, ready reports, lane field, value, … }.

local seen = redis.call('HMGET', KEY.lane, 'state', 'reason', 'breaker_until', 'shown', 'shown_at')
local found = 'open'
if seen[1] == 'held' then found = 'held ' .. (seen[2] or '') elseif seen[3] then found = 'breaker' end
local shown, at = seen[4] or 'open', tonumber(seen[5] or nil) or 0
if found == shown and (found == 'open' or math.abs(now - at) < tonumber(ARGV[2])) then return {} end
redis.call('HSET', KEY.lane, 'shown', found, 'shown_at', now)
return { now, ready_count(), redis.call('HGETALL', KEY.lane) }
