#!lua flags=allow-oom
-- Puts the report as it was sent back in the place of the one that a person edited.
--
-- ARGV  1 now   2 call id   3 SHA-1 of the packed report that is there   4 end of the original's audio links (ms) or 0
--       5 who (JSON)
-- Returns `unedited`, `unchanged` where nobody edited it, `changed` where another report lies there by now, or the state
-- that the call is in instead, or `unknown`.

local id = ARGV[2]
local record = read(id)
if not LEGAL.edit[record.state] then return record.state end
local original = redis.call('HGET', KEY.originals, id)
if not original then return 'unchanged' end
if redis.sha1hex(redis.call('HGET', KEY.payloads, id) or '') ~= ARGV[3] then return 'changed' end

redis.call('HSET', KEY.payloads, id, original)
redis.call('HDEL', KEY.originals, id)
redis.call('ZREM', KEY.silent, id)
record.expires = tonumber(ARGV[4])
write(id, record)
tell(id, 'unedited', ARGV[5])
log_deed('edit', ARGV[5], 1, { id })
return 'unedited'
