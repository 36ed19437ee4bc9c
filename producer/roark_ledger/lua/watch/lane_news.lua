#!lua flags=allow-oom
-- Says whether it is the caller's turn to show how the lane is: one worker's at a time, whenever the lane is shut, opens
-- or is shut for another reason, and now and then while it is shut, for whoever did not listen before.
--
-- needs _way.lua
--
-- ARGV  1 now   2 again (ms): how often a shut lane is shown
-- Returns nothing, or { now, ready reports, lane field, value, … `way`, the lane's state }.

local seen = redis.call('HMGET', KEY.lane, 'state', 'reason', 'breaker_until', 'shown', 'shown_at')
local found = LANE.open
if seen[1] == LANE.held then found = LANE.held .. ' ' .. (seen[2] or '') elseif seen[3] then found = LANE.breaker_open end
local shown, at = seen[4] or LANE.open, tonumber(seen[5] or nil) or 0
if found == shown and (found == LANE.open or math.abs(now - at) < tonumber(ARGV[2])) then return {} end
redis.call('HSET', KEY.lane, 'shown', found, 'shown_at', now)
return { now, ready_count(), lane_as_told() }
