#!lua flags=allow-oom
-- Takes over tombstones, which were made with the same key.
--
-- ARGV  1 now   then tombstones
-- Returns how many are new.

local new = 0
for i = 2, #ARGV do new = new + redis.call('SADD', KEY.erased, ARGV[i]) end
-- In any case, as in moving_adopt.lua.
local adopting = redis.call('HGET', KEY.promises, 'adopting')
if adopting then redis.call('HSET', KEY.promises, 'adopting', adopting) end
return new
