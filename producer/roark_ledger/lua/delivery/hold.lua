#!lua flags=allow-oom
-- Stops the lane: reports stay ready, nothing is uploaded. By hand until somebody resumes. By Roark's answers it is
-- what workers did before refuse.lua judged their refusals, and may do while two versions run: with a probe after a gap
-- that doubles from one bad probe to the next.
--
-- needs _flow.lua
--
-- ARGV  1 now   2 by: `roark` or who did it   3 reason
--       4 first probe after (ms), by hand 0   5 longest gap between probes (ms)
--       6 `call id token` of the upload that Roark refused, by hand empty   7 who (JSON), for the logbook
-- Returns 1 when the lane was open before, else 0. A hold by hand is not weakened by Roark's answers.

local by, reason, first_gap, longest_gap, witness = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
open_lane()
local held = lane.state == LANE.held

local function probe_in(gap)
  lane.probe_gap = gap
  lane.probe_at = now + gap
end

if by ~= 'roark' then
  log_deed('hold', ARGV[7], held and 0 or 1, {})
  -- A probe that is out to find out about a breaker goes on doing so; it will not end this hold.
  if not lane.breaker_until then lane.probe = nil end
  lane.probe_at, lane.probe_gap = nil, nil
elseif not held then
  probe_in(first_gap)
elseif lane.by == 'roark' and lane.probe == witness then
  -- Only the probe widens the gap: the hundreds of uploads that were under way at the first refusal do not.
  probe_in(math.min(lane.probe_gap * 2, longest_gap))
  lane.probe = nil
end

if by ~= 'roark' or not held or lane.by == 'roark' then
  lane.state, lane.by, lane.reason = LANE.held, by, reason
end
if not held then
  lane.since = now
  count('holds', 1)
end
close_lane()
return held and 0 or 1
