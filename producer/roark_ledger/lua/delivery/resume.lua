#!lua flags=allow-oom
-- Opens the lane again, whoever held it; an open breaker lets its probe through at once.
--
-- needs _flow.lua
--
-- ARGV  1 now   2 who (JSON)
-- Returns 1 when the lane was held, else 0.

open_lane()
local held = lane.state == LANE.held
log_deed('resume', ARGV[2], held and 1 or 0, {})
no_hold()
if lane.breaker_until then
  lane.breaker_until = math.min(lane.breaker_until, now)
else
  lane.probe = nil
end
lane.paused_until, lane.paused_since = nil, nil
if held then
  lane.resumed = now
  start_slowly()
end
close_lane()
return held and 1 or 0
