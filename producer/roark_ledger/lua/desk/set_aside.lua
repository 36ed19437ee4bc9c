#!lua flags=allow-oom
-- Makes dead letters of reports that wait, because a person wants them out of the way; payload and history are kept.
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `set aside`, or the state that it is in instead, or `unknown`.

local results, changed = {}, {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local record = read(id)
  local was = record.state
  if LEGAL.set_aside[was] then
    record.note = 'set_aside'
    record.cause = ARGV[2]
    move(id, record, 'set_aside', now)
    tell(id, 'set_aside', ARGV[2])
    count('set_aside', 1)
    results[#results + 1] = 'set aside'
    changed[#changed + 1] = id
  else
    results[#results + 1] = was
  end
end
if #changed > 0 then log_deed('set-aside', ARGV[2], #changed, changed) end
return results
