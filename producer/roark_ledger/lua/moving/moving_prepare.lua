#!lua flags=allow-oom
-- Lets a partition take over calls: from here until moving_close.lua it adopts. Only an empty one begins, or one that
-- began before.
--
-- ARGV  1 now   2, 3 pads of the tombstones' key   4 old salt or ''   5 last lease token   6 how many partitions
-- Returns `ready`; `taken` where it holds something already, `other` where it belongs to another number of partitions.

local before = redis.call('HGET', KEY.promises, 'adopting')
if before and before ~= ARGV[6] then return 'other' end
-- Whoever has the tombstones' key of this very ledger began before, and may have ended it.
local pad = redis.call('HGET', KEY.counters, 'erase_inner')
local is_empty = redis.call('HLEN', KEY.records) == 0 and redis.call('HEXISTS', KEY.counters, 'accepted') == 0
if pad and pad ~= ARGV[2] or not pad and not is_empty then return 'taken' end
redis.call('HSET', KEY.promises, 'adopting', ARGV[6])
redis.call('HSET', KEY.counters, 'erase_inner', ARGV[2], 'erase_outer', ARGV[3])
if ARGV[4] ~= '' then redis.call('HSET', KEY.counters, 'salt', ARGV[4]) end
local token = tonumber(redis.call('HGET', KEY.counters, 'token') or 0)
if token < tonumber(ARGV[5]) then redis.call('HSET', KEY.counters, 'token', ARGV[5]) end
return 'ready'
