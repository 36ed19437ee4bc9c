#!lua flags=no-writes,allow-oom
-- Says whether a wake-up should be published: reports are ready, the lane would hand them out, and nobody
-- has claimed for a while, or there are enough for one more worker beside those who claim. So a lost wake-up costs
-- the tick's interval and not a report, and a backlog that stood still while the lane was shut gets all workers.
--
-- needs _flow.lua
--
-- ARGV  1 now   2 quiet (ms): how long without a claim is too long   3 the lane's rules
--       4 plenty: so many ready reports are worth waking somebody for whoever claims; 0: none are
-- Returns 1 or 0.

local ready, plenty = ready_count(), tonumber(ARGV[4])
if ready == 0 then return 0 end
open_lane()
-- What it reads moved back with the clock, but it may not write that down; a claim may.
if clock_went_back then return 1 end
if gate(flow_rules(ARGV[3]), 1) < 1 then return 0 end
if plenty > 0 and ready >= plenty then return 1 end
return (lane.last_claim or 0) <= now - tonumber(ARGV[2]) and 1 or 0
