#!lua flags=no-writes,allow-oom
-- Hands out tombstones by pages. They do not tell their calls, so each partition gets all of them.
--
-- ARGV  1 now   2 cursor, 0 to begin   3 about how many
-- Returns { cursor, 0 behind the last; tombstone … }.

local page = redis.call('SSCAN', KEY.erased, ARGV[2], 'COUNT', ARGV[3])
return { page[1], unpack(page[2]) }
