-- What every script of the ledger starts with: the clock, the record, the move.
--
-- The loader puts tables in front of this text, so that each is written only once, in Python:
--   KEY    name -> key, from keys.py: KEY.records, KEY.payloads, …
--   LEGAL  move -> state -> state, from lifecycle.py: LEGAL.claim.ready == 'uploading'
--   LETTER, QUEUE  state -> letter, priority -> key of the ready queue, from places.py; and others where they are needed
--
-- ARGV[1] is the time in ms for tests, or 0: then Redis's own clock counts, so that a jumping clock on a
-- worker changes nothing.
--
-- A record is one string in the hash KEY.records, fields parted by a blank:
--   1 state        one letter, see LETTER; an expired report's record goes with the same script
--   2 fingerprint  of the report that is to be uploaded, or was
--   3 accepted     ms
--   4 since        ms, relative to `accepted`: when the state began
--   5 attempts     counted tries of this report, 0 again after replay and replace
--   6 deaths       leases that ran out in a row
--   7 token        of the lease while uploading, else 0
--   8 priority     f(resh), r(etry) or p (replay): which ready queue it belongs to
--   9 revision     1: Roark already has another report of this call, so do not let it skip this one
--  10 note         delivered: Roark's id of the call; waiting, dead: the reason's code; else -
--  11 expires      ms: when the report's audio links end; left out when there are none, and once delivered, unless they
--                  ended before that
-- Of most delivered reports nothing is worth telling of 6 to 9; these are left out then, because millions of such
-- records may lie there: `v fingerprint accepted since attempts note`.

local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local STATE = {}
for state, letter in pairs(LETTER) do STATE[letter] = state end

local DELIVERED = string.byte(LETTER.delivered)
-- Looking for blanks takes half as long as looking for all that is none of the many kinds of space.
local WORDS = '^' .. string.rep('([^ ]+) ', 9) .. '([^ ]+) ?([^ ]*)$'

local function parse(text)
  if not text then return { state = 'unknown' } end
  if string.byte(text) == DELIVERED then text = string.gsub(text, '^(%S+ %S+ %S+ %S+ %S+) (%S+)$', '%1 0 0 f 0 %2') end
  local state, fingerprint, accepted, since, attempts, deaths, token, priority, revision, note, expires =
    string.match(text, WORDS)
  accepted = tonumber(accepted)
  return {
    state = STATE[state], fingerprint = fingerprint, accepted = accepted, since = accepted + tonumber(since),
    attempts = tonumber(attempts), deaths = tonumber(deaths), token = tonumber(token), priority = priority,
    revision = revision, note = note, expires = expires ~= '' and tonumber(expires) or 0,
  }
end

-- The note comes from outside. A blank in it, or none at all, would make the record unreadable for good.
local function word(text)
  if text == '' then return '-' end
  if not string.find(text, '%s') then return text end
  return (string.gsub(text, '%s', '_'))
end

-- Whether its audio ended while it was ours to deliver, and before it was.
local function is_silent(record)
  local last = record.state == 'delivered' and record.since or now
  return record.expires > record.accepted and record.expires <= last
end

local function is_plain_delivery(record)
  if record.state ~= 'delivered' or is_silent(record) then return false end
  return record.deaths == 0 and record.priority == 'f' and tonumber(record.revision) == 0
end

-- %d prints in a fifth of the time that Lua's own conversion of numbers takes.
local function format(record)
  if is_plain_delivery(record) then
    return string.format(
      '%s %s %d %d %d %s', LETTER.delivered, record.fingerprint, record.accepted, record.since - record.accepted,
      record.attempts, word(record.note)
    )
  end
  local text = string.format(
    '%s %s %d %d %d %d %d %s %s %s', LETTER[record.state], record.fingerprint, record.accepted,
    record.since - record.accepted, record.attempts, record.deaths, record.token, record.priority, record.revision,
    word(record.note)
  )
  if record.expires > 0 and (record.state ~= 'delivered' or is_silent(record)) then return text .. ' ' .. record.expires end
  return text
end

local function read(id)
  return parse(redis.call('HGET', KEY.records, id))
end

local function count(name, by)
  if by ~= 0 then redis.call('HINCRBY', KEY.counters, name, by) end
end

local OVER = { delivered = true, discarded = true, expired = true }

local function fall_silent(id, record)
  count('audio_expired', redis.call('ZADD', KEY.silent, record.expires, id))
end

