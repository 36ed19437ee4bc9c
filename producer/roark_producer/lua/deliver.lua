#!lua flags=allow-oom
-- Records that Roark took these reports, drops their payloads, and lets a newer report that came meanwhile
-- follow. Does nothing for a caller that lost its lease.
--
-- needs _flow.lua
--
-- ARGV  1 now   2 keep: 1 keeps the payload, 0 drops it   3 the lane's rules
--       4 pause (ms): how long Roark asked all of us to wait, 0 for not at all
--       then for each report: call id, token, Roark's id or -, history line (JSON), how long it took (ms)
-- Returns for each report 1, or 0 where the lease was lost; behind them { what, why } for what the lane came to.

local rules = flow_rules(ARGV[3])
local results = {}
local delivered = 0
open_lane()
for i = 5, #ARGV, 5 do
  local id, token = ARGV[i], ARGV[i + 1]
  local record = read(id)
  if holds(record, token) then
    local began = record.since
    time_answer(began, tonumber(ARGV[i + 4]))
    local told = record.attempts > 0 or record.deaths > 0 or record.priority ~= 'f' or record.revision ~= '0'
    record.attempts = record.attempts + 1
    record.note = ARGV[i + 2]
    record.cause = ARGV[i + 3]
    move(id, record, 'deliver')
    if ARGV[2] == '0' then redis.call('HDEL', KEY.payloads, id) end
    if told then
      -- Only what was dead before can have been edited.
      if ARGV[2] == '0' then redis.call('HDEL', KEY.originals, id) end
      tell(id, 'delivered', ARGV[i + 3])
    end
    take_beside(id, record)
    note_good(id, token, began)
    delivered = delivered + 1
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
pause(tonumber(ARGV[4]))
conclude(rules)
went_well(rules, delivered)
if delivered > 0 then measure_speed() end
close_lane()
return with_news(results)
