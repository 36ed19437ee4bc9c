#!lua flags=allow-oom
-- Brings discarded reports back to the dead letters.
--
-- needs _by_hand.lua
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `restored`, or the state that it is in instead, or `unknown`.

return by_hand('restore', function(id, record)
  if not move(id, record, 'restore', now) then return end
  tell(id, 'restored', ARGV[2])
  return 'restored'
end)
