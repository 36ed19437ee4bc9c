#!lua flags=allow-oom
-- Takes over tombstones, which were made with the same key.
--
-- ARGV  1 now   then tombstones
-- Returns how many are new.

local new = 0
for i = 2, #ARGV do new = new + redis.call('SADD', KEY.erased, ARGV[i]) end
return new
