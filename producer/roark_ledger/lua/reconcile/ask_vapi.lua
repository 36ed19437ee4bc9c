#!lua flags=allow-oom
-- Says when Vapi may be asked: to all processes together, so often and no more. Each moment is given out once; one whose
-- caller dies before it is lost, and that is all.
--
-- ARGV  1 now   2 gap between two moments (ms)   3 patience (ms): how long the caller can wait; -1: not at all
--       4 latest (ms): for how long one whose patience is too short may be sent away
-- Returns { ms until it may ask, -1 }; or { -1, ms until it may come back }: those who are sent away come back one in
-- each gap, so that thousands who wait cost no more than those who come back; or { -1, -1 }: that would be too late.

local LONGEST_ROW_MS = 60000

local gap, patience, latest = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

-- What lies further ahead than can be was written before the clock was set back.
local function moment(field, furthest)
  local at = tonumber(redis.call('HGET', KEY.lane, field) or 0)
  return at > now + furthest and now or math.max(at, now)
end

local at = moment('vapi_next', LONGEST_ROW_MS)
if at - now <= patience then
  redis.call('HSET', KEY.lane, 'vapi_next', at + gap)
  return { at - now, -1 }
end
local back = math.max(at, now + gap, moment('vapi_back', latest + gap))
if back - now > latest then return { -1, -1 } end
redis.call('HSET', KEY.lane, 'vapi_back', back + gap)
return { -1, back - now }
