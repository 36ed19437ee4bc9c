#!lua flags=allow-oom
-- Mends what `verify` found, where nothing has to be guessed: the record says where a call belongs.
--
--   nowhere, also   the call stands in the record's place, and in no other
--   original        it is removed: the report that was made of it has been delivered
--   also:selected, also:sent   the replay job does without the call, or takes note of how it ended
--   no-payload      the report can never be uploaded: it becomes a dead letter that says so, or, unconfirmed, is a
--                   delivered one like any other
--   no-record       a call without a record is taken out of its place; a payload that is left is kept. One that was
--                   delivered counts as forgotten
--
-- ARGV  1 now   then the call ids
-- Returns for each id `mended`, or `sound` where nothing was wrong.

local results = {}

local ENDED = { delivered = 'delivered', dead = 'failed', discarded = 'failed', unknown = 'erased' }

local function mend_in_job(id, record)
  local found = record.state ~= 'dead' and leave_selection(id, 'mend')
  if ENDED[record.state] and redis.call('ZSCORE', KEY.replay_sent, id) then
    replay_ended(id, ENDED[record.state], record.note)
    found = true
  end
  return found
end

local function mend(id)
  local record = read(id)
  local named = record.state ~= 'unknown' and place(record) or nil
  local result = 'sound'
  if record.state == 'delivered' and redis.call('ZSCORE', KEY.unconfirmed, id) then
    named = KEY.unconfirmed
  end
  for _, name in ipairs(PLACES) do
    if KEY[name] ~= named and redis.call('ZREM', KEY[name], id) == 1 then result = 'mended' end
  end
  if mend_in_job(id, record) then result = 'mended' end
  if named == KEY.unconfirmed then
    local lost = redis.call('HEXISTS', KEY.payloads, id) == 0 and confirm(id, record, 'dropped', '{}')
    return lost and 'mended' or result
  end
  if record.state == 'unknown' then
    local listed = redis.call('LREM', KEY.delivered, 0, id)
    count('forgotten', listed)
    if listed > 0 then result = 'mended' end
  end
  if not named then
    local left_over = redis.call('HEXISTS', KEY.payloads, id) == 0 and redis.call('HDEL', KEY.originals, id) == 1
    return left_over and 'mended' or result
  end
  if not redis.call('ZSCORE', named, id) then
    redis.call('ZADD', named, now, id)
    result = 'mended'
  end
  local settled = record.state == 'dead' or record.state == 'discarded'
  if redis.call('HEXISTS', KEY.payloads, id) == 0 and not settled then
    redis.call('ZREM', named, id)
    record.state = 'dead'
    record.since = now
    record.token = 0
    record.note = 'payload_lost'
    redis.call('ZADD', KEY.dead, now, id)
    replay_ended(id, 'failed', record.note)
    write(id, record)
    result = 'mended'
  end
  if result == 'mended' then tell(id, 'mended') end
  return result
end

local mended = 0
for i = 2, #ARGV do
  results[#results + 1] = mend(ARGV[i])
  if results[#results] == 'mended' then mended = mended + 1 end
end
count('mended', mended)
return results
