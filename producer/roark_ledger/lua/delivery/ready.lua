#!lua flags=allow-oom
-- Tells what is ready in a partition, so that whoever may claim knows where. It is asked of all partitions, so it is where
-- a caller promises to listen, as in claim.lua.
--
-- ARGV  1 now   2 listen (ms): how long this caller will ask again by itself; 0: it is about to leave; less: it only looks
-- Returns { reports whose audio links end within five minutes, then for fresh, retry and replay: how many, and for how
-- long the oldest has been ready (ms), 0 where there is none }.

local PERISHABLE_WITHIN = 300000

local answer = { redis.call('ZCOUNT', KEY.perishable, now + 5000, now + PERISHABLE_WITHIN) }
for _, queue in ipairs(QUEUES) do
  local number = redis.call('ZCARD', KEY[queue])
  local head = number > 0 and redis.call('ZRANGE', KEY[queue], 0, 0, 'WITHSCORES') or {}
  answer[#answer + 1] = number
  answer[#answer + 1] = math.max(0, now - tonumber(head[2] or now))
end

local listen = tonumber(ARGV[2])
local promised = redis.call('HGET', KEY.lane, 'listening_until')
if listen == 0 then
  if promised then redis.call('HDEL', KEY.lane, 'listening_until') end
elseif listen > 0 and tonumber(promised or 0) < now + listen / 2 then
  redis.call('HSET', KEY.lane, 'listening_until', now + listen)
end
return answer
