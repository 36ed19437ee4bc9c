#!lua flags=allow-oom
-- Gives reports back unjudged, without counting an attempt: Roark refused all of us, or the worker stops.
-- A fresh report goes back to its old place in the queue. Does nothing for a caller that lost its lease.
--
-- needs _flow.lua
-- needs _route.lua
--
-- ARGV  1 now   then for each report: call id, token
-- Returns for each report 1, or 0 where the lease was lost.

local results = {}
open_lane()
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  local record = read(id)
  if holds(record, ARGV[i + 1]) then
    note_given_up(id)
    move(id, record, 'release', record.priority == 'f' and record.accepted or now)
    take_beside(id, record)
    probe_is_back(id, ARGV[i + 1])
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
close_lane()
return results
