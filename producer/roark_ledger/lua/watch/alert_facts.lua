#!lua flags=no-writes,allow-oom
-- What alerts are judged by beside the snapshot, without a scan.
--
-- ARGV  1 now   2 lately (ms): how far back deaths count   3 soon (ms): how far ahead the end of audio links counts
-- Returns { deaths lately, reason of the newest dead letter or '', dead letters whose audio links end soon,
--           ready reports whose audio links do, { spool, `bytes since heard`, … } }.

local newest = redis.call('ZRANGE', KEY.dead, -1, -1)[1]
local soon = now + tonumber(ARGV[3])
return {
  redis.call('ZCOUNT', KEY.dead, now - tonumber(ARGV[2]), '+inf'), newest and read(newest).note or '',
  redis.call('ZCOUNT', KEY.fading, now, soon), redis.call('ZCOUNT', KEY.perishable, now, soon),
  redis.call('HGETALL', KEY.spools),
}
