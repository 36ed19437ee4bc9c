#!lua flags=allow-oom
-- Takes unconfirmed deliveries for good: somebody has seen the calls at Roark. They stay delivered, their payloads go.
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `confirmed`, or the state that it is in instead (`delivered`: it is not unconfirmed), or `unknown`.

local results, changed = {}, {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local record = read(id)
  if confirm(id, record, 'confirmed', ARGV[2]) then
    results[#results + 1] = 'confirmed'
    changed[#changed + 1] = id
  else
    results[#results + 1] = record.state
  end
end
count('confirmed', #changed)
if #changed > 0 then log_deed('confirm', ARGV[2], #changed, changed) end
return results
