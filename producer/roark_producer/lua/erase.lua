#!lua flags=allow-oom
-- Removes everything that the ledger knows of a call and leaves a salted hash of its id, so that a late
-- report of it is refused.
--
-- ARGV  1 now   2 salt to use if the ledger has none yet   3 call id
-- Returns the state that the call was in, `unknown` for one never seen, `erased` for one erased before.

local id = ARGV[3]
redis.call('HSETNX', KEY.counters, 'salt', ARGV[2])
local tombstone = redis.sha1hex(redis.call('HGET', KEY.counters, 'salt') .. id)
local record = read(id)
if record.state ~= 'unknown' then
  local from = place(record)
  if from then redis.call('ZREM', from, id) else no_longer_delivered(id) end
  redis.call('ZREM', KEY.perishable, id)
  for _, key in ipairs({ KEY.records, KEY.payloads, KEY.histories, KEY.besides, KEY.revisions }) do
    redis.call('HDEL', key, id)
  end
  local probe = redis.call('HGET', KEY.lane, 'probe')
  if probe and probe == id .. ' ' .. record.token then redis.call('HDEL', KEY.lane, 'probe') end
  count('erased', 1)
end
local is_new = redis.call('SADD', KEY.erased, tombstone) == 1
if record.state == 'unknown' and not is_new then return 'erased' end
return record.state
