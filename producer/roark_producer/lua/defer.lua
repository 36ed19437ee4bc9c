#!lua flags=allow-oom
-- Records attempts that failed for a passing reason: the reports wait until they are due again.
-- Does nothing for a caller that lost its lease.
--
-- needs _flow.lua
--
-- ARGV  1 now   2 the lane's rules   3 pause (ms): how long Roark asked all of us to wait, 0 for not at all
--       then for each report: call id, token, delay (ms), reason's code, history line (JSON),
--       signal (see Signal in operations.py), cause (the reason, or more exactly: see causes.py)
-- Returns for each report 1, or 0 where the lease was lost; behind them { what, why } for what the lane came to.

local rules = flow_rules(ARGV[2])
local results = {}
open_lane()
for i = 4, #ARGV, 7 do
  local id, token = ARGV[i], ARGV[i + 1]
  local record = read(id)
  if holds(record, token) then
    local began = record.since
    record.attempts = record.attempts + 1
    record.deaths = 0
    record.note = ARGV[i + 3]
    move(id, record, 'defer', now + tonumber(ARGV[i + 2]))
    tell(id, 'deferred', ARGV[i + 4])
    take_beside(id, record)
    note(rules, id, token, began, tonumber(ARGV[i + 5]), ARGV[i + 6])
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
pause(tonumber(ARGV[3]))
conclude(rules)
close_lane()
return with_news(results)
