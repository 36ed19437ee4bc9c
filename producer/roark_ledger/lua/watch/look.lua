#!lua flags=no-writes,allow-oom
-- Everything that the ledger knows of some calls, as many of them as one script may read: at least one.
--
-- ARGV  1 now   then the call ids
-- Returns { now, call … } for the first of these ids, at most as many as lie in MOST_BYTES. A call is
--         { record or '', erased (1 or 0), score in its place, history, packed or '', beside (1 or 0),
--           revision (1 or 0), original or '', since when it is unconfirmed (ms), 0 where it is not,
--           its way in as _route.lua notes it or '', when it is looked up at Roark (ms), 0 where it is not }.

local MOST_BYTES = 500000

-- Asked before anything is read: one report may have 25 MB, and it is to be the only one then.
local function size_of(id)
  return redis.call('HSTRLEN', KEY.payloads, id) + redis.call('HSTRLEN', KEY.histories, id)
    + redis.call('HSTRLEN', KEY.originals, id)
end

local function look(id)
  local text = redis.call('HGET', KEY.records, id)
  local stands = text and place(parse(text))
  local score = stands and redis.call('ZSCORE', stands, id) or 0
  return {
    text or '', is_erased(id, true) and 1 or 0, tostring(score),
    redis.call('HGET', KEY.histories, id) or '', redis.call('HGET', KEY.payloads, id) or '',
    redis.call('HEXISTS', KEY.besides, id), redis.call('HEXISTS', KEY.revisions, id),
    redis.call('HGET', KEY.originals, id) or '', tostring(redis.call('ZSCORE', KEY.unconfirmed, id) or 0),
    redis.call('HGET', KEY.routes, id) or '', tostring(redis.call('ZSCORE', KEY.receipts, id) or 0),
  }
end

local found, bytes = { now }, 0
for i = 2, #ARGV do
  bytes = bytes + size_of(ARGV[i])
  if i > 2 and bytes > MOST_BYTES then break end
  found[i] = look(ARGV[i])
end
return found
