#!lua
-- Stores reports and puts them on the fresh queue, or says that they are known: all or nothing per report,
-- so there is no moment at which a report is stored and not queued. Refused as a whole (-OOM) when the
-- memory is full.
--
-- ARGV  1 now   2 revisions: `record` or `upload`   3 reports per wake-up
--       then for each report: call id, fingerprint, packed report
-- Returns { wake, result … }: wake is 1 when a wake-up should be published; a result is accepted, duplicate,
-- replaced, revision or erased.

local per_wakeup = tonumber(ARGV[3])
local before = ready_count()
local any_erased = redis.call('SCARD', KEY.erased) > 0
local salt = any_erased and redis.call('HGET', KEY.counters, 'salt') or ''
local tally = { accepted = 0, duplicates = 0, replaced = 0, revisions = 0, refused_erased = 0 }
local results = { 0 }

local function same_or_newer(kept, fingerprint)
  return kept and string.match(kept, '^(%S+) ') == fingerprint
end

local function accept(id, fingerprint, packed)
  if any_erased and redis.call('SISMEMBER', KEY.erased, redis.sha1hex(salt .. id)) == 1 then
    tally.refused_erased = tally.refused_erased + 1
    return 'erased'
  end
  local record = read(id)
  if record.state == 'unknown' then
    redis.call('HSET', KEY.payloads, id, packed)
    move(id, {
      state = 'unknown', fingerprint = fingerprint, accepted = now, since = now, attempts = 0, deaths = 0,
      token = 0, priority = 'f', revision = 0, note = '-',
    }, 'accept', now)
    tally.accepted = tally.accepted + 1
    return 'accepted'
  end
  local known = record.fingerprint == fingerprint
  if record.state == 'uploading' then
    local beside = redis.call('HGET', KEY.besides, id)
    if beside then known = same_or_newer(beside, fingerprint) end
    if not known then
      redis.call('HSET', KEY.besides, id, fingerprint .. ' ' .. packed)
      return 'replaced'
    end
  elseif record.state == 'delivered' then
    known = known or same_or_newer(redis.call('HGET', KEY.revisions, id), fingerprint)
    if not known then
      tally.revisions = tally.revisions + 1
      if ARGV[2] == 'upload' then
        record.revision = 1
        adopt(id, record, fingerprint, packed)
        move(id, record, 'revise', now, 'f')
      else
        redis.call('HSET', KEY.revisions, id, fingerprint .. ' ' .. packed)
      end
      tell(id, 'revision')
      return 'revision'
    end
  elseif not known and LEGAL.replace[record.state] then
    adopt(id, record, fingerprint, packed)
    if record.state == 'dead' then
      move(id, record, 'replace', now, 'f')
    else
      write(id, record)
    end
    tell(id, 'replaced')
    tally.replaced = tally.replaced + 1
    return 'replaced'
  end
  tally.duplicates = tally.duplicates + 1
  return 'duplicate'
end

for i = 4, #ARGV, 3 do
  results[#results + 1] = accept(ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
for name, by in pairs(tally) do count(name, by) end

local total = ready_count()
if total > before then
  local listening = tonumber(redis.call('HGET', KEY.lane, 'listening_until') or 0) > now
  local first = before == 0 and not listening
  if first or math.floor(total / per_wakeup) > math.floor(before / per_wakeup) then results[1] = 1 end
end
return results
