#!lua flags=allow-oom
-- Puts dead letters aside for good, payload and history kept, so that they can be restored. Of an unconfirmed delivery
-- the payload is dropped: it stays delivered, and nobody can send it again.
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `discarded`, or the state that it is in instead, or `unknown`.

local results, changed = {}, {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local record = read(id)
  local was = record.state
  if move(id, record, 'discard', now) then
    tell(id, 'discarded', ARGV[2])
    results[#results + 1] = 'discarded'
    changed[#changed + 1] = id
  elseif confirm(id, record, 'dropped', ARGV[2]) then
    count('unconfirmed_dropped', 1)
    results[#results + 1] = 'discarded'
    changed[#changed + 1] = id
  else
    results[#results + 1] = was
  end
end
if #changed > 0 then log_deed('discard', ARGV[2], #changed, changed) end
return results
