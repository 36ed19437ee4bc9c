#!lua flags=allow-oom
-- Stops the lane: reports stay ready, nothing is uploaded. By hand until somebody resumes; by Roark's answers
-- with a probe after a gap that doubles from one bad probe to the next.
--
-- ARGV  1 now   2 by: `roark` or who did it   3 reason
--       4 first probe after (ms), by hand 0   5 longest gap between probes (ms)
--       6 `call id token` of the upload that Roark refused, by hand empty
-- Returns 1 when the lane was open before, else 0. A hold by hand is not weakened by Roark's answers.

local lane = redis.call('HMGET', KEY.lane, 'state', 'by', 'probe_gap', 'probe')
local held = lane[1] == 'held'
local by_hand = ARGV[2] ~= 'roark'
if held and not by_hand and lane[2] ~= 'roark' then return 0 end
if by_hand then
  redis.call('HDEL', KEY.lane, 'probe', 'probe_at', 'probe_gap')
elseif not held then
  redis.call('HSET', KEY.lane, 'probe_gap', ARGV[4], 'probe_at', now + tonumber(ARGV[4]))
elseif lane[4] and lane[4] == ARGV[6] then
  -- Only the probe widens the gap: the hundreds of uploads that were under way at the first refusal do not.
  local gap = math.min(tonumber(lane[3]) * 2, tonumber(ARGV[5]))
  redis.call('HSET', KEY.lane, 'probe_gap', gap, 'probe_at', now + gap)
  redis.call('HDEL', KEY.lane, 'probe')
end
redis.call('HSET', KEY.lane, 'state', 'held', 'by', ARGV[2], 'reason', ARGV[3])
if not held then
  redis.call('HSET', KEY.lane, 'since', now)
  count('holds', 1)
end
return held and 0 or 1
