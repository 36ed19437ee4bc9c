#!lua flags=allow-oom
-- Lays what somebody remembers of this ledger, outside of it, beside what is here; notes what is missing, and hands out
-- what is to be remembered from now on. A ledger that was emptied, exchanged or set back does not know it by itself.
--
-- KEY.promises holds
--   id            of this ledger, made once   made (ms)
--   mark KEEPER   `number accepted at`: what was handed out last to this keeper. A ledger that was set back holds an
--                 older one than he remembers, however many reports it has accepted since.
--   lost ID       `least most open seen found`: of the ledger ID so many reports at least, and at most, are not here
--                 that were at `seen` (ms); `open` of them were not delivered then. Noted at `found` (ms)
--   settled ID    ms: until then somebody accepted the loss (settle.lua)
--   unread WHO    JSON: what lies in a webhook's spool and cannot be handed in (note_unread.lua)
--   why WHO       why reports wait in a webhook's spool, in words (note_spool.lua)
--
-- ARGV  1 now   2 an id, for a ledger that has none   3 the keeper
--       what he remembers: 4 id, empty for nothing   5 accepted   6 open   7 number of his mark   8 when (ms)
--       then losses that nobody had settled then: id, text
-- Returns { id, accepted, open, number, now, id of a loss, text … }.

local KEEPERS_MOST, FORGOTTEN_MS = 500, 30 * 86400000

local id = redis.call('HGET', KEY.promises, 'id')
if not id then
  id = ARGV[2]
  redis.call('HSET', KEY.promises, 'id', id, 'made', now)
end
-- A partition has what it took over from a ledger of one, beside what it accepted itself.
local counted = redis.call('HMGET', KEY.counters, 'accepted', 'adopted')
local accepted = tonumber(counted[1] or 0) + tonumber(counted[2] or 0)
local open = ready_count() + redis.call('ZCARD', KEY.uploading) + redis.call('ZCARD', KEY.waiting)
  + redis.call('ZCARD', KEY.dead)

local function numbers(text)
  local found = {}
  for each in string.gmatch(text or '', '%d+') do found[#found + 1] = tonumber(each) end
  return found
end

local function lose(which, least, most, unsent, seen, found)
  if seen <= tonumber(redis.call('HGET', KEY.promises, 'settled ' .. which) or 0) then return end
  local known = numbers(redis.call('HGET', KEY.promises, 'lost ' .. which))
  redis.call(
    'HSET', KEY.promises, 'lost ' .. which,
    string.format(
      '%.0f %.0f %.0f %.0f %.0f', math.max(least, known[1] or 0), math.max(most, known[2] or 0),
      math.max(unsent, known[3] or 0), math.max(seen, known[4] or 0), known[5] or found
    )
  )
end

local keeper, remembered = 'mark ' .. ARGV[3], ARGV[4]
local was_accepted, was_open, was_number, was_seen =
  tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local mark = numbers(redis.call('HGET', KEY.promises, keeper))
if remembered ~= '' and remembered ~= id then
  if was_accepted > 0 then lose(remembered, was_accepted, was_accepted, was_open, was_seen, now) end
elseif remembered == id then
  local least = math.max(0, was_accepted - accepted)
  local most = least
  if mark[1] and mark[1] < was_number then most = math.max(least, was_accepted - mark[2]) end
  if most > 0 then lose(id, least, most, math.min(most, was_open), was_seen, now) end
end
for i = 9, #ARGV, 2 do
  local least, most, unsent, seen, found = unpack(numbers(ARGV[i + 1]))
  lose(ARGV[i], least, most, unsent, seen, found)
end

if not mark[1] and redis.call('HLEN', KEY.promises) > KEEPERS_MOST then
  local all = redis.call('HGETALL', KEY.promises)
  for i = 1, #all, 2 do
    if string.find(all[i], '^mark ') and numbers(all[i + 1])[3] < now - FORGOTTEN_MS then
      redis.call('HDEL', KEY.promises, all[i])
    end
  end
end
local number = math.max(was_number, mark[1] or 0) + 1
redis.call('HSET', KEY.promises, keeper, string.format('%.0f %.0f %.0f', number, accepted, now))

local reply = { id, accepted, open, number, now }
local all = redis.call('HGETALL', KEY.promises)
for i = 1, #all, 2 do
  local which = string.match(all[i], '^lost (.+)$')
  if which then
    reply[#reply + 1] = which
    reply[#reply + 1] = all[i + 1]
  end
end
return reply
