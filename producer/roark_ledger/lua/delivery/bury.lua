#!lua flags=allow-oom
-- Records that these reports cannot be delivered: they become dead letters, with payload and history.
-- Does nothing for a caller that lost its lease.
--
-- needs _flow.lua
--
-- ARGV  1 now   2 the lane's rules
--       then for each report: call id, token, reason's code, history line (JSON), signal as in defer.lua,
--       code of what the last attempt failed of
-- Returns for each report 1, or 0 where the lease was lost; behind them { what, why } for what the lane came to.

local rules = flow_rules(ARGV[2])
local results = {}
open_lane()
for i = 3, #ARGV, 6 do
  local id, token = ARGV[i], ARGV[i + 1]
  local record = read(id)
  if holds(record, token) then
    local began = record.since
    record.attempts = record.attempts + 1
    record.note = ARGV[i + 2]
    record.cause = ARGV[i + 3]
    move(id, record, 'bury', now)
    tell(id, 'buried', ARGV[i + 3])
    take_beside(id, record)
    note(rules, id, token, began, tonumber(ARGV[i + 4]), ARGV[i + 5])
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
conclude(rules)
close_lane()
return with_news(results)
