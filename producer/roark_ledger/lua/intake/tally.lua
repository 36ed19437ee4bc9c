#!lua flags=allow-oom
-- Adds to counters that are gathered in a process first.
--
-- ARGV  1 now   then name, amount, …
-- Returns nothing.

for i = 2, #ARGV, 2 do count(ARGV[i], tonumber(ARGV[i + 1])) end
return 0
