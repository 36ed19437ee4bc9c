-- Which state the lane is in: decided here, for the claim that asks, for the accept that wakes and for all that is shown.

local function way(state, breaker_until, paused_until)
  local paused = paused_until or 0
  if state == LANE.held then return LANE.held end
  if breaker_until then return math.max(breaker_until, paused) > now and LANE.breaker_open or LANE.half_open end
  return paused > now and LANE.throttled or LANE.open
end

-- All that is remembered of the lane, field by field, and its state by the name `way`.
local function lane_as_told()
  local told = redis.call('HGETALL', KEY.lane)
  local seen = redis.call('HMGET', KEY.lane, 'state', 'breaker_until', 'paused_until')
  told[#told + 1] = 'way'
  told[#told + 1] = way(seen[1], tonumber(seen[2] or nil), tonumber(seen[3] or nil))
  return told
end
