#!lua
-- Stores reports that were made from Vapi's list of calls, and only those of calls that the ledger does not know. They
-- stand in the replay queue, which takes a share of the claims while live reports wait, and never go ahead of it for
-- their audio: who can list calls can get fresh links, too.
--
-- ARGV  1 now   2 history line (JSON): where they are from
--       then for each report: call id, fingerprint, end of its audio links (ms) or 0, packed report
-- Returns for each `accepted`, `known`, `erased`, or `expired`.

if redis.call('HGET', KEY.lane, 'memory_short') == '1' then
  return redis.error_reply('OOM memory runs short: what is left is for deliveries')
end

local results = {}

local function backfill(id, fingerprint, expires, packed)
  if read(id).state ~= 'unknown' then return 'known' end
  if is_erased(id) then return 'erased' end
  if redis.call('ZSCORE', KEY.removed, id) then return 'expired' end
  local record = {
    state = LEGAL.accept.unknown, fingerprint = fingerprint, accepted = now, since = now, attempts = 0, deaths = 0,
    token = 0, priority = 'p', revision = 0, note = '-', expires = tonumber(expires),
  }
  redis.call('HSET', KEY.payloads, id, packed)
  redis.call('HSET', KEY.records, id, format(record))
  redis.call('ZADD', KEY.replay, now, id)
  redis.call('ZREM', KEY.missing, id)
  tell(id, 'backfilled', ARGV[2])
  count('accepted', 1)
  count('backfilled', 1)
  return 'accepted'
end

for i = 3, #ARGV, 4 do
  results[#results + 1] = backfill(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
end
redis.call('HSET', KEY.lane, 'reconcile_missing', redis.call('ZCARD', KEY.missing))
return results
