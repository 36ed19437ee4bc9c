#!lua flags=allow-oom
-- Makes dead letters of reports that wait, because a person wants them out of the way; payload and history are kept.
--
-- needs _by_hand.lua
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `set aside`, or the state that it is in instead, or `unknown`.

return by_hand('set-aside', function(id, record)
  if not LEGAL.set_aside[record.state] then return end
  record.note = 'set_aside'
  record.cause = ARGV[2]
  move(id, record, 'set_aside', now)
  tell(id, 'set_aside', ARGV[2])
  count('set_aside', 1)
  return 'set aside'
end)
