#!lua flags=allow-oom
-- Takes note that an alert's message was sent.
--
-- ARGV  1 now   2 kind   3 token of the turn
-- Returns 1, or 0 where the turn was lost meanwhile: then it is, or was, sent once more.

local text = redis.call('HGET', KEY.alerts, ARGV[2])
if not text then return 0 end
local alert = cjson.decode(text)
if alert.token ~= tonumber(ARGV[3]) or not alert.owed then return 0 end
alert.owed, alert.told = nil, now
redis.call('HSET', KEY.alerts, ARGV[2], cjson.encode(alert))
count('alerts_sent', 1)
return 1
