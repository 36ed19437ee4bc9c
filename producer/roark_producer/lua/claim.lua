#!lua flags=allow-oom
-- Hands out ready reports under a lease: the only gate on the way to Roark. A refused claim leaves every
-- report where it is and counts no attempt.
--
-- Of each eight slots five go to fresh reports, two to retries, one to replays; what a queue cannot use goes
-- to the others, fresh first. So neither a storm of live calls nor a replay of thousands starves the rest.
--
-- ARGV  1 now   2 reports wanted   3 lease (ms)   4 listen (ms): how long this caller will ask again by
--       itself if it gets less than it wanted; 0: it is about to leave, wake somebody for what comes next
--       5 largest sum of packed bytes wanted; the first report may be larger than that
-- Returns { lane, wait, report … }: lane is open, held or probing; wait is ms until asking again makes
-- sense, 0 for now; a report is { call id, token, attempts, age (ms), revision, priority, packed }.

local wanted = tonumber(ARGV[2])
local lease = tonumber(ARGV[3])
local listen = tonumber(ARGV[4])
local most_bytes = tonumber(ARGV[5])
local lane = redis.call('HMGET', KEY.lane, 'state', 'probe_at', 'probe_gap', 'listening_until', 'turn')
local answer = { 'open', 0 }

if lane[1] == 'held' then
  local probe_at = tonumber(lane[2] or 0)
  if probe_at == 0 then return { 'held', 0 } end
  if probe_at > now then return { 'held', probe_at - now } end
  wanted = 1
  answer[1] = 'probing'
end

local function slots()
  local turn = tonumber(lane[5] or 0)
  local cycle = { 'fresh', 'retry', 'fresh', 'fresh', 'replay', 'fresh', 'retry', 'fresh' }
  local share = { fresh = 0, retry = 0, replay = 0 }
  for i = 1, wanted do
    local queue = cycle[(turn + i - 1) % 8 + 1]
    share[queue] = share[queue] + 1
  end
  local waiting = {}
  local short = 0
  for queue, n in pairs(share) do
    waiting[queue] = redis.call('ZCARD', KEY[queue])
    if waiting[queue] < n then
      short = short + n - waiting[queue]
      share[queue] = waiting[queue]
    end
  end
  for _, queue in ipairs({ 'fresh', 'retry', 'replay' }) do
    local more = math.min(short, waiting[queue] - share[queue])
    share[queue] = share[queue] + more
    short = short - more
  end
  return share
end

local ids = {}
local scores = {}
local from = {}
local share = slots()
for _, queue in ipairs({ 'fresh', 'retry', 'replay' }) do
  if share[queue] > 0 then
    local popped = redis.call('ZPOPMIN', KEY[queue], share[queue])
    for i = 1, #popped, 2 do
      ids[#ids + 1] = popped[i]
      scores[#ids] = popped[i + 1]
      from[#ids] = queue
    end
  end
end

if #ids > 0 then
  local token = redis.call('HINCRBY', KEY.counters, 'token', 1)
  local records = redis.call('HMGET', KEY.records, unpack(ids))
  local payloads = redis.call('HMGET', KEY.payloads, unpack(ids))
  local written, leased = {}, {}
  local bytes = 0
  for i, id in ipairs(ids) do
    local packed = payloads[i]
    bytes = bytes + #packed
    if i > 1 and bytes > most_bytes then
      redis.call('ZADD', KEY[from[i]], scores[i], id)
    else
      local record = parse(records[i])
      record.state = LEGAL.claim[record.state]
      record.since = now
      record.token = token
      written[#written + 1] = id
      written[#written + 1] = format(record)
      leased[#leased + 1] = now + lease
      leased[#leased + 1] = id
      answer[#answer + 1] = {
        id, token, record.attempts, now - record.accepted, tonumber(record.revision), record.priority, packed,
      }
    end
  end
  redis.call('HSET', KEY.records, unpack(written))
  redis.call('ZADD', KEY.uploading, unpack(leased))
  redis.call('HSET', KEY.lane, 'last_claim', now, 'turn', (tonumber(lane[5] or 0) + #answer - 2) % 8)
  if answer[1] == 'probing' then
    redis.call('HSET', KEY.lane, 'probe', ids[1] .. ' ' .. token, 'probe_at', now + tonumber(lane[3]))
  end
end

-- A caller who listens spares the producers their wake-ups. The promise is renewed now and then, not at each
-- question: with fsync on every write, a write costs more than the question.
local listening = tonumber(lane[4] or 0)
if listen == 0 then
  if listening > 0 then redis.call('HDEL', KEY.lane, 'listening_until') end
elseif #answer - 2 < wanted and listening < now + listen / 2 then
  redis.call('HSET', KEY.lane, 'listening_until', now + listen)
end
return answer
