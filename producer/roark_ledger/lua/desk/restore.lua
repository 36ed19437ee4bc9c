#!lua flags=allow-oom
-- Brings discarded reports back to the dead letters.
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `restored`, or the state that it is in instead, or `unknown`.

local results, changed = {}, {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local record = read(id)
  local was = record.state
  if move(id, record, 'restore', now) then
    tell(id, 'restored', ARGV[2])
    results[#results + 1] = 'restored'
    changed[#changed + 1] = id
  else
    results[#results + 1] = was
  end
end
if #changed > 0 then log_deed('restore', ARGV[2], #changed, changed) end
return results
