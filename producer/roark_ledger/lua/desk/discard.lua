#!lua flags=allow-oom
-- Puts dead letters aside for good, payload and history kept, so that they can be restored. Of an unconfirmed delivery
-- the payload is dropped: it stays delivered, and nobody can send it again.
--
-- needs _by_hand.lua
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `discarded`, or the state that it is in instead, or `unknown`.

return by_hand('discard', function(id, record)
  if move(id, record, 'discard', now) then
    tell(id, 'discarded', ARGV[2])
    return 'discarded'
  end
  if confirm(id, record, 'dropped', ARGV[2]) then
    count('unconfirmed_dropped', 1)
    return 'discarded'
  end
end)
