#!lua flags=no-writes,allow-oom
-- A page of the operators' logbook.
--
-- ARGV  1 now   2 `oldest` or `newest`: which comes first   3 id behind which to begin, or empty   4 most
-- Returns for each { id, { field, value, … } }; the fields are at (ms), action, who (JSON), count, calls.

local after = ARGV[3] ~= '' and '(' .. ARGV[3] or nil
if ARGV[2] == 'newest' then return redis.call('XREVRANGE', KEY.logbook, after or '+', '-', 'COUNT', ARGV[4]) end
return redis.call('XRANGE', KEY.logbook, after or '-', '+', 'COUNT', ARGV[4])
