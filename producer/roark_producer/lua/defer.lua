#!lua flags=allow-oom
-- Records attempts that failed for a passing reason: the reports wait until they are due again.
-- Does nothing for a caller that lost its lease.
--
-- ARGV  1 now   then for each report: call id, token, delay (ms), reason's code, history line (JSON)
-- Returns for each report 1, or 0 where the lease was lost.

local results = {}
for i = 2, #ARGV, 5 do
  local id = ARGV[i]
  local record = read(id)
  if holds(record, ARGV[i + 1]) then
    record.attempts = record.attempts + 1
    record.deaths = 0
    record.note = ARGV[i + 3]
    move(id, record, 'defer', now + tonumber(ARGV[i + 2]))
    tell(id, 'deferred', ARGV[i + 4])
    take_beside(id, record)
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
return results
