#!lua flags=no-writes,allow-oom
-- Tells which calls' reports were refused before, as all might be, and have stayed what they were since.
--
-- ARGV  1 now   then call ids
-- Returns for each 1 or 0.

local results = {}
for i = 2, #ARGV do results[#results + 1] = redis.call('HEXISTS', KEY.refused, ARGV[i]) end
return results
