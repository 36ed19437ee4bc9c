#!lua flags=no-writes,allow-oom
-- Tells how lately the ready report was refused that would be this partition's next probe: see probe_of_all().
--
-- needs _flow.lua
--
-- ARGV  1 now
-- Returns when that was (ms), -1 where it never was, or nothing where no report is ready.

local found = probe_of_all()
return found and found.last
