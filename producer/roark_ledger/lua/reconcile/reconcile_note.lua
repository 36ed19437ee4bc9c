#!lua flags=allow-oom
-- Keeps how far a pass came, for the one after it, and the turn for its holder; or gives the turn back when it is over.
--
-- ARGV  1 now   2 who   3 `going`, `done` or `failed`   4 why it failed, or empty
--       then name, value, …: watermark, swept, full, full_next (ms), result (JSON)
-- Returns 1, or 0 where the turn was lost: then nothing is kept.

if redis.call('HGET', KEY.lane, 'reconcile_by') ~= ARGV[2] then return 0 end
redis.call('HSET', KEY.lane, 'reconcile_heard', now)
for i = 5, #ARGV, 2 do redis.call('HSET', KEY.lane, 'reconcile_' .. ARGV[i], ARGV[i + 1]) end
if ARGV[3] == 'going' then return 1 end
redis.call('HSET', KEY.lane, 'reconcile_tried', now, 'reconcile_error', ARGV[4])
if ARGV[3] == 'done' then redis.call('HSET', KEY.lane, 'reconcile_at', now) end
redis.call('HDEL', KEY.lane, 'reconcile_by', 'reconcile_heard')
return 1
