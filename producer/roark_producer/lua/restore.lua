#!lua flags=allow-oom
-- Brings discarded reports back to the dead letters.
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `restored`, or the state that it is in instead, or `unknown`.

local results = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local record = read(id)
  local was = record.state
  if move(id, record, 'restore', now) then
    tell(id, 'restored', ARGV[2])
    results[#results + 1] = 'restored'
  else
    results[#results + 1] = was
  end
end
return results
