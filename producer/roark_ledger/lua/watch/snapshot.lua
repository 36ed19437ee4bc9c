#!lua flags=no-writes,allow-oom
-- Everything that `status` shows, at one moment and without a scan.
--
-- needs _way.lua
--
-- ARGV  1 now
-- Returns { now, { queue or state, count, … }, { counter, value, … }, { lane field, value, … `way`, the lane's state,
--           `receipts_due`, when the next delivery is looked up at Roark },
--           { oldest ready (ms), earliest due (ms), oldest dead (ms), besides, revisions, rejected,
--             lines of the logbook, earliest end of a lease (ms), ready reports whose audio links end within 5 minutes,
--             memory used, maxmemory },
--           { state of a replay job, jobs, … ended, jobs; selected, letters; sent, reports without an outcome },
--           { { state, window (ms), notice (ms), how many expire within the notice, the first not before (ms) }, … },
--           { kind of an alert, JSON, … } (see alerts.lua),
--           { id, its text, `lost ID`, text, … `unread WHO`, text, … (see remember.lua); while calls are moved, `moving`
--             and `moving_at` (see moving_begin.lua), and `moving_left`, how many are still to be },
--           the workers' last set-up as in setups.lua or '' };
-- a time is 0 where there is none, and memory where the server does not tell.

local AUDIO_WITHIN_MS = 300000

local function first(key)
  local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return tonumber(head[2] or 0)
end

-- As it is now: what the last accept saw stands still while nothing comes in.
local function memory()
  local info = redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then return 0, 0 end
  return tonumber(string.match(info, 'used_memory:(%d+)') or 0), tonumber(string.match(info, 'maxmemory:(%d+)') or 0)
end

local oldest = 0
local sizes = {}
for _, name in ipairs(QUEUES) do
  local since = first(KEY[name])
  if since > 0 and (oldest == 0 or since < oldest) then oldest = since end
end
local function add_size(name)
  sizes[#sizes + 1] = name
  sizes[#sizes + 1] = redis.call('ZCARD', KEY[name])
end
for _, name in ipairs(PLACES) do add_size(name) end
add_size('silent')
add_size('receipts')
-- What retention is about to remove, see expire.lua. No worker did lately: the setting is off, or all are down.
local retention = {}
local function look_at_retention(state)
  local seen = redis.call(
    'HMGET', KEY.retention, state .. '_heard', state .. '_window', state .. '_notice', state .. '_cleared_to',
    state .. '_announced_to', state .. '_announced_at'
  )
  for i = 1, 6 do seen[i] = tonumber(seen[i] or nil) or 0 end
  local heard, window, notice, cleared_to, announced_to, announced_at = unpack(seen)
  if heard == 0 or math.abs(now - heard) > 3600000 then return end
  local expiring = redis.call('ZCOUNT', KEY[state], '-inf', now + notice - window)
  local oldest = first(KEY[state])
  local free_at = now + notice
  if oldest <= cleared_to then free_at = 0 elseif oldest <= announced_to then free_at = announced_at + notice end
  local following = expiring > 0 and math.max(oldest + window, free_at) or 0
  retention[#retention + 1] = { state, window, notice, expiring, following }
end
look_at_retention('dead')
look_at_retention('discarded')
look_at_retention('unconfirmed')

local counters = redis.call('HGETALL', KEY.counters)
local used, most = memory()

local function replays()
  local states, found = {}, {}
  for _, job in ipairs(redis.call('ZRANGE', KEY.replay_open, 0, -1)) do
    local state = redis.call('HGET', KEY.replay_live, job .. ' state') or 'collecting'
    states[state] = (states[state] or 0) + 1
  end
  states.ended = redis.call('ZCARD', KEY.replay_ended)
  states.selected = redis.call('ZCARD', KEY.replay_selected)
  states.sent = redis.call('ZCARD', KEY.replay_sent)
  for state, jobs in pairs(states) do
    found[#found + 1] = state
    found[#found + 1] = jobs
  end
  return found
end

local function told_of_lane()
  local told = lane_as_told()
  told[#told + 1] = 'receipts_due'
  told[#told + 1] = string.format('%.0f', first(KEY.receipts))
  return told
end

local TOLD = { id = true, lost = true, unread = true, why = true, moving = true }

local function promises()
  local all, found = redis.call('HGETALL', KEY.promises), {}
  for i = 1, #all, 2 do
    if TOLD[string.match(all[i], '^%l+')] then
      found[#found + 1] = all[i]
      found[#found + 1] = all[i + 1]
    end
  end
  -- On what is left of the old ledger (Keys.source).
  if redis.call('HEXISTS', KEY.promises, 'moving') == 1 then
    found[#found + 1] = 'moving_left'
    found[#found + 1] = redis.call('HLEN', KEY.records)
  end
  return found
end

return {
  now, sizes, counters, told_of_lane(),
  {
    oldest, first(KEY.waiting), first(KEY.dead), redis.call('HLEN', KEY.besides),
    redis.call('HLEN', KEY.revisions), redis.call('ZCARD', KEY.rejected_order),
    redis.call('XLEN', KEY.logbook),
    first(KEY.uploading), redis.call('ZCOUNT', KEY.perishable, now, now + AUDIO_WITHIN_MS), used, most,
  },
  replays(),
  retention, redis.call('HGETALL', KEY.alerts), promises(), redis.call('LINDEX', KEY.setups, -1) or '',
}
