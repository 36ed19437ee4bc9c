#!lua flags=no-writes,allow-oom
-- Says whether the lane would let an upload start now: what pulse.lua asks of it, where the reports lie in partitions.
--
-- needs _flow.lua
--
-- ARGV  1 now   2 the lane's rules
-- Returns 1 or 0.

open_lane()
-- What it reads moved back with the clock, but it may not write that down; a permit may.
if clock_went_back then return 1 end
return gate(flow_rules(ARGV[2]), 1) < 1 and 0 or 1
