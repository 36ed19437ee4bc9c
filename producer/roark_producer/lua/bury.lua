#!lua flags=allow-oom
-- Records that these reports cannot be delivered: they become dead letters, with payload and history.
-- Does nothing for a caller that lost its lease.
--
-- ARGV  1 now   then for each report: call id, token, reason's code, history line (JSON)
-- Returns for each report 1, or 0 where the lease was lost.

local results = {}
for i = 2, #ARGV, 4 do
  local id, token = ARGV[i], ARGV[i + 1]
  local record = read(id)
  if holds(record, token) then
    record.attempts = record.attempts + 1
    record.note = ARGV[i + 2]
    move(id, record, 'bury', now)
    tell(id, 'buried', ARGV[i + 3])
    take_beside(id, record)
    -- Roark judged the report, so the way to Roark is in order.
    probe_was_good(id, token)
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
return results
