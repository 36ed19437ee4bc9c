#!lua flags=allow-oom
-- Hands out ready reports under a lease: the only gate on the way to Roark. A refused claim leaves every
-- report where it is and counts no attempt.
--
-- Of each eight slots five go to fresh reports, two to retries, one to replays; what a queue cannot use goes
-- to the others, fresh first. So neither a storm of live calls nor a replay of thousands starves the rest.
--
-- Fresh reports go oldest first, until the oldest is half a minute late: then there is a backlog, and seven of eight
-- go youngest first, so that today's calls do not queue behind an outage's.
--
-- needs _flow.lua
-- needs _route.lua
--
-- ARGV  1 now   2 reports wanted, at most 1000 are given   3 lease (ms)
--       4 listen (ms): how long this caller will ask again by itself if it gets less than it wanted; 0: it is
--       about to leave, wake somebody for what comes next
--       5 largest sum of packed bytes wanted; the first report may be larger than that   6 the lane's rules
--       7 the way in that the caller is set to: `vapi` or `call`
--       8 in a partition, whose lane is elsewhere: `probe` for one report that is to be a probe, or how many fresh ones,
--       retries and replays in place of the shares above (see splitting.py); otherwise left out
-- Returns { lane, wait, report … }: lane is open, held, probing, breaker-open, half-open or throttled; wait is
-- ms until asking again makes sense, 0 for now; a report is
-- { call id, token, attempts, age (ms), revision, priority, packed, late (ms): how long it has been due, way in }.

local PERISHABLE_WITHIN = 300000
local LATE_MS, OLDEST_EACH = 30000, 8
-- Lua hands a command some 8000 arguments at most, and what a script did before it fails stays done: reports that
-- were popped and could not be written back would be nowhere.
local MOST = 1000

local asked = math.min(tonumber(ARGV[2]), MOST)
local lease = tonumber(ARGV[3])
local listen = tonumber(ARGV[4])
local most_bytes = tonumber(ARGV[5])
local rules = flow_rules(ARGV[6])

open_lane()
local wanted, state, wait, level_holds_back = gate(rules, asked)
local answer = { state, wait }

local function shares_of_eight()
  local turn = lane.turn or 0
  local cycle = { 'fresh', 'retry', 'fresh', 'fresh', 'replay', 'fresh', 'retry', 'fresh' }
  local share = { fresh = 0, retry = 0, replay = 0 }
  for i = 1, wanted do
    local queue = cycle[(turn + i - 1) % 8 + 1]
    share[queue] = share[queue] + 1
  end
  return share, 0
end

