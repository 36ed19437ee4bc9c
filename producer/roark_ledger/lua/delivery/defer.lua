#!lua flags=allow-oom
-- Records attempts that failed for a passing reason: the reports wait until they are due again.
-- Does nothing for a caller that lost its lease.
--
-- needs _flow.lua
-- needs _route.lua
--
-- ARGV  1 now   2 the lane's rules   3 pause (ms): how long Roark asked all of us to wait, 0 for not at all
--       then for each report: call id, token, delay (ms), reason's code, history line (JSON),
--       signal (see Signal in moves/delivery.py). Where nothing was sent, it was no attempt, and is told once
-- Returns for each report 1, or 0 where the lease was lost; behind them { what, why } for what the lane came to.

local rules = flow_rules(ARGV[2])
local results = {}
open_lane()
for i = 4, #ARGV, 6 do
  local id, token = ARGV[i], ARGV[i + 1]
  local record = read(id)
  if holds(record, token) then
    local began = record.since
    local unsent, before = tonumber(ARGV[i + 5]) == UNSENT, record.note
    if unsent then note_refused(id) else record.attempts = record.attempts + 1 end
    record.deaths = 0
    record.note = ARGV[i + 3]
    move(id, record, 'defer', now + tonumber(ARGV[i + 2]))
    if not unsent or before ~= record.note then tell(id, 'deferred', ARGV[i + 4]) end
    take_beside(id, record)
    note(rules, id, token, began, tonumber(ARGV[i + 5]), ARGV[i + 3])
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
pause(tonumber(ARGV[3]))
conclude(rules)
close_lane()
return with_news(results)
