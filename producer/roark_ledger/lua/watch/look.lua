#!lua flags=no-writes,allow-oom
-- Everything that the ledger knows of one call.
--
-- ARGV  1 now   2 call id
-- Returns { now, record or '', erased (1 or 0), score in its place, history, packed or '', beside or '',
--           revision or '', original or '', since when it is unconfirmed (ms), 0 where it is not }.

local id = ARGV[2]
local text = redis.call('HGET', KEY.records, id)
local record = parse(text)
local score = 0
if text and place(record) then score = redis.call('ZSCORE', place(record), id) or 0 end
return {
  now, text or '', is_erased(id, true) and 1 or 0, tostring(score),
  redis.call('HGET', KEY.histories, id) or '', redis.call('HGET', KEY.payloads, id) or '',
  redis.call('HGET', KEY.besides, id) or '', redis.call('HGET', KEY.revisions, id) or '',
  redis.call('HGET', KEY.originals, id) or '', tostring(redis.call('ZSCORE', KEY.unconfirmed, id) or 0),
}
