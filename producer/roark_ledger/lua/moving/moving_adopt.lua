#!lua
-- Takes over calls from the ledger of one partition that this one is a part of now: each exactly as it was there, and only
-- if it is not known here. What is known here was taken over before, and may have changed since; what was erased stays so.
--
-- ARGV  1 now   then for each call what moving_export.lua says of it:
--       id, record, erased, score in its place, payload, history, beside, revision, original, route; then since when it is
--       unconfirmed, and its scores in perishable, fading, silent, receipts, missing and removed
-- Returns for each `adopted`, `known`, `erased` or `noted` (it has no record); `over` for all where nothing is taken over
-- any more, after moving_close.lua.

local EACH = 17
local HASHES = { 'payloads', 'histories', 'besides', 'revisions', 'originals', 'routes' }
local SCORES = { 'unconfirmed', 'perishable', 'fading', 'silent', 'receipts', 'missing', 'removed' }
local FIRST_HASH, FIRST_SCORE = 4, 10
local adopting = redis.call('HGET', KEY.promises, 'adopting')
local results, adopted, delivered = {}, 0, 0

-- The older ones come later, and stand in front: the list is in the order of deliveries.
local function stand(id, record, at, is_unconfirmed)
  if record.state ~= 'delivered' then
    -- One without a place is broken; the audit finds it here as it would have there.
    if ARGV[at + 3] ~= '' then redis.call('ZADD', place(record), ARGV[at + 3], id) end
    return
  end
  delivered = delivered + 1
  if not is_unconfirmed then redis.call('LPUSH', KEY.delivered, id) end
end

local function adopt_row(at)
  local id, text = ARGV[at], ARGV[at + 1]
  if is_erased(id) then return 'erased' end
  if ARGV[at + 2] == '1' then
    redis.call('SADD', KEY.erased, tombstone(id))
    return 'erased'
  end
  if redis.call('HEXISTS', KEY.records, id) == 1 then return 'known' end
  for i, name in ipairs(SCORES) do
    local score = ARGV[at + FIRST_SCORE + i - 1]
    if score ~= '' then redis.call('ZADD', KEY[name], score, id) end
  end
  if text == '' then return 'noted' end
  for i, name in ipairs(HASHES) do
    local value = ARGV[at + FIRST_HASH + i - 1]
    if value ~= '' then redis.call('HSET', KEY[name], id, value) end
  end
  stand(id, parse(text), at, ARGV[at + FIRST_SCORE] ~= '')
  redis.call('HSET', KEY.records, id, text)
  adopted = adopted + 1
  return 'adopted'
end

for at = 2, #ARGV, EACH do results[#results + 1] = adopting and adopt_row(at) or 'over' end
-- In any case, also of what is known: whoever writes nothing waits for neither disk nor replica, and what somebody else
-- took over a moment ago may be lost with this node after it was dropped.
if adopting then redis.call('HSET', KEY.promises, 'adopting', adopting) end
count('adopted', adopted)
count('delivered', delivered)
return results
