#!lua flags=no-writes,allow-oom
-- Says of each call whether it is in exactly one place, the one that its record names, with a payload where
-- one is needed. Each call is looked at in one moment, so moving reports are never taken for broken ones.
--
-- ARGV  1 now   2 listed: 1 where these calls are on the list of the delivered   then the call ids
-- Returns for each id that is not in order { call id, state, fault … }; a fault is
--   nowhere      the record names a place in which the call does not stand
--   also:PLACE   the call stands in another place as well
--   also:unconfirmed   the call is among the unconfirmed and is not delivered
--   no-record    the call stands in a place, or on the list of the delivered, and has no record
--   original     what a person edited is gone, and what was sent is still kept beside it
--   also:selected, also:sent   a replay job is to send what is no dead letter, or waits for what has ended
--   no-payload   the report still has to be uploaded, or may be, and its payload is gone; or it is unconfirmed

local UNDER_WAY = { ready = true, uploading = true, waiting = true }
local broken = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local record = read(id)
  local named = record.state ~= 'unknown' and place(record) or nil
  if record.state == 'delivered' and redis.call('ZSCORE', KEY.unconfirmed, id) then named = KEY.unconfirmed end
  local faults = {}
  for _, name in ipairs(PLACES) do
    local key = KEY[name]
    local stands = redis.call('ZSCORE', key, id)
    if stands and key ~= named then
      faults[#faults + 1] = record.state == 'unknown' and 'no-record' or 'also:' .. name
    elseif not stands and key == named then
      faults[#faults + 1] = 'nowhere'
    end
  end
  if redis.call('ZSCORE', KEY.replay_selected, id) and record.state ~= 'dead' then
    faults[#faults + 1] = 'also:selected'
  end
  if redis.call('ZSCORE', KEY.replay_sent, id) and not UNDER_WAY[record.state] then
    faults[#faults + 1] = 'also:sent'
  end
  if ARGV[2] == '1' and record.state == 'unknown' then faults[#faults + 1] = 'no-record' end
  local told = record.note == 'payload_lost'
  if named and not told and redis.call('HEXISTS', KEY.payloads, id) == 0 then faults[#faults + 1] = 'no-payload' end
  if not named and redis.call('HEXISTS', KEY.originals, id) == 1 and redis.call('HEXISTS', KEY.payloads, id) == 0 then
    faults[#faults + 1] = 'original'
  end
  if #faults > 0 then
    table.sort(faults)
    broken[#broken + 1] = { id, record.state, unpack(faults) }
  end
end
return broken
