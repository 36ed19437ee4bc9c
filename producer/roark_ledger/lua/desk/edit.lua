#!lua
-- Puts a report that a person edited in the place of a dead letter, and keeps the one that was sent beside it until the
-- edited one is delivered, replaced or erased. The fingerprint stays that of the sender's report: when Vapi sends it
-- again it is a duplicate, and undoes no edit.
--
-- ARGV  1 now   2 call id   3 SHA-1 of the packed report that was edited   4 end of its audio links (ms) or 0
--       5 who and what (JSON)   6 packed report
-- Returns `edited`, `changed` where another report lies there by now, or the state that the call is in instead, or
-- `unknown`. An edit that brings back what was sent leaves nothing beside it.

local id, packed = ARGV[2], ARGV[6]
local record = read(id)
if not LEGAL.edit[record.state] then return record.state end
local there = redis.call('HGET', KEY.payloads, id)
if redis.sha1hex(there or '') ~= ARGV[3] then return 'changed' end

if there then redis.call('HSETNX', KEY.originals, id, there) end
if redis.call('HGET', KEY.originals, id) == packed then redis.call('HDEL', KEY.originals, id) end
redis.call('HSET', KEY.payloads, id, packed)
redis.call('ZREM', KEY.silent, id)
record.expires = tonumber(ARGV[4])
write(id, record)
tell(id, 'edited', ARGV[5])
log_deed('edit', ARGV[5], 1, { id })
count('edited', 1)
return 'edited'
