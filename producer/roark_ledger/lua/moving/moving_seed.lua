#!lua flags=allow-oom
-- Makes the key of the tombstones where there is none yet, and hands out what each partition has to begin with: the same
-- key, so that an erased call stays erased there, and lease tokens that were never given.
--
-- ARGV  1 now   2, 3 pads of the key to use if the ledger has none yet (see tombstones.py)
-- Returns { inner pad, outer pad, old salt or '', last lease token }.

make_erase_key(ARGV[2], ARGV[3])
local found = redis.call('HMGET', KEY.counters, 'erase_inner', 'erase_outer', 'salt', 'token')
return { found[1], found[2], found[3] or '', tonumber(found[4] or 0) }
