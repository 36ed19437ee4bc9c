#!lua flags=allow-oom
-- Gives one worker at a time the turn to compare with Vapi, every so often; its holder keeps it by reconcile_note.lua.
--
-- ARGV  1 now   2 who asks   3 every (ms), from the end of the last pass
--       4 patience (ms): a holder who was not heard of for so long has died
-- Returns {} when it is another's turn, or nobody's yet; else { watermark, swept, full, full_next }, see
-- roark_worker/calls/rules.py; 0 where there is none.

local seen = redis.call('HMGET', KEY.lane, 'reconcile_by', 'reconcile_heard', 'reconcile_tried')
local by, heard, tried = seen[1], tonumber(seen[2] or 0), tonumber(seen[3] or 0)

-- A time that lies ahead was written before the clock was set back.
local function is_past(time, ms) return time > now or now - time >= ms end

redis.call('HSETNX', KEY.lane, 'reconcile_first', now)
redis.call('HSET', KEY.lane, 'reconcile_asked', now, 'reconcile_every', ARGV[3])
if by and by ~= ARGV[2] and not is_past(heard, tonumber(ARGV[4])) then return {} end
if not by and not is_past(tried, tonumber(ARGV[3])) then return {} end
redis.call('HSET', KEY.lane, 'reconcile_by', ARGV[2], 'reconcile_heard', now)
local stand = redis.call(
  'HMGET', KEY.lane, 'reconcile_watermark', 'reconcile_swept', 'reconcile_full', 'reconcile_full_next'
)
for i = 1, 4 do stand[i] = tonumber(stand[i] or 0) end
return stand
