#!lua flags=allow-oom
-- Writes a line into the operators' logbook that belongs to no single script: the intent of what takes many.
--
-- ARGV  1 now   2 action   3 who (JSON)   4 how many calls or entries   then the calls' ids, as far as they are named
-- Returns the line's id.

local calls = {}
for i = 5, #ARGV do calls[#calls + 1] = ARGV[i] end
return log_deed(ARGV[2], ARGV[3], tonumber(ARGV[4]), calls)
