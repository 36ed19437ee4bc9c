#!lua flags=no-writes,allow-oom
-- Says how far the way from one partition to several is, and what there is to move. Run on what is left of the old one
-- (Keys.source) while calls are moved, on the ledger itself before.
--
-- ARGV  1 now
-- Returns { partitions, 0 where there is one; moving to so many, 0 where nothing is moved; replay jobs and letters that
--           stand in the way; calls; tombstones; what is listed of calls without a record; moved until now }.

local facts = redis.call('HMGET', KEY.promises, 'partitions', 'moving')
return {
  tonumber(facts[1] or 0), tonumber(facts[2] or 0),
  redis.call('ZCARD', KEY.replay_open) + redis.call('ZCARD', KEY.replay_selected) + redis.call('ZCARD', KEY.replay_sent),
  redis.call('HLEN', KEY.records), redis.call('SCARD', KEY.erased),
  redis.call('ZCARD', KEY.missing) + redis.call('ZCARD', KEY.removed),
  tonumber(redis.call('HGET', KEY.counters, 'moved') or 0),
}
