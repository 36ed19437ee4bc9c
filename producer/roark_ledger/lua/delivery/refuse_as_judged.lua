#!lua flags=allow-oom
-- Records refusals in a partition, as its home judged them (outcomes.lua): the reports wait, or are dead letters. Does
-- nothing for a caller that lost its lease.
--
-- needs _route.lua
-- needs _refusing.lua
--
-- ARGV  1 now   then for each report: call id, token, reason's code, how often it was refused in all, negative where it is
--       a dead letter, history line (JSON), history line (JSON) if it is a dead letter now
-- Returns for each report 1 when it waits, 2 when it is a dead letter, or 0 where the lease was lost.

local results = {}
for i = 2, #ARGV, 6 do
  local id, judged = ARGV[i], tonumber(ARGV[i + 3])
  local record = read(id)
  if holds(record, ARGV[i + 1]) then
    -- What the home counts stays there; here it is remembered that it was refused, and when, for whoever needs a probe.
    local total = math.abs(judged)
    local remembered = string.format('%d 0 0 %d %d', total, total, now)
    results[#results + 1] = record_refusal(
      id, record, ARGV[i + 2], judged < 0, total, remembered, ARGV[i + 4], ARGV[i + 5]
    )
  else
    results[#results + 1] = 0
  end
end
return results
