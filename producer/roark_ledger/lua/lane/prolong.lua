#!lua flags=allow-oom
-- Prolongs the leases of permits while their uploads live.
--
-- ARGV  1 now   2 lease (ms)   then permits
-- Returns for each permit 1, or 0 where it had ended.

local ends, prolonged, results = now + tonumber(ARGV[2]), {}, {}
for i = 3, #ARGV do
  if redis.call('ZSCORE', KEY.uploading, ARGV[i]) then
    prolonged[#prolonged + 1] = ends
    prolonged[#prolonged + 1] = ARGV[i]
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
if #prolonged > 0 then redis.call('ZADD', KEY.uploading, 'XX', unpack(prolonged)) end
return results