local function write(id, record)
  redis.call('HSET', KEY.records, id, format(record))
  if not OVER[record.state] and is_silent(record) then fall_silent(id, record) end
  -- Dead letters whose audio links have not ended: somebody may want to know before they do.
  if record.state ~= 'dead' then return end
  if record.expires > now then
    redis.call('ZADD', KEY.fading, record.expires, id)
  else
    redis.call('ZREM', KEY.fading, id)
  end
end

-- The sorted set in which a report of this state stands. A delivered one stands in none: it is on the list of
-- the delivered or among the unconfirmed, and part of a counter.
local function place(record)
  if record.state == 'ready' then return QUEUE[record.priority] end
  if record.state == 'delivered' then return nil end
  return KEY[record.state]
end

-- Takes a call off the list of the delivered. It is looked for from the end: what is revised was mostly delivered
-- just now.
local function no_longer_delivered(id)
  redis.call('ZREM', KEY.receipts, id)
  if redis.call('ZREM', KEY.unconfirmed, id) == 0 then redis.call('LREM', KEY.delivered, -1, id) end
  count('delivered', -1)
end

-- Takes a report from its place to the next one. `score` orders it there: ready since, end of lease, due
-- time, or time of death. `record.cause` is the history line of an attempt that ends the report, where there is one,
-- for the books of replay jobs. Returns false, and changes nothing, where lifecycle.py does not allow the move.
local function move(id, record, name, score, priority)
  local target = LEGAL[name][record.state]
  if not target then return false end
  local from = place(record)
  if from then redis.call('ZREM', from, id) end
  if record.state == 'delivered' then no_longer_delivered(id) end
  if record.state == 'dead' then
    leave_selection(id, name)
    if record.expires > 0 then redis.call('ZREM', KEY.fading, id) end
  end
  if record.state == 'ready' and record.expires > 0 then redis.call('ZREM', KEY.perishable, id) end
  if record.expires > 0 and OVER[target] then redis.call('ZREM', KEY.silent, id) end
  record.state = target
  record.since = now
  record.priority = priority or record.priority
  if target ~= 'uploading' then record.token = 0 end
  local to = place(record)
  if to then redis.call('ZADD', to, score, id) end
  if target == 'ready' and record.expires > now then redis.call('ZADD', KEY.perishable, record.expires, id) end
  if target == 'delivered' then
    count('delivered', 1)
    redis.call('RPUSH', KEY.delivered, id)
    replay_ended(id, 'delivered', '', record.cause)
  elseif target == 'dead' then
    redis.call('HDEL', KEY.refused, id)
    replay_ended(id, 'failed', word(record.note), record.cause)
  end
  write(id, record)
  return true
end

-- Appends `time event detail` to the history of a report; detail is JSON.
local function tell(id, event, detail)
  local line = now .. ' ' .. event .. ' ' .. (detail or '{}') .. '\n'
  redis.call('HSET', KEY.histories, id, (redis.call('HGET', KEY.histories, id) or '') .. line)
end

-- Ends it that a delivered call is unconfirmed: from here on it is like any other, and its payload goes. Returns false,
-- and changes nothing, where it is not unconfirmed.
local function confirm(id, record, event, detail, keep)
  if not LEGAL.confirm[record.state] or redis.call('ZREM', KEY.unconfirmed, id) == 0 then return false end
  redis.call('RPUSH', KEY.delivered, id)
  if not keep then
    redis.call('HDEL', KEY.payloads, id)
    redis.call('HDEL', KEY.originals, id)
  end
  tell(id, event, detail)
  return true
end

-- Puts a newer report of the same call in the older one's place; its tries start anew.
local function adopt(id, record, fingerprint, expires, packed)
  -- It fades by the older one's links, of which `record` knows nothing any more below.
  if record.state == 'dead' then redis.call('ZREM', KEY.fading, id) end
  if record.expires > 0 then redis.call('ZREM', KEY.silent, id) end
  record.fingerprint = fingerprint
  record.expires = tonumber(expires)
  if record.state == 'ready' then
    redis.call('ZREM', KEY.perishable, id)
    if record.expires > now then redis.call('ZADD', KEY.perishable, record.expires, id) end
  end
  record.attempts = 0
  record.deaths = 0
  record.note = '-'
  redis.call('HSET', KEY.payloads, id, packed)
  redis.call('HDEL', KEY.originals, id)
  redis.call('HDEL', KEY.refused, id)
end

-- The webhook's own report of a call that was backfilled; the two never have the same fingerprint.
local function is_late_original(id)
  local history = redis.call('HGET', KEY.histories, id) or ''
  return string.find(history, ' backfilled ', 1, true) and not string.find(history, ' replaced ', 1, true)
