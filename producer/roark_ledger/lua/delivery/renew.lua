#!lua flags=allow-oom
-- Prolongs leases while their uploads live.
--
-- ARGV  1 now   2 lease (ms)   then for each report: call id, token
-- Returns for each report 1, or 0 where the lease was lost.

local results = {}
for i = 3, #ARGV, 2 do
  if holds(read(ARGV[i]), ARGV[i + 1]) then
    redis.call('ZADD', KEY.uploading, 'XX', now + tonumber(ARGV[2]), ARGV[i])
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
return results
