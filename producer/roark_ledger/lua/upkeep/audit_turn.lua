#!lua flags=allow-oom
-- Gives one worker at a time the turn to audit the ledger, every so often; its holder asks again to keep it.
--
-- ARGV  1 now   2 who asks   3 every (ms), from the end of the last audit
--       4 patience (ms): a holder who was not heard of for so long has died
-- Returns 1 when it is the caller's turn, else 0.

local seen = redis.call('HMGET', KEY.lane, 'audit_by', 'audit_heard', 'audit_at')
local by, heard, at = seen[1], tonumber(seen[2] or 0), tonumber(seen[3] or 0)

-- A time that lies ahead was written before the clock was set back.
local function is_past(time, ms) return time > now or now - time >= ms end

if by ~= ARGV[2] then
  if by and not is_past(heard, tonumber(ARGV[4])) then return 0 end
  if not is_past(at, tonumber(ARGV[3])) then return 0 end
end
redis.call('HSET', KEY.lane, 'audit_by', ARGV[2], 'audit_heard', now)
return 1