end

-- When an attempt is over: the newer report that came meanwhile takes its place. A delivered or dead one
-- becomes ready with it, a waiting or ready one stays where it is.
local function take_beside(id, record)
  local beside = redis.call('HGET', KEY.besides, id)
  if not beside then return end
  redis.call('HDEL', KEY.besides, id)
  local fingerprint, expires, packed = string.match(beside, '^(%S+) (%S+) (.*)$')
  local name = 'replace'
  if record.state == 'delivered' and is_late_original(id) then
    -- As if it had come a moment later. Whoever has revisions uploaded finds this one kept all the same.
    count('revisions', 1)
    count('late_originals', 1)
    redis.call('HSET', KEY.revisions, id, beside)
    tell(id, 'revision')
    return
  end
  if record.state == 'delivered' then
    name = 'revise'
    record.revision = 1
    count('revisions', 1)
  else
    count('replaced', 1)
  end
  adopt(id, record, fingerprint, expires, packed)
  local stays = record.state == 'ready' or record.state == 'waiting'
  if stays then
    write(id, record)
  else
    move(id, record, name, now, 'f')
  end
  tell(id, name .. 'd')
end

-- True while this claim, and no later one, holds the report.
local function holds(record, token)
  return record.state == 'uploading' and record.token == tonumber(token)
end

-- Removes what lies under a call's id, its place aside; returns the names of what was there.
local BELONGINGS = { 'records', 'payloads', 'histories', 'besides', 'revisions', 'originals', 'refused', 'routes' }
local function drop(id)
  local gone = {}
  redis.call('ZREM', KEY.receipts, id)
  for _, name in ipairs(BELONGINGS) do
    if redis.call('HDEL', KEY[name], id) == 1 then gone[#gone + 1] = name end
  end
  return gone
end

-- Tombstones of erased calls: HMAC-SHA-1 of the id (see tombstones.py). Ledgers from before that hold SHA-1 of a salt
-- and the id; such a one is written anew when its call is seen.
-- Small letters only, as redis.sha1hex writes them. A gsub would take three times as long, and accept does this for each
-- report once anything was erased.
local function unhex(text)
  local digits, bytes = { string.byte(text, 1, #text) }, {}
  for i = 1, #digits, 2 do bytes[#bytes + 1] = (digits[i] - 48) % 39 * 16 + (digits[i + 1] - 48) % 39 end
  return string.char(unpack(bytes))
end

local erase_keys
local function erase_key()
  if not erase_keys then
    local found = redis.call('HMGET', KEY.counters, 'erase_inner', 'erase_outer', 'salt')
    erase_keys = { inner = found[1], outer = found[2], old_salt = found[3] }
  end
  return erase_keys
end

local function make_erase_key(inner, outer)
  if redis.call('HSETNX', KEY.counters, 'erase_inner', inner) == 1 then
    redis.call('HSET', KEY.counters, 'erase_outer', outer)
  end
  erase_keys = nil
end

local function tombstone(id)
  local key = erase_key()
  return redis.sha1hex(key.outer .. unhex(redis.sha1hex(key.inner .. id)))
end

-- Scripts that write nothing only look, and leave an old tombstone as it is.
local function is_erased(id, only_look)
  local key = erase_key()
  if key.inner and redis.call('SISMEMBER', KEY.erased, tombstone(id)) == 1 then return true end
  if not key.old_salt then return false end
  local old = redis.sha1hex(key.old_salt .. id)
  if redis.call('SISMEMBER', KEY.erased, old) == 0 then return false end
  if key.inner and not only_look then
    redis.call('SREM', KEY.erased, old)
    redis.call('SADD', KEY.erased, tombstone(id))
  end
  return true
end

-- Writes a line into the operators' logbook, in the script that does what it tells: nobody acts unseen. `who` is JSON
-- of logbook.py, `calls` are ids. A line's id is its time, or later where the clock was set back.
local function log_deed(action, who, number, calls)
  local line = { 'at', now, 'action', action, 'who', who, 'count', number, 'calls', table.concat(calls, ' ') }
  local id = redis.pcall('XADD', KEY.logbook, string.format('%.0f-*', now), unpack(line))
  if type(id) == 'string' then return id end
  return redis.call('XADD', KEY.logbook, '*', unpack(line))
end

local function ready_count()
  return redis.call('ZCARD', KEY.fresh) + redis.call('ZCARD', KEY.retry) + redis.call('ZCARD', KEY.replay)
end