-- What is asked for by kind, less what was taken ahead of its queue; and how many of the wanted are of no kind yet.
local function shares_as_told(told)
  local share, rest, numbers = {}, wanted, {}
  for number in string.gmatch(told, '%d+') do numbers[#numbers + 1] = tonumber(number) end
  for i = #QUEUES, 1, -1 do
    share[QUEUES[i]] = math.min(numbers[i], rest)
    rest = rest - share[QUEUES[i]]
  end
  return share, rest
end

local function slots()
  local share, short
  if ARGV[8] then share, short = shares_as_told(ARGV[8]) else share, short = shares_of_eight() end
  local waiting = {}
  for queue, n in pairs(share) do
    waiting[queue] = redis.call('ZCARD', KEY[queue])
    if waiting[queue] < n then
      short = short + n - waiting[queue]
      share[queue] = waiting[queue]
    end
  end
  for _, queue in ipairs(QUEUES) do
    local more = math.min(short, waiting[queue] - share[queue])
    share[queue] = share[queue] + more
    short = short - more
  end
  return share
end

local ids, scores, from = {}, {}, {}

local function take(id, score, queue)
  ids[#ids + 1] = id
  scores[#ids] = score
  from[#ids] = queue
end

-- Ahead of their queues, in up to half of the slots: reports whose audio links end soon. Those that are about
-- to end this very moment are not worth it.
local function take_perishable()
  local soon = redis.call(
    'ZRANGEBYSCORE', KEY.perishable, now + 5000, now + PERISHABLE_WITHIN, 'LIMIT', 0, math.ceil(wanted / 2)
  )
  for _, id in ipairs(soon) do
    local queue = read(id).priority
    local score = redis.call('ZSCORE', QUEUE[queue], id)
    redis.call('ZREM', QUEUE[queue], id)
    take(id, score, QUEUE[queue])
  end
  wanted = wanted - #soon
end

-- Both commands by name: permissions are derived from the names that stand in the scripts.
local function take_from(queue, number, is_young)
  if number < 1 then return end
  local popped = is_young and redis.call('ZPOPMAX', KEY[queue], number) or redis.call('ZPOPMIN', KEY[queue], number)
  for i = 1, #popped, 2 do take(popped[i], popped[i + 1], KEY[queue]) end
end

-- How many of so many fresh reports are taken from the young end of the queue: none, unless the old end is late.
local function youngest_of(number)
  if number < 1 then return 0 end
  local head = redis.call('ZRANGE', KEY.fresh, 0, 0, 'WITHSCORES')
  if not head[2] or now - tonumber(head[2]) < LATE_MS then return 0 end
  local turn = (lane.late_turn or 0) + number
  lane.late_turn = turn % OLDEST_EACH
  return number - math.floor(turn / OLDEST_EACH)
end

-- A probe of a held lane is to be another report each time.
local function take_probe()
  local found = probe_of_all()
  if not found then return end
  redis.call('ZREM', KEY[found.queue], found.id)
  take(found.id, found.score, KEY[found.queue])
  lane.stale = found.last >= 0 and 1 or nil
end

if state == LANE.probing or ARGV[8] == 'probe' then
  take_probe()
elseif wanted > 0 then
  take_perishable()
  local share = slots()
  local oldest = share.fresh - youngest_of(share.fresh)
  take_from('fresh', share.fresh - oldest, true)
  take_from('fresh', oldest)
  take_from('retry', share.retry)
  take_from('replay', share.replay)
end

-- How many of the ids are handed out: as many as fit, and the first one always. Lengths are asked for first: to read
-- payloads only to leave them would keep everybody waiting, for half a second where reports have 20 MB.
local function fitting()
  local bytes, given = 0, 0
  for i, id in ipairs(ids) do
    local length = redis.call('HSTRLEN', KEY.payloads, id)
    bytes = bytes + length
    if given > 0 and bytes > most_bytes then return i - 1 end
    if length > 0 then given = given + 1 end
  end
  return #ids
end

local function put_back(first)
  for i = first, #ids do
    redis.call('ZADD', from[i], scores[i], ids[i])
    ids[i] = nil
  end
end

if #ids > 0 then
  put_back(fitting() + 1)
  local token = redis.call('HINCRBY', KEY.counters, 'token', 1)
  local records = redis.call('HMGET', KEY.records, unpack(ids))
  local payloads = redis.call('HMGET', KEY.payloads, unpack(ids))
  local written, leased, perishing = {}, {}, {}
  local wanted_route = lane.route or ARGV[7]
  local any_noted = redis.call('EXISTS', KEY.routes) == 1
  local marks = any_noted and redis.call('HMGET', KEY.routes, unpack(ids)) or {}
  for i, id in ipairs(ids) do
    local packed = payloads[i]
    local record = parse(records[i])
    if not packed then
      -- Should never happen; if it does, it must not stand in the way of all others.
      redis.call('ZADD', from[i], scores[i], id)
      record.note = 'payload_lost'
      move(id, record, 'lose', now)
      tell(id, 'lost')
    else
      local route = route_of(record, marks[i], wanted_route)
      note_route(id, route, marks[i])
      record.state = LEGAL.claim[record.state]
      record.since = now
      record.token = token
      written[#written + 1] = id
      written[#written + 1] = format(record)
      leased[#leased + 1] = now + lease
      leased[#leased + 1] = id
      if record.expires > 0 then perishing[#perishing + 1] = id end
      answer[#answer + 1] = {
        id, token, record.attempts, now - record.accepted, tonumber(record.revision), record.priority, packed,
        math.max(0, now - tonumber(scores[i])), route,
      }
    end
  end
  if #written > 0 then
    redis.call('HSET', KEY.records, unpack(written))
    redis.call('ZADD', KEY.uploading, unpack(leased))
    if #perishing > 0 then redis.call('ZREM', KEY.perishable, unpack(perishing)) end
    lane.last_claim = now
    lane.lease = lease
    lane.turn = ((lane.turn or 0) + #answer - 2) % 8
    started(rules, state, #answer - 2, written[1] .. ' ' .. token)
  end
end

if level_holds_back and ready_count() > 0 then press() end

-- A caller who listens spares the producers their wake-ups. The promise is renewed now and then, not at each
-- question: with fsync on every write, a write costs more than the question.
if listen == 0 then
  lane.listening_until = nil
elseif state == LANE.open and #answer - 2 < asked and (lane.listening_until or 0) < now + listen / 2 then
  lane.listening_until = now + listen
end
close_lane()
return answer
