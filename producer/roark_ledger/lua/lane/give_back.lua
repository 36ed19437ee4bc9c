#!lua flags=allow-oom
-- Takes back permits by which nothing was started: neither level nor rate counts them any more.
--
-- The rate gets back what it was charged, less what it let through meanwhile: else whoever asks often, and has nothing to
-- send, could heap up more than a burst.
--
-- needs _flow.lua
-- needs _permits.lua
--
-- ARGV  1 now   2 the lane's rules   then permits
-- Returns how many of them were still given.

local rules = flow_rules(ARGV[2])
local number, given = 0, {}

open_lane_of_permits()
for i = 3, #ARGV do
  local permit = parse_permit(ARGV[i])
  if permit and end_permit(ARGV[i], permit) then
    number = number + 1
    if is_probe(ARGV[i], permit.token) then
      lane.probe = nil
      -- As if it had not been given: the next one need not wait for a gap.
      if lane.probe_at then lane.probe_at = now end
    end
    local together = given[permit.token] or { number = 0, since = permit.since, charge = permit.charge }
    together.number = together.number + 1
    given[permit.token] = together
  end
end

-- What was counted of them as begun, for a trial of the level that still runs or waits for its answers.
local function uncount_begun(one)
  if not lane.begun or one.since <= (lane.cut_at or 0) or one.since > (lane.closed_at or now) then return end
  lane.begun = math.max(0, lane.begun - one.number)
end

for _, one in pairs(given) do
  local before = lane.tat
  charge_rate(rules, -one.number)
  if before then
    local back = math.max(0, one.number * one.charge - (now - one.since) * 1000)
    lane.tat = math.max(lane.tat, before - back)
  end
  uncount_begun(one)
end
if number > 0 then close_lane() end
return number
