#!lua flags=allow-oom
-- Takes unconfirmed deliveries for good: somebody has seen the calls at Roark. They stay delivered, their payloads go.
--
-- needs _by_hand.lua
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `confirmed`, or the state that it is in instead (`delivered`: it is not unconfirmed), or `unknown`.

return by_hand('confirm', function(id, record)
  if not confirm(id, record, 'confirmed', ARGV[2]) then return end
  count('confirmed', 1)
  return 'confirmed'
end)
