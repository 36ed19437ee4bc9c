#!lua flags=allow-oom
-- Removes calls that their partitions have adopted, durably, from what is left of the ledger of one partition. Of a call
-- without a record only its places are left behind, as mend.lua does it.
--
-- ARGV  1 now   then the call ids
-- Returns how many were there.

local HASHES = { 'records', 'payloads', 'histories', 'besides', 'revisions', 'originals', 'routes' }
local SCORES = { 'perishable', 'fading', 'silent', 'receipts', 'missing', 'removed' }
local MOST_TAIL = 1000
local ids, known, unknown = {}, {}, {}
for i = 2, #ARGV do ids[#ids + 1] = ARGV[i] end

for i, text in ipairs(redis.call('HMGET', KEY.records, unpack(ids))) do
  if text then
    local record = parse(text)
    known[#known + 1] = ids[i]
    if record.state == 'delivered' then no_longer_delivered(ids[i]) else redis.call('ZREM', place(record), ids[i]) end
  else
    unknown[#unknown + 1] = ids[i]
  end
end
for _, name in ipairs(SCORES) do redis.call('ZREM', KEY[name], unpack(ids)) end
if #known > 0 then
  for _, name in ipairs(HASHES) do redis.call('HDEL', KEY[name], unpack(known)) end
end
if #unknown > 0 then
  for _, name in ipairs(PLACES) do redis.call('ZREM', KEY[name], unpack(unknown)) end
end
for _ = 1, MOST_TAIL do
  local last = redis.call('LINDEX', KEY.delivered, -1)
  if not last or redis.call('HEXISTS', KEY.records, last) == 1 then break end
  redis.call('RPOP', KEY.delivered)
end
count('moved', #known)
redis.call('HSET', KEY.promises, 'moving_at', now)
return #known
